"""One refund of a payment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from orders.domain.identifiers import PartId
from orders.domain.read_only import read_only


class RefundStatus(StrEnum):
    """A refund is requested until its outcome is known."""

    REQUESTED = "requested"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@read_only
@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """A refund of one payment. Its `amount`, in minor units, is reserved while it is requested.

    One with a `reference` was made elsewhere: staff recorded it, nothing was sent.
    """

    id: PartId
    payment_id: PartId
    amount: int
    reason: str
    created_at: datetime
    status: RefundStatus = RefundStatus.REQUESTED
    failure_code: str | None = None
    reference: str | None = None

    @property
    def recorded(self) -> bool:
        """Whether staff recorded it, instead of asking the payment service for it."""
        return self.reference is not None
