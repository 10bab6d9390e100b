"""Counts and logs orders and events that only a newer version can read, once per process."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final, Literal

from orders.application.ports import Unreadable
from orders.entrypoints.observability.metrics import UNREADABLE

_MAX_NAMES: Final = 10_000
"""Names that a process remembers; further ones are neither counted nor logged."""

_reported: Final[set[str]] = set()
_log: Final = logging.getLogger(__name__)


def report_unreadable(kind: Literal["order", "event"], name: str, reason: str) -> None:
    """Count and log an order or event the first time."""
    if name in _reported or len(_reported) >= _MAX_NAMES:
        return
    _reported.add(name)
    UNREADABLE.labels(kind).inc()
    _log.error("%s %s cannot be read by this version: %s", kind, name, reason)


def tell_unreadable_events(events: Iterable[Unreadable]) -> None:
    """Count and log each event the first time."""
    for event in events:
        report_unreadable("event", event.id, event.reason)
