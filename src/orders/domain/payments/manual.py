"""Money that does not come through the payment service, as staff record it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from orders.domain.errors import InvalidValue
from orders.domain.read_only import read_only
from orders.domain.validation import validate_optional_text, validate_time


class ManualMethod(StrEnum):
    """How money came that did not come through the payment service."""

    BANK_TRANSFER = "bank_transfer"
    CASH = "cash"
    CHEQUE = "cheque"
    CARD_TERMINAL = "card_terminal"
    OTHER = "other"


@read_only
@dataclass(frozen=True, slots=True, kw_only=True)
class ManualPayment:
    """How and when money was received elsewhere.

    `reference` is what the bank statement or the receipt says, of at most 200 characters.

    Raises:
        InvalidValue: If the method is not a `ManualMethod`, or another value is not valid.
    """

    method: ManualMethod
    received_at: datetime
    reference: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.method, ManualMethod):
            raise InvalidValue("manual/method", f"must be one of {', '.join(ManualMethod)}")
        validate_time(self.received_at, "manual/received_at")
        validate_optional_text(self.reference, "manual/reference")
