"""One payment, one refund, one call to the payment service, and what it reports.

Money moves in three steps: reserve (a `PaymentOperation` is stored with its key), call, settle.
What the payment service says is cumulative and merged by maximum, so hearing it twice, or late,
or out of order changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from orders.domain.identifiers import OrderId, PartId
from orders.domain.money import Money

OPERATION_LEASE = timedelta(seconds=12)
"""How long a call belongs to the request that reserved it: its deadline of 10 s and a margin."""

UNKNOWN_OUTCOME_RETRY_SECONDS = (1, 2, 4, 8, 15)
"""When a call of unknown outcome is looked at again; the last one is repeated for ever.

Known within 30 s of the payment service's return: one wait, one call and its repetitions.
"""
PENDING_POLL_SECONDS = (1, 2, 4, 8, 16, 30, 60)
"""The same for a payment that the payment service has, and says it has not decided yet."""
NOT_ATTEMPTED_RETRY_SECONDS = 10
"""When a call is tried that was not made, because the payment service fails."""


class ProviderStatus(StrEnum):
    """The status of a payment as the payment service's contract spells it."""

    AUTHORIZED = "authorized"
    CAPTURED = "captured"
    DECLINED = "declined"
    VOIDED = "voided"
    PENDING = "pending"
    REQUIRES_ACTION = "requires_action"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentReport:
    """What the payment service says of one payment: all of it so far, not what is new.

    `captured` and `refunded` are minor units of the currency of `amount`.
    """

    provider_id: str
    reference: str
    status: ProviderStatus
    amount: Money
    captured: int
    refunded: int
    decline_code: str | None = None

    @property
    def contradicts_itself(self) -> bool:
        """Whether the status denies the money: captured with nothing, or the other way round.

        A payment of which a part was captured stays captured when the rest is voided.
        """
        if self.status is ProviderStatus.CAPTURED:
            return self.captured == 0
        return self.captured > 0 and self.status is not ProviderStatus.AUTHORIZED


class PaymentStatus(StrEnum):
    """How far one payment has come. REVIEW: the payment service contradicts what was asked."""

    PENDING = "pending"
    REQUIRES_ACTION = "requires_action"
    DECLINED = "declined"
    FAILED = "failed"
    AUTHORIZED = "authorized"
    VOIDED = "voided"
    CAPTURED = "captured"
    REVIEW = "review"


IN_FLIGHT = frozenset({PaymentStatus.PENDING, PaymentStatus.REQUIRES_ACTION, PaymentStatus.REVIEW})
_UNDECIDED = IN_FLIGHT - {PaymentStatus.REVIEW}
_REFUSED = frozenset({PaymentStatus.DECLINED, PaymentStatus.FAILED})
_CAPTURABLE = frozenset({PaymentStatus.AUTHORIZED, PaymentStatus.CAPTURED})
# A payment only ever moves to the right; what arrives late or twice is to the left.
_PROGRESS = (
    PaymentStatus.PENDING,
    PaymentStatus.REQUIRES_ACTION,
    PaymentStatus.DECLINED,
    PaymentStatus.FAILED,
    PaymentStatus.AUTHORIZED,
    PaymentStatus.VOIDED,
    PaymentStatus.CAPTURED,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """One attempt to pay. Amounts are minor units of the order's currency."""

    id: PartId
    amount: int
    method: str | None
    """The method's token, until the attempt is settled; never card data."""
    capture: bool
    """Whether the payment service takes the money at once, without a separate capture."""
    created_at: datetime
    status: PaymentStatus = PaymentStatus.PENDING
    provider_id: str | None = None
    captures: int = 0
    """How many captures were begun; the next one's key is numbered after it."""
    voids: int = 0
    """How many voids were begun: one that was refused would be refused again by its key."""
    captured: int = 0
    refunded: int = 0
    charged_back: int = 0
    released: bool = False
    """Whether what was not captured has been given back to the payer."""
    decline_code: str | None = None

    @property
    def capturable_amount(self) -> int:
        """What is authorised and can still be captured."""
        if self.status not in _CAPTURABLE or self.released:
            return 0
        return max(0, self.amount - self.captured)

    @property
    def is_undecided(self) -> bool:
        """Whether the payment service, or the payer, has yet to decide about it."""
        return self.status in _UNDECIDED

    @property
    def is_voidable(self) -> bool:
        """Whether a void would keep money with the payer, or give it back."""
        return self.capturable_amount > 0 or self.is_undecided

    @property
    def net_captured(self) -> int:
        """What was captured and neither refunded nor charged back."""
        return self.captured - self.refunded - self.charged_back

    def contradicts(self, report: PaymentReport, *, reference: str, currency: str) -> bool:
        """Whether the report cannot be true of this payment: its amounts, names or status."""
        return (
            report.contradicts_itself
            or report.reference != reference
            or report.amount != Money(self.amount, currency)
            or not 0 <= report.refunded <= report.captured <= self.amount
            or (self.provider_id is not None and report.provider_id != self.provider_id)
        )

    def after(self, report: PaymentReport, *, charged_back: bool = False) -> Payment:
        """This payment with what a report adds to it; the same object if it adds nothing.

        `charged_back`: the payer's bank took back all that the report counts as captured and
        not refunded.
        """
        status = max(self.status, PaymentStatus(report.status), key=_PROGRESS.index)
        if report.captured:
            status = PaymentStatus.CAPTURED
        settled = status not in IN_FLIGHT
        lost = report.captured - report.refunded if charged_back else 0
        merged = replace(
            self,
            status=status,
            provider_id=self.provider_id or report.provider_id,
            method=None if settled else self.method,
            captured=max(self.captured, report.captured),
            refunded=max(self.refunded, report.refunded),
            charged_back=max(self.charged_back, lost),
            released=self.released or report.status is ProviderStatus.VOIDED,
            decline_code=(report.decline_code or self.decline_code) if status in _REFUSED else None,
        )
        return self if merged == self else merged


class RefundStatus(StrEnum):
    """A refund is requested until the payment service has answered."""

    REQUESTED = "requested"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """Money on its way back, of one payment. `amount` is reserved while it is requested."""

    id: PartId
    payment_id: PartId
    amount: int
    reason: str
    created_at: datetime
    status: RefundStatus = RefundStatus.REQUESTED
    failure_code: str | None = None


class OperationKind(StrEnum):
    """What the payment service is asked to do."""

    AUTHORIZE = "authorize"
    CAPTURE = "capture"
    VOID = "void"
    REFUND = "refund"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentOperation:
    """A reserved call to the payment service whose outcome is not stored yet.

    `key` is its reference and Idempotency-Key and never changes. Until `due_at` the call
    belongs to whoever reserved it; after that, to any worker.
    """

    key: str
    kind: OperationKind
    payment_id: PartId
    amount: int
    next_attempt_at: datetime
    refund_id: PartId | None = None
    tries: int = 0

    def after_unknown_outcome(
        self, now: datetime, waits: Sequence[int] = UNKNOWN_OUTCOME_RETRY_SECONDS
    ) -> PaymentOperation:
        """The same call after a try whose outcome is unknown."""
        wait = waits[min(self.tries, len(waits) - 1)]
        return replace(self, tries=self.tries + 1, next_attempt_at=now + timedelta(seconds=wait))

    def after_no_attempt(self, now: datetime) -> PaymentOperation:
        """The same call when it was not made, as the payment service was known to fail.

        However often that is, it counts as one try: the request that reserved it is over, and
        the waits do not grow.
        """
        due_at = now + timedelta(seconds=NOT_ATTEMPTED_RETRY_SECONDS)
        return replace(self, tries=max(1, self.tries), next_attempt_at=due_at)


def authorization_key(order_id: OrderId, payment_id: str) -> str:
    """The reference of a payment and the key of the call that starts it."""
    return f"{order_id}:{payment_id}"


def capture_key(order_id: OrderId, payment_id: str, number: int) -> str:
    """The key of the n-th capture of a payment."""
    return f"{order_id}:{payment_id}:capture:{number}"


def void_key(order_id: OrderId, payment_id: str, number: int) -> str:
    """The key of the n-th void of a payment; there is a second if the first was refused."""
    return f"{order_id}:{payment_id}:void:{number}"


def refund_key(order_id: OrderId, refund_id: str) -> str:
    """The key of a refund."""
    return f"{order_id}:refund:{refund_id}"


def payment_of_reference(reference: str) -> PartId:
    """The payment that a payment's reference names within its order."""
    return PartId(reference.rpartition(":")[2])


def order_of_reference(reference: str) -> OrderId | None:
    """The order that a payment's reference names; None if we did not make the reference."""
    head, separator, attempt = reference.partition(":")
    if not separator or not attempt.isdecimal():
        return None
    try:
        return OrderId(UUID(head))
    except ValueError:
        return None
