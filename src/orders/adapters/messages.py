"""The published form of events: CloudEvents 1.0 in JSON.

This form is a promise to other services. It holds ids, codes, statuses and amounts; no personal
data, no token, no name of an actor.
"""

from __future__ import annotations

from typing import Any

import msgspec

from orders.application.ports import LoggedEvent
from orders.domain.events import RecordedEvent, Standing

CONTENT_TYPE = "application/cloudevents+json"


def cloud_event(logged: LoggedEvent) -> dict[str, Any]:
    """An event as other services get it; equal on every delivery."""
    recorded = logged.recorded
    name = event_name(recorded)
    envelope = {
        "specversion": "1.0",
        "id": logged.id,
        "type": f"orders.{name}.v1",
        "source": f"/tenants/{logged.tenant}/orders/{logged.order_id}",
        "subject": str(logged.order_id),
        "time": recorded.occurred_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "dataschema": f"/schema/events/{name}.v1.json",
        "sequence": recorded.sequence,
        "partitionkey": str(logged.order_id),
        "data": data_of(recorded) | {"version": recorded.version, "actor": recorded.actor.kind},
    }
    if logged.traceparent is not None:
        envelope["traceparent"] = logged.traceparent
    return envelope


def encode(logged: LoggedEvent) -> bytes:
    """The bytes of a message; the same event always gives the same bytes."""
    return msgspec.json.encode(cloud_event(logged), order="sorted")


def event_name(recorded: RecordedEvent) -> str:
    """The event's name, as in routing keys."""
    return type(recorded.event).__name__


def data_of(recorded: RecordedEvent) -> dict[str, Any]:
    """What changed, and how the order stood right after."""
    change: dict[str, Any] = msgspec.to_builtins(recorded.event)
    return {"change": change, "after": _standing(recorded.after)}


def _standing(after: Standing) -> dict[str, Any]:
    totals = after.totals
    return {
        "status": after.status,
        "payment_status": after.payment_status,
        "fulfillment_status": after.fulfillment_status,
        "return_status": after.return_status,
        "gross": totals.gross,
        "due": totals.due,
        "authorized": totals.authorized,
        "captured": totals.captured,
        "refunded": totals.refunded,
        "charged_back": totals.charged_back,
        "net": totals.net,
        "outstanding": totals.outstanding,
        "refund_due": totals.refund_due,
    }
