"""A sample message of each event: the golden one, which the contract suites send too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import msgspec

from orders.adapters.contracts.events.event_samples import EVERY_EVENT, logged_events
from orders.adapters.messages import encode

_ORDER_ID: Final = UUID("6f1c7a52-9c1e-8d0b-a4c3-1f2e3d4c5b6a")
MESSAGES: Final[Mapping[str, bytes]] = {
    type(event).__name__: encode(logged_events((event,), order_id=_ORDER_ID)[0])
    for event in EVERY_EVENT
}
"""The bytes of each message as they are sent, by the name of its event."""


def sample(event: type[Any]) -> Any:
    """The sample message of an event, decoded."""
    return msgspec.json.decode(MESSAGES[event.__name__])
