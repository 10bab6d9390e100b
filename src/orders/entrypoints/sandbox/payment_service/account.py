"""The money rules of the sandbox's payment service: what may happen to one payment."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec.structs import replace

Reference = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Amount = Annotated[int, msgspec.Meta(ge=1, lt=2**53)]


class Authorization(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body that starts a payment."""

    reference: Reference
    amount: Amount
    currency: Annotated[str, msgspec.Meta(pattern=r"\A[A-Z]{3}\Z")]
    method: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    capture: bool


class Movement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a capture and of a refund."""

    amount: Amount
    reference: Reference


class Void(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a void."""

    reference: Reference


class Refusal(Exception):
    """A request that changes nothing: the status and code of its response."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """One payment with all its amounts, in minor units of `currency`."""

    id: str
    reference: str
    method: str
    currency: str
    amount: int
    capture: bool
    status: str
    captured: int = 0
    refunded: int = 0
    released: int = 0
    charged_back: int = 0
    decline_code: str | None = None
    settles_at: float | None = None
    traceparent: str | None = None
    """The trace that started the payment; its webhooks carry it."""

    @property
    def net_captured(self) -> int:
        """Captured and neither refunded nor charged back."""
        return self.captured - self.refunded - self.charged_back

    @property
    def capturable(self) -> int:
        """The amount that can still be captured."""
        if self.status not in ("authorized", "captured"):
            return 0
        return self.amount - self.captured - self.released

    def settled(self) -> Account:
        """Return it authorised, and captured if `capture` is set."""
        account = replace(self, status="authorized", settles_at=None)
        return account.with_capture(self.amount) if self.capture else account

    def with_capture(self, amount: int) -> Account:
        """Return it with `amount` more captured.

        Raises:
            Refusal: If the amount exceeds `capturable`.
        """
        if amount > self.capturable:
            raise Refusal(422, "capture_exceeds_authorization")
        return replace(self, status="captured", captured=self.captured + amount)

    def with_void(self) -> Account:
        """Return it with nothing capturable; unchanged if nothing was.

        Raises:
            Refusal: If it was declined.
        """
        if self.status == "declined":
            raise Refusal(422, "payment_declined")
        if self.status == "pending":
            return replace(self, status="voided", released=self.amount, settles_at=None)
        status = self.status if self.captured else "voided"
        return replace(self, status=status, released=self.released + self.capturable)

    def with_refund(self, amount: int) -> Account:
        """Return it with `amount` refunded.

        Raises:
            Refusal: If the amount exceeds `net_captured`.
        """
        if amount > self.net_captured:
            raise Refusal(422, "refund_exceeds_captured")
        return replace(self, refunded=self.refunded + amount)

    def with_charge_back(self) -> Account:
        """Return it with everything net captured charged back.

        Raises:
            Refusal: If nothing is net captured.
        """
        if not self.net_captured:
            raise Refusal(422, "nothing_captured")
        return replace(self, charged_back=self.charged_back + self.net_captured)

    def published(self) -> dict[str, object]:
        """Return the payment in the form of the contract."""
        return {
            "id": self.id,
            "reference": self.reference,
            "status": self.status,
            "amount": self.amount,
            "currency": self.currency,
            "captured": self.captured,
            "refunded": self.refunded,
            "decline_code": self.decline_code,
        }
