"""What only a newer version can read is counted and logged, each once by a process."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final, Literal

from orders.application.ports import Unreadable
from orders.entrypoints.observability.metrics import UNREADABLE

_NAMES_AT_MOST: Final = 10_000
"""That a process remembers; beyond them none is counted or logged any more."""

_told: Final[set[str]] = set()
_log: Final = logging.getLogger(__name__)


def tell_unreadable(kind: Literal["order", "event"], name: str, reason: str) -> None:
    """Count and log an order or event, unless that was done."""
    if name in _told or len(_told) >= _NAMES_AT_MOST:
        return
    _told.add(name)
    UNREADABLE.labels(kind).inc()
    _log.error("%s %s cannot be read by this version: %s", kind, name, reason)


def tell_unreadable_events(events: Iterable[Unreadable]) -> None:
    """Count and log events, each unless that was done."""
    for event in events:
        tell_unreadable("event", event.id, event.reason)
