"""The JSON of the payment service. Its schema is published in `infra/contracts/`."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeVar

import msgspec

from orders.domain.errors import OrderError
from orders.domain.money import AMOUNT_LIMIT, Money
from orders.domain.payments import (
    DisputeStatus,
    NextAction,
    PaymentReport,
    ProviderStatus,
    ReportedDispute,
    ReportedRefund,
    ReportedRefundStatus,
)

MAX_REPORTED_PARTS: Final = 250
"""The most refunds, and the most disputes, that a payment may list."""

_CODE = re.compile(r"[a-z0-9_]{1,64}")

# `$` would accept a trailing newline; `\Z` does not.
_Id = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]{1,64}\Z")]
_Reference = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
_Amount = Annotated[int, msgspec.Meta(ge=0, lt=AMOUNT_LIMIT)]
_PartAmount = Annotated[int, msgspec.Meta(ge=1, lt=AMOUNT_LIMIT)]
_FEW = msgspec.Meta(max_length=MAX_REPORTED_PARTS)

T = TypeVar("T")


class UnreadableResponse(Exception):
    """The body does not match the published schema. The message has no part of it."""


class _RefundMessage(msgspec.Struct, frozen=True, gc=False):
    id: _Id
    amount: _PartAmount
    status: ReportedRefundStatus
    reference: _Reference | None = None


class _DisputeMessage(msgspec.Struct, frozen=True, gc=False):
    id: _Id
    amount: _PartAmount
    status: DisputeStatus


class PaymentMessage(msgspec.Struct, frozen=True, gc=False):
    """One payment. Unknown members are ignored.

    Not every payment service knows the members after `decline_code`.
    """

    id: _Id
    reference: _Reference
    status: ProviderStatus
    amount: _Amount
    currency: str
    captured: _Amount
    refunded: _Amount
    decline_code: str | None = None
    refunds: Annotated[tuple[_RefundMessage, ...], _FEW] = ()
    disputes: Annotated[tuple[_DisputeMessage, ...], _FEW] = ()
    next_action: Any = None
    authorized_until: Annotated[datetime, msgspec.Meta(tz=True)] | None = None

    def to_report(self) -> PaymentReport:
        """The payment as a value of the domain.

        Raises:
            UnreadableResponse: If the currency is not in ISO 4217.
        """
        try:
            amount = Money(self.amount, self.currency)
        except OrderError as error:
            raise UnreadableResponse("currency") from error
        return PaymentReport(
            provider_id=self.id,
            reference=self.reference,
            status=self.status,
            amount=amount,
            captured=self.captured,
            refunded=self.refunded,
            decline_code=None if self.decline_code is None else _safe_code(self.decline_code),
            refunds=tuple(_of(ReportedRefund, each) for each in self.refunds),
            disputes=tuple(_of(ReportedDispute, each) for each in self.disputes),
            next_action=None if self.next_action is None else _next_action(self.next_action),
            authorized_until=self.authorized_until and _in_milliseconds(self.authorized_until),
        )


class _PaymentsMessage(msgspec.Struct, frozen=True, gc=False):
    payments: list[PaymentMessage]


class _ProblemMessage(msgspec.Struct, frozen=True, gc=False):
    code: str


_PAYMENT = msgspec.json.Decoder(PaymentMessage)
_PAYMENTS = msgspec.json.Decoder(_PaymentsMessage)
_PROBLEM = msgspec.json.Decoder(_ProblemMessage)


def read_payment(body: bytes) -> PaymentReport:
    """Read the response to a request about one payment.

    Raises:
        UnreadableResponse: If it does not match the published schema.
    """
    return decode(_PAYMENT, body).to_report()


def read_payments(body: bytes) -> dict[str, PaymentReport]:
    """Read the response to a look-up: the payments by reference.

    Raises:
        UnreadableResponse: If it does not match the published schema, or has a reference twice.
    """
    payments = decode(_PAYMENTS, body).payments
    found = {payment.reference: payment.to_report() for payment in payments}
    if len(found) < len(payments):
        raise UnreadableResponse("two payments of one reference")
    return found


def read_decline_code(body: bytes) -> str:
    """The code in the body of a 402; `declined` if there is no valid one."""
    try:
        return _safe_code(decode(_PROBLEM, body).code)
    except UnreadableResponse:
        return "declined"


def decode(decoder: msgspec.json.Decoder[T], body: bytes | msgspec.Raw) -> T:
    """Read a body strictly: a string is no number, a fraction is no integer.

    Raises:
        UnreadableResponse: If it does not match the decoder's type.
    """
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise UnreadableResponse("body") from error


def _of(kind: type[T], message: msgspec.Struct) -> T:
    return kind(**msgspec.structs.asdict(message))


def _next_action(given: Any) -> NextAction | None:
    """What the payer has to do; None for a kind or an address that is not shown to anybody.

    It never makes a report unreadable: what the report says about money counts all the same.
    """
    try:
        return msgspec.convert(given, NextAction)
    except (msgspec.ValidationError, OrderError):
        return None


def _in_milliseconds(time: datetime) -> datetime:
    """The time in UTC, as every store keeps it."""
    utc = time.astimezone(UTC)
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


def _safe_code(code: str) -> str:
    """The code if it has the form of one, else `declined`: no foreign text gets into our data."""
    return code if _CODE.fullmatch(code) else "declined"
