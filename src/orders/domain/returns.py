"""Returns of delivered units, and credits: amounts that the customer no longer owes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from orders.domain.actions import Action
from orders.domain.lines import Items, TaxLine
from orders.domain.read_only import ReadOnlyDict, freeze, read_only


class ReturnStatus(StrEnum):
    """How far a return has come. Receiving it grants the credit; closing it ends it."""

    REQUESTED = "requested"
    APPROVED = "approved"
    DECLINED = "declined"
    RECEIVED = "received"
    CLOSED = "closed"


AWAITED = frozenset({ReturnStatus.REQUESTED, ReturnStatus.APPROVED})
"""Statuses of returns whose units the customer still has."""

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
"""The statuses that allow a step of a return, and the status after it."""


WRITE_OFF: Final = "write-off"
"""The reason of a credit for what will never be paid."""
REFUNDED_ELSEWHERE: Final = "refunded-elsewhere"
"""The reason of a credit for money that the customer got back without a refund of ours."""


@read_only
@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """Units that the customer sends back.

    `received` are the units that came, `credited` the minor units that the customer owes less for
    them. Units that did not come can be returned again.
    """

    id: str
    items: Items
    reason: str
    created_at: datetime
    status: ReturnStatus = ReturnStatus.REQUESTED
    credited: int = 0
    received: Items | None = None

    def __post_init__(self) -> None:
        freeze(self, "items")
        if self.received is not None:
            freeze(self, "received")


@read_only
@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """Minor units that the customer no longer owes, until the credit is revoked.

    `return_id` is the return that is the reason. `tax_lines` is the tax in the amount, by rate, as
    far as it is known what the credit is for. `lines` has the parts of the amount that are for
    lines, in minor units by line id; it is empty if the credit is for the whole order.
    `undeliverable` are units that nobody will deliver any more, by line id.
    """

    id: str
    amount: int
    reason: str
    created_at: datetime
    return_id: str | None = None
    tax_lines: tuple[TaxLine, ...] = ()
    lines: Mapping[str, int] = field(default_factory=ReadOnlyDict)
    line_taxes: Mapping[str, int] = field(default_factory=ReadOnlyDict)
    """The tax in each of `lines`, in minor units by line id."""
    undeliverable: Items = field(default_factory=ReadOnlyDict)
    revoked_at: datetime | None = None

    def __post_init__(self) -> None:
        freeze(self, "lines")
        freeze(self, "line_taxes")
        freeze(self, "undeliverable")

    @property
    def tax(self) -> int:
        """The tax in the amount, as far as it is known."""
        return sum(each.tax for each in self.tax_lines)


def credited_by_line(credits: Iterable[Credit]) -> dict[str, int]:
    """Minor units that credits for lines add up to, by line id."""
    return _sums(credit.lines for credit in credits if credit.revoked_at is None)


def credited_tax_by_line(credits: Iterable[Credit]) -> dict[str, int]:
    """The tax that credits for lines add up to, in minor units by line id."""
    return _sums(credit.line_taxes for credit in credits if credit.revoked_at is None)


def _sums(amounts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for by_line in amounts:
        for line_id, amount in by_line.items():
            sums[line_id] = sums.get(line_id, 0) + amount
    return sums


def awaited_units(returns: Iterable[Return], line_id: str) -> int:
    """Units of a line that are in open returns."""
    return sum(r.items.get(line_id, 0) for r in returns if r.status in AWAITED)
