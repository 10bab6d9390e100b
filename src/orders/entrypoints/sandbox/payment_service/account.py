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
    """A request that changes nothing: the status and code it is answered with."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """One payment and all that happened to it. Amounts are minor units of `currency`."""

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
    """The trace that the payment began in: webhooks about it are sent with it."""

    @property
    def kept(self) -> int:
        """What was captured and not given or taken back."""
        return self.captured - self.refunded - self.charged_back

    @property
    def open(self) -> int:
        """What can still be captured."""
        if self.status not in ("authorized", "captured"):
            return 0
        return self.amount - self.captured - self.released

    def settled(self) -> Account:
        """Authorised, and captured if that was asked for."""
        account = replace(self, status="authorized", settles_at=None)
        return account.with_capture(self.amount) if self.capture else account

    def with_capture(self, amount: int) -> Account:
        """Some more captured.

        Raises:
            Refusal: If more than what is open.
        """
        if amount > self.open:
            raise Refusal(422, "capture_exceeds_authorization")
        return replace(self, status="captured", captured=self.captured + amount)

    def with_void(self) -> Account:
        """Nothing open any more; the same as before if nothing was.

        Raises:
            Refusal: If it was declined, so that there never was anything to release.
        """
        if self.status == "declined":
            raise Refusal(422, "payment_declined")
        if self.status == "pending":
            return replace(self, status="voided", released=self.amount, settles_at=None)
        status = self.status if self.captured else "voided"
        return replace(self, status=status, released=self.released + self.open)

    def with_refund(self, amount: int) -> Account:
        """Some given back.

        Raises:
            Refusal: If more than what is kept.
        """
        if amount > self.kept:
            raise Refusal(422, "refund_exceeds_captured")
        return replace(self, refunded=self.refunded + amount)

    def with_charge_back(self) -> Account:
        """All that is kept taken back by the payer's bank.

        Raises:
            Refusal: If nothing is kept.
        """
        if not self.kept:
            raise Refusal(422, "nothing_captured")
        return replace(self, charged_back=self.charged_back + self.kept)

    def published(self) -> dict[str, object]:
        """The payment as the contract has it."""
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
