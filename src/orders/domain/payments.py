"""One payment, one refund, one operation at the payment service, and what the service reports.

Money moves in three steps: the order reserves a `PaymentOperation` and is stored, the payment
service is called with the operation's key, and the result is recorded. Each report has the totals
so far, and the order keeps the highest of each. So a repeated or older report changes nothing, and
a newer one counts even if the order has ended. Reports about a payment under review are ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from orders.domain.identifiers import OrderId, PartId
from orders.domain.money import Money
from orders.domain.read_only import read_only
from orders.domain.validation import validate_kind, validate_str, validate_whole

OPERATION_LEASE = timedelta(seconds=12)
"""No worker executes a new operation for this time: 10 s, the deadline of its request, plus 2 s."""

UNKNOWN_OUTCOME_RETRY_SECONDS = (1, 2, 4, 8, 15)
"""Retry delays for an operation of unknown outcome, in seconds; the last one repeats.

After the payment service recovers, the outcome takes at most 15 s of delay and 8 s for the call
with its retries (a second call if a look-up finds no payment), plus the worker's poll.
"""
PENDING_POLL_SECONDS = (1, 2, 4, 8, 16, 30, 60)
"""Poll delays for a payment that the payment service has not decided yet, in seconds."""
NOT_ATTEMPTED_RETRY_SECONDS = 10
"""Retry delay for an operation that was never sent, in seconds."""


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


class PaymentStatus(StrEnum):
    """How far one payment has come.

    DECLINED: the payment service refused it. FAILED: staff dismissed the review, and nothing was
    captured. REVIEW: a report contradicts itself or what was requested.
    """

    PENDING = "pending"
    REQUIRES_ACTION = "requires_action"
    DECLINED = "declined"
    FAILED = "failed"
    AUTHORIZED = "authorized"
    VOIDED = "voided"
    CAPTURED = "captured"
    REVIEW = "review"


IN_FLIGHT = frozenset({PaymentStatus.PENDING, PaymentStatus.REQUIRES_ACTION, PaymentStatus.REVIEW})
"""Payments that may still bring money: they are undecided or under review."""
_UNDECIDED = IN_FLIGHT - {PaymentStatus.REVIEW}
_REFUSED = frozenset({PaymentStatus.DECLINED, PaymentStatus.FAILED})
_CAPTURABLE = frozenset({PaymentStatus.AUTHORIZED, PaymentStatus.CAPTURED})
# A report never moves the status to the left. REVIEW is outside: only `dismiss_payment` ends it.
_PROGRESS = (
    PaymentStatus.PENDING,
    PaymentStatus.REQUIRES_ACTION,
    PaymentStatus.DECLINED,
    PaymentStatus.FAILED,
    PaymentStatus.AUTHORIZED,
    PaymentStatus.VOIDED,
    PaymentStatus.CAPTURED,
)


@read_only
@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """One attempt to pay. Amounts are minor units of the order's currency."""

    id: PartId
    amount: int
    method: str | None
    """The token of the payment method until the outcome is known, then None. Never card data."""
    capture: bool
    """Whether the payment service captures at once, without a separate operation."""
    created_at: datetime
    status: PaymentStatus = PaymentStatus.PENDING
    provider_id: str | None = None
    captures: int = 0
    """How many captures were reserved. It numbers their keys."""
    voids: int = 0
    """How many voids were reserved. It numbers their keys: a refused key would be refused again."""
    captured: int = 0
    refunded: int = 0
    charged_back: int = 0
    released: bool = False
    """Whether what was not captured has been released to the payer."""
    decline_code: str | None = None

    @property
    def capturable_amount(self) -> int:
        """What is authorised and can still be captured."""
        if self.status not in _CAPTURABLE or self.released:
            return 0
        return max(0, self.amount - self.captured)

    @property
    def is_undecided(self) -> bool:
        """Whether the payment service or the payer still has to decide."""
        return self.status in _UNDECIDED

    @property
    def is_voidable(self) -> bool:
        """Whether a void would release money, or stop a payment that is not decided."""
        return self.capturable_amount > 0 or self.is_undecided

    @property
    def net_captured(self) -> int:
        """What was captured and neither refunded nor charged back."""
        return self.captured - self.refunded - self.charged_back

    def contradicts(self, report: PaymentReport, *, reference: str, currency: str) -> bool:
        """Whether the report cannot be about this payment: by its amounts, names or status."""
        return (
            report.contradicts_itself
            or report.reference != reference
            or report.amount != Money(self.amount, currency)
            or not 0 <= report.refunded <= report.captured <= self.amount
            or (self.provider_id is not None and report.provider_id != self.provider_id)
        )

    def after(self, report: PaymentReport, *, charged_back: bool = False) -> Payment:
        """This payment with the report merged in; the same object if nothing is new.

        `charged_back`: the payer's bank took back all that is captured and not refunded.
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
    """A refund is requested until its outcome is known."""

    REQUESTED = "requested"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@read_only
@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """A refund of one payment. Its `amount`, in minor units, is reserved while it is requested."""

    id: PartId
    payment_id: PartId
    amount: int
    reason: str
    created_at: datetime
    status: RefundStatus = RefundStatus.REQUESTED
    failure_code: str | None = None


class OperationKind(StrEnum):
    """What an operation asks of the payment service."""

    AUTHORIZE = "authorize"
    CAPTURE = "capture"
    VOID = "void"
    REFUND = "refund"


@read_only
@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentOperation:
    """An operation at the payment service that is reserved, and whose outcome is not known.

    `key` is the reference and Idempotency-Key of its calls and never changes. No worker takes the
    operation before `next_attempt_at`. That is 12 s after the reservation, because the request that
    reserved it may execute it. A webhook executes nothing, so a worker does it after 12 s.
    `amount` is minor units. `tries` chooses the next delay. Each unknown outcome and each undecided
    answer adds 1; after a call that was not sent, `tries` is at least 1.
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
        """The operation after an unknown outcome or an undecided answer, with the next delay."""
        wait = waits[min(self.tries, len(waits) - 1)]
        return replace(self, tries=self.tries + 1, next_attempt_at=now + timedelta(seconds=wait))

    def after_no_attempt(self, now: datetime) -> PaymentOperation:
        """The operation when nothing was sent: retried after a fixed delay.

        Any number of these counts as one try, so the delays do not grow.
        """
        at = now + timedelta(seconds=NOT_ATTEMPTED_RETRY_SECONDS)
        return replace(self, tries=max(1, self.tries), next_attempt_at=at)


def authorization_key(order_id: OrderId, payment_id: str) -> str:
    """The reference of a payment, which is the key of the operation that starts it."""
    return f"{order_id}:{payment_id}"


def capture_key(order_id: OrderId, payment_id: str, number: int) -> str:
    """The key of the n-th capture of a payment."""
    return f"{order_id}:{payment_id}:capture:{number}"


def void_key(order_id: OrderId, payment_id: str, number: int) -> str:
    """The key of the n-th void of a payment. There is a second one if the first was refused."""
    return f"{order_id}:{payment_id}:void:{number}"


def refund_key(order_id: OrderId, refund_id: str) -> str:
    """The key of a refund."""
    return f"{order_id}:refund:{refund_id}"


def payment_of_reference(reference: str) -> PartId:
    """The id of the payment that a reference names, within its order."""
    return reference.rpartition(":")[2]


def order_of_reference(reference: str) -> OrderId | None:
    """The order that a reference names; None if this service did not make the reference."""
    head, separator, attempt = reference.partition(":")
    if not separator or not attempt.isdecimal():
        return None
    try:
        return OrderId(UUID(head))
    except ValueError:
        return None
