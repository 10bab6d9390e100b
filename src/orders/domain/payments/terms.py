"""Payment terms: when the customer of an order pays that is shipped before it is paid."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from orders.domain.errors import InvalidValue
from orders.domain.read_only import read_only
from orders.domain.validation import validate_amount

MAX_DUE_IN_DAYS: Final = 365
"""The longest time to pay an invoice."""


class TermsKind(StrEnum):
    """When an order is paid. PREPAID: before it is shipped, as any order without terms."""

    PREPAID = "prepaid"
    ON_DELIVERY = "on_delivery"
    INVOICE = "invoice"


@read_only
@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentTerms:
    """The terms of an order that is confirmed and shipped before it is paid.

    `due_in_days`, from 0 to 365, is for invoices only, and counts from the day of dispatch.

    Raises:
        InvalidValue: If the kind is not a `TermsKind`, or the days are missing or not valid.
    """

    kind: TermsKind
    due_in_days: int | None = None
    payment_due_at: datetime | None = None
    """When the order has to be paid. None until it is dispatched; on delivery, until delivered."""

    def __post_init__(self) -> None:
        if not isinstance(self.kind, TermsKind):
            raise InvalidValue("terms", f"must be one of {', '.join(TermsKind)}")
        if self.kind is not TermsKind.INVOICE:
            if self.due_in_days is not None:
                raise InvalidValue("due_in_days", "is for the terms invoice only")
        elif self.due_in_days is None:
            raise InvalidValue("due_in_days", "is needed for the terms invoice")
        else:
            validate_amount(self.due_in_days, "due_in_days", most=MAX_DUE_IN_DAYS)
