"""Returns of delivered units, and credits: what the customer no longer has to pay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from orders.domain.actions import Action
from orders.domain.identifiers import PartId
from orders.domain.lines import Items


class ReturnStatus(StrEnum):
    """Receiving is what grants the credit; a closed return is over either way."""

    REQUESTED = "requested"
    APPROVED = "approved"
    DECLINED = "declined"
    RECEIVED = "received"
    CLOSED = "closed"


AWAITED = frozenset({ReturnStatus.REQUESTED, ReturnStatus.APPROVED})
"""Returns whose units are still with the customer."""

RETURN_STEPS: Mapping[Action, tuple[frozenset[ReturnStatus], ReturnStatus]] = MappingProxyType(
    {
        Action.APPROVE_RETURN: (frozenset({ReturnStatus.REQUESTED}), ReturnStatus.APPROVED),
        Action.DECLINE_RETURN: (frozenset({ReturnStatus.REQUESTED}), ReturnStatus.DECLINED),
        Action.RECEIVE_RETURN: (frozenset({ReturnStatus.APPROVED}), ReturnStatus.RECEIVED),
        # An approved return whose units never came is closed without a credit.
        Action.CLOSE_RETURN: (
            frozenset({ReturnStatus.APPROVED, ReturnStatus.RECEIVED}),
            ReturnStatus.CLOSED,
        ),
    }
)
"""What a return must be for a step, and is after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """Units the customer sends back. `credited` is set when they are received."""

    id: PartId
    items: Items
    reason: str
    created_at: datetime
    status: ReturnStatus = ReturnStatus.REQUESTED
    credited: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """An amount the customer no longer owes. `return_id` where a return is the reason."""

    id: PartId
    amount: int
    reason: str
    created_at: datetime
    return_id: PartId | None = None


def awaited_units(returns: Iterable[Return], line_id: str) -> int:
    """Units of a line that open returns have spoken for."""
    return sum(r.items.get(PartId(line_id), 0) for r in returns if r.status in AWAITED)
