"""What is sent to a broker, and whether a consumer read exactly that."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from unittest.mock import patch

import msgspec

from orders.adapters import messages
from orders.adapters.brokers import kafka, rabbitmq
from orders.adapters.contracts.events.event_samples import EVERY_EVENT, logged_events
from orders.application.ports import EventPublisher, LoggedEvent, Published

ORDERS: Final = 3


def newer(event: LoggedEvent) -> bytes:
    """The message of a newer version of the service, with one more member at each level."""
    message = json.loads(messages.encode(event))
    message["addedlater"] = "x"
    message["data"]["added_later"] = {"deep": [1, None, "é"]}
    message["data"]["after"]["added_later"] = 1
    message["data"]["change"]["added_later"] = None
    return msgspec.json.encode(message, order="sorted")


async def publish(publisher: EventPublisher) -> list[dict[str, Any]]:
    """Send every event of some orders, alternating, then one of a newer version.

    Returns:
        The messages, decoded.
    """
    orders = [logged_events() for _ in range(ORDERS)]
    events = [event for together in zip(*orders, strict=True) for event in together]
    (last,) = logged_events(
        EVERY_EVENT[:1], order_id=events[0].order_id, first=len(EVERY_EVENT) + 1
    )
    outcome = await publisher.publish(events)
    assert outcome == Published(confirmed={each[-1].order_id: len(EVERY_EVENT) for each in orders})
    with patch.object(kafka, "encode", newer), patch.object(rabbitmq, "encode", newer):
        outcome = await publisher.publish([last])
    assert outcome == Published(confirmed={last.order_id: last.recorded.sequence})
    return [json.loads(bytes_) for bytes_ in (*map(messages.encode, events), newer(last))]


def difference(sent: Sequence[Any], read: Sequence[Any]) -> str | None:
    """How what was read differs from what was sent; None if it does not.

    The order is compared for the events of each order of a customer.
    """
    wanted, found = _by_order(sent), _by_order(read)
    if wanted.keys() != found.keys():
        return f"read events of the orders {sorted(found)}, not of {sorted(wanted)}"
    for order, events in wanted.items():
        if len(events) != len(found[order]):
            return f"read {len(found[order])} of {len(events)} events of the order {order}"
        for event, other in zip(events, found[order], strict=True):
            if event != other:
                return f"sent {event}\nread {other}"
    return None


def _by_order(events: Sequence[Any]) -> dict[str, list[str]]:
    ordered = defaultdict(list)
    for event in events:
        # SDKs write the same time in different ways, and members in any order.
        time = datetime.fromisoformat(event["time"]).timestamp()
        ordered[event["subject"]].append(json.dumps({**event, "time": time}, sort_keys=True))
    return ordered
