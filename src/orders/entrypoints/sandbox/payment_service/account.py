"""The money rules of the sandbox's payment service: what may happen to one payment."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

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


class DisputeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body that opens a dispute or, with the `id` of one, closes it."""

    amount: Amount
    status: Literal["open", "won", "lost"] = "open"
    id: Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]{1,64}\Z")] = "dp_1"


class RefundEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A refund. One without a `reference` was made elsewhere."""

    id: str
    amount: int
    status: str
    reference: str | None = None


class DisputeEntry(msgspec.Struct, frozen=True):
    """A dispute. `status` is open, won or lost."""

    id: str
    amount: int
    status: str

    @property
    def charged_back(self) -> int:
        """What the payer's bank has taken."""
        return 0 if self.status == "won" else self.amount


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
    refunds: tuple[RefundEntry, ...] = ()
    disputes: tuple[DisputeEntry, ...] = ()
    authorized_until: float | None = None
    settles_at: float | None = None
    """When it is decided or its follow-up happens, in seconds since 1970."""
    traceparent: str | None = None
    """The trace that started the payment; its webhooks carry it."""

    @property
    def net_captured(self) -> int:
        """Captured and neither refunded nor charged back."""
        return self.captured - self.refunded - self.charged_back

    @property
    def is_undecided(self) -> bool:
        """Whether the payment waits for a decision, or for its payer."""
        return self.status in ("pending", "requires_action")

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
        if self.is_undecided:
            return replace(self, status="voided", released=self.amount, settles_at=None)
        status = self.status if self.captured else "voided"
        return replace(self, status=status, released=self.released + self.capturable)

    def with_refund(self, amount: int, reference: str | None = None) -> Account:
        """Return it with `amount` refunded.

        Raises:
            Refusal: If the amount exceeds `net_captured`.
        """
        if amount > self.net_captured:
            raise Refusal(422, "refund_exceeds_captured")
        entry = RefundEntry(f"re_{len(self.refunds) + 1}", amount, "succeeded", reference)
        return replace(self, refunded=self.refunded + amount, refunds=(*self.refunds, entry))

    def with_failed_refunds(self) -> Account:
        """Return it with every refund failed: the banks sent the money back."""
        failed = tuple(msgspec.structs.replace(each, status="failed") for each in self.refunds)
        return replace(self, refunded=0, refunds=failed)

    def with_dispute(self, dispute: DisputeEntry) -> Account:
        """Return it with a dispute opened, or with another status of the dispute of that id.

        Raises:
            Refusal: If disputes would be about more than was captured.
        """
        others = [each for each in self.disputes if each.id != dispute.id]
        before = sum(each.charged_back for each in self.disputes)
        after = sum(each.charged_back for each in (*others, dispute))
        charged_back = self.charged_back - before + after
        if dispute.amount > self.captured or charged_back > self.captured:
            raise Refusal(422, "dispute_exceeds_captured")
        return replace(self, disputes=(*others, dispute), charged_back=charged_back)

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
            "refunds": self.refunds,
            "disputes": self.disputes,
            "next_action": self._next_action(),
            "authorized_until": self._authorized_until(),
        }

    def _next_action(self) -> dict[str, str] | None:
        if self.status != "requires_action":
            return None
        # Nobody has to open it: the payer of the sandbox always agrees after a while.
        return {"type": "redirect", "url": f"https://bank.example/authenticate/{self.id}"}

    def _authorized_until(self) -> datetime | None:
        if self.authorized_until is None:
            return None
        return datetime.fromtimestamp(self.authorized_until, UTC)
