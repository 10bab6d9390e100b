"""What the payment service reports of one payment."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from orders.domain.errors import InvalidValue
from orders.domain.money import Money
from orders.domain.payments.disputes import DisputeStatus
from orders.domain.read_only import read_only
from orders.domain.validation import (
    validate_amount,
    validate_kind,
    validate_str,
    validate_time,
    validate_whole,
)

REDIRECT: Final = "redirect"
"""The one kind of next action: the payer opens the address in their browser."""
MAX_ADDRESS: Final = 2_048
"""The most characters of an address."""
# The host has no user name before it and no backslash after it: what a person reads is where the
# browser goes. The rest has the characters of RFC 3986.
_ADDRESS: Final = re.compile(
    r"https://[A-Za-z0-9][A-Za-z0-9.-]{0,252}(?::[0-9]{1,5})?"
    r"(?:[/?#][A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]*)?\Z"
)


class ProviderStatus(StrEnum):
    """The status of a payment, as the contract of the payment service spells it."""

    AUTHORIZED = "authorized"
    CAPTURED = "captured"
    DECLINED = "declined"
    VOIDED = "voided"
    PENDING = "pending"
    REQUIRES_ACTION = "requires_action"


class ReportedRefundStatus(StrEnum):
    """The status of a refund. A failed one may have succeeded before: the bank sent it back."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedRefund:
    """A refund of a payment. `reference` is the key of our operation; None if others made it."""

    id: str
    amount: int
    status: ReportedRefundStatus
    reference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedDispute:
    """A dispute about a payment. `amount` is minor units."""

    id: str
    amount: int
    status: DisputeStatus


@read_only
@dataclass(frozen=True, slots=True, kw_only=True)
class NextAction:
    """What the payer has to do before a payment is decided. `url` may hold a secret: never log it.

    Raises:
        InvalidValue: If `type` is not "redirect", or `url` is no https address.
    """

    type: str
    url: str = field(repr=False)

    def __post_init__(self) -> None:
        if self.type != REDIRECT:
            raise InvalidValue("next_action/type", f"must be {REDIRECT}")
        url = validate_str(self.url, "next_action/url")
        if len(url) > MAX_ADDRESS or not _ADDRESS.match(url):
            raise InvalidValue("next_action/url", "must be an https address")


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentReport:
    """What the payment service says of one payment: all of it so far, not only what is new.

    `captured` and `refunded` are minor units of the currency of `amount`. If `refunds` or
    `disputes` are not empty, they list all of the payment; a payment service may know neither.

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
    refunds: tuple[ReportedRefund, ...] = ()
    disputes: tuple[ReportedDispute, ...] = ()
    next_action: NextAction | None = None
    authorized_until: datetime | None = None

    def __post_init__(self) -> None:
        for name in ("captured", "refunded"):
            validate_whole(getattr(self, name), name)
        for name in ("provider_id", "reference"):
            validate_str(getattr(self, name), name)
        validate_kind(self.amount, Money, "amount")
        if self.refunds:
            _validate_parts(self.refunds, ReportedRefund, ReportedRefundStatus, "refunds")
        if self.disputes:
            _validate_parts(self.disputes, ReportedDispute, DisputeStatus, "disputes")
        if self.next_action is not None:
            validate_kind(self.next_action, NextAction, "next_action")
        if self.authorized_until is not None:
            validate_time(self.authorized_until, "authorized_until")

    @property
    def has_details(self) -> bool:
        """Whether it says anything that only some payment services report."""
        return bool(self.refunds or self.disputes or self.next_action or self.authorized_until)

    def refund_status(self, reference: str) -> ReportedRefundStatus | None:
        """The status of the refund with this reference; None if it is not listed."""
        statuses = (each.status for each in self.refunds if each.reference == reference)
        return next(statuses, None)

    @property
    def failed_amount(self) -> int:
        """What its failed refunds add up to."""
        return sum(
            refund.amount for refund in self.refunds if refund.status is ReportedRefundStatus.FAILED
        )

    @property
    def contradicts_itself(self) -> bool:
        """True if the status is captured and `captured` is 0, or if `captured` is above 0 and the
        status is neither captured nor authorized. Also if a dispute is about more than `captured`.

        A payment of which a part was captured stays `captured` when the rest is voided.
        """
        if self.disputes and any(dispute.amount > self.captured for dispute in self.disputes):
            return True
        if self.status is ProviderStatus.CAPTURED:
            return self.captured == 0
        return self.captured > 0 and self.status is not ProviderStatus.AUTHORIZED


def _validate_parts(
    parts: Sequence[ReportedRefund] | Sequence[ReportedDispute],
    kind: type,
    statuses: type,
    name: str,
) -> None:
    for part in parts:
        validate_kind(part, kind, name)
        validate_kind(part.status, statuses, f"{name}/status")
        validate_str(part.id, f"{name}/id")
        validate_amount(part.amount, f"{name}/amount", least=1)
