"""The scenario of each payment method of the sandbox: every outcome can be tested on demand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType


class ResponseDelay(Enum):
    """How soon a response is sent after its change is stored."""

    AT_ONCE = "at once"
    SLOW = "slow"
    NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Durations in seconds.

    `ResponseDelay.NEVER` closes the connection after `never`.
    """

    slow: float = 3.0
    never: float = 30.0
    settle: float = 3.0
    """From an undecided payment to its authorisation."""
    later: float = 3.0
    """From a change to its `FollowUp`."""
    webhook: float = 1.0
    """From a change to the first try to send its webhook."""
    webhook_retry: float = 0.5
    """After the first failed try; doubled with each further one, up to a minute."""


class FollowUp(Enum):
    """What happens to a payment later, unasked."""

    DISPUTE = "the payer disputes all that was captured"
    WON_DISPUTE = "the payer disputes it, and the shop wins"
    LAPSE = "the authorisation lapses"
    REFUND_ELSEWHERE = "somebody else refunds all that was captured"
    FAILED_REFUND = "refunds that succeeded fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """How a payment behaves.

    The first `lost_calls` calls with its key change nothing; the response is 503 after `lost`. The
    call that records the payment is answered after `delay`; its repetitions at once.
    """

    decline_code: str | None = None
    refund_decline_code: str | None = None
    undecided: str | None = None
    """The status of the payment until it is decided."""
    follow_up: FollowUp | None = None
    lost_calls: int = 0
    lost: ResponseDelay = ResponseDelay.AT_ONCE
    delay: ResponseDelay = ResponseDelay.AT_ONCE


SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {
        "tok_ok": Scenario(),
        "tok_declined": Scenario(decline_code="card_declined"),
        "tok_insufficient_funds": Scenario(decline_code="insufficient_funds"),
        "tok_slow": Scenario(delay=ResponseDelay.SLOW),
        "tok_timeout_booked": Scenario(delay=ResponseDelay.NEVER),
        "tok_timeout_unbooked": Scenario(lost_calls=1, lost=ResponseDelay.NEVER),
        "tok_flaky": Scenario(lost_calls=2),
        "tok_pending": Scenario(undecided="pending"),
        "tok_requires_action": Scenario(undecided="requires_action"),
        "tok_refund_fails": Scenario(refund_decline_code="refund_failed"),
        "tok_refund_fails_late": Scenario(follow_up=FollowUp.FAILED_REFUND),
        "tok_disputed": Scenario(follow_up=FollowUp.DISPUTE),
        "tok_disputed_won": Scenario(follow_up=FollowUp.WON_DISPUTE),
        "tok_authorization_expires": Scenario(follow_up=FollowUp.LAPSE),
        "tok_refunded_elsewhere": Scenario(follow_up=FollowUp.REFUND_ELSEWHERE),
    }
)
