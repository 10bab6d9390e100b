"""Disputes: the payer asked their bank to take a payment back."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from orders.domain.identifiers import PartId
from orders.domain.read_only import read_only


class DisputeStatus(StrEnum):
    """An open dispute and a lost one take money from the shop, a won one has given it back."""

    OPEN = "open"
    WON = "won"
    LOST = "lost"


_PROGRESS = (DisputeStatus.OPEN, DisputeStatus.WON, DisputeStatus.LOST)


@read_only
@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """A dispute about one payment. `id` is the payment service's, `amount` is minor units."""

    id: str
    payment_id: PartId
    amount: int
    status: DisputeStatus

    @property
    def charged_back(self) -> int:
        """The minor units that the payer's bank has taken."""
        return 0 if self.status is DisputeStatus.WON else self.amount


Disputes: TypeAlias = tuple[Dispute, ...]


def merged_disputes(one: Disputes, other: Disputes) -> Disputes:
    """All disputes of both, by id, each with its later status and its higher amount.

    Lost comes after won: a bank may reverse what it decided, and a loss must show.
    """
    merged = {dispute.id: dispute for dispute in one}
    for new in other:
        old = merged.get(new.id, new)
        merged[new.id] = Dispute(
            id=new.id,
            payment_id=new.payment_id,
            amount=max(old.amount, new.amount),
            status=max(old.status, new.status, key=_PROGRESS.index),
        )
    return tuple(merged[dispute_id] for dispute_id in sorted(merged))
