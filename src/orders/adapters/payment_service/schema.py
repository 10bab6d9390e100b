"""The JSON of the payment service. Its schema is published in `infra/contracts/`."""

from __future__ import annotations

import re
from typing import Annotated, TypeVar

import msgspec

from orders.domain.errors import OrderError
from orders.domain.money import AMOUNT_LIMIT, Money
from orders.domain.payments import PaymentReport, ProviderStatus

_CODE = re.compile(r"[a-z0-9_]{1,64}")

# `$` would accept a trailing newline; `\Z` does not.
_Id = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]{1,64}\Z")]
_Reference = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
_Amount = Annotated[int, msgspec.Meta(ge=0, lt=AMOUNT_LIMIT)]

T = TypeVar("T")


class UnreadableResponse(Exception):
    """The body does not match the published schema. The message has no part of it."""


class PaymentMessage(msgspec.Struct, frozen=True, gc=False):
    """One payment. Unknown members are ignored."""

    id: _Id
    reference: _Reference
    status: ProviderStatus
    amount: _Amount
    currency: str
    captured: _Amount
    refunded: _Amount
    decline_code: str | None = None

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


def decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Read a body strictly: a string is no number, a fraction is no integer.

    Raises:
        UnreadableResponse: If it does not match the decoder's type.
    """
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise UnreadableResponse("body") from error


def _safe_code(code: str) -> str:
    """The code if it has the form of one, else `declined`: no foreign text gets into our data."""
    return code if _CODE.fullmatch(code) else "declined"
