"""A payment as the payment service writes it; its form is published in `infra/contracts/`."""

from __future__ import annotations

import re
from typing import Annotated, TypeVar

import msgspec

from orders.domain.errors import OrderError
from orders.domain.money import AMOUNT_LIMIT, Money
from orders.domain.payments import PaymentReport, ProviderStatus

_CODE = re.compile(r"[a-z0-9_]{1,64}")

# `\Z`, as `$` lets a trailing newline through.
_Id = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]{1,64}\Z")]
_Reference = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
_Amount = Annotated[int, msgspec.Meta(ge=0, lt=AMOUNT_LIMIT)]

T = TypeVar("T")


class UnreadableResponse(Exception):
    """The bytes are not of the published form. The message repeats nothing of them."""


class PaymentMessage(msgspec.Struct, frozen=True, gc=False):
    """One payment. Members that we do not know are ignored."""

    id: _Id
    reference: _Reference
    status: ProviderStatus
    amount: _Amount
    currency: str
    captured: _Amount
    refunded: _Amount
    decline_code: str | None = None

    def to_report(self) -> PaymentReport:
        """What the payment says, in words of the domain.

        Raises:
            UnreadableResponse: If the currency is none of ISO 4217.
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


class _WirePayments(msgspec.Struct, frozen=True, gc=False):
    payments: list[PaymentMessage]


class _WireProblem(msgspec.Struct, frozen=True, gc=False):
    code: str


_PAYMENT = msgspec.json.Decoder(PaymentMessage)
_PAYMENTS = msgspec.json.Decoder(_WirePayments)
_PROBLEM = msgspec.json.Decoder(_WireProblem)


def read_payment(body: bytes) -> PaymentReport:
    """Read the answer to a request about one payment.

    Raises:
        UnreadableResponse: If it is not of the published form.
    """
    return decode(_PAYMENT, body).to_report()


def read_payments(body: bytes) -> dict[str, PaymentReport]:
    """Read the answer to a look-up: the payments by reference.

    Raises:
        UnreadableResponse: If it is not of the published form, or names a reference twice.
    """
    payments = decode(_PAYMENTS, body).payments
    found = {payment.reference: payment.to_report() for payment in payments}
    if len(found) < len(payments):
        raise UnreadableResponse("two payments of one reference")
    return found


def read_decline_code(body: bytes) -> str:
    """The code in the body of a 402; `declined` if there is none that we can read."""
    try:
        return _safe_code(decode(_PROBLEM, body).code)
    except UnreadableResponse:
        return "declined"


def decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Read a body strictly: no text for a number, no fraction for an integer.

    Raises:
        UnreadableResponse: If it is not of the decoder's form.
    """
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise UnreadableResponse("body") from error


def _safe_code(code: str) -> str:
    """The code if it looks like one, else `declined`: no foreign text goes any further."""
    return code if _CODE.fullmatch(code) else "declined"
