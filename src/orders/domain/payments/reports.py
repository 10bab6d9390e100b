"""What the payment service reports of one payment."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from orders.domain.money import Money
from orders.domain.validation import validate_kind, validate_str, validate_whole


class ProviderStatus(StrEnum):
    """The status of a payment, as the contract of the payment service spells it."""

    AUTHORIZED = "authorized"
    CAPTURED = "captured"
    DECLINED = "declined"
    VOIDED = "voided"
    PENDING = "pending"
    REQUIRES_ACTION = "requires_action"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentReport:
    """What the payment service says of one payment: all of it so far, not only what is new.

    `captured` and `refunded` are minor units of the currency of `amount`.

    Raises:
        InvalidValue: If an amount is not a whole number, or a name is not text.
    """

    provider_id: str
    reference: str
    status: ProviderStatus
    amount: Money
    captured: int
    refunded: int
    decline_code: str | None = None

    def __post_init__(self) -> None:
        for field in ("captured", "refunded"):
            validate_whole(getattr(self, field), field)
        for field in ("provider_id", "reference"):
            validate_str(getattr(self, field), field)
        validate_kind(self.amount, Money, "amount")

    @property
    def contradicts_itself(self) -> bool:
        """True if the status is captured and `captured` is 0, or if `captured` is above 0 and the
        status is neither captured nor authorized.

        A payment of which a part was captured stays `captured` when the rest is voided.
        """
        if self.status is ProviderStatus.CAPTURED:
            return self.captured == 0
        return self.captured > 0 and self.status is not ProviderStatus.AUTHORIZED
