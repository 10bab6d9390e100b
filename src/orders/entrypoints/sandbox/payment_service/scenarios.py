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
    """From a pending payment to its authorisation."""
    webhook: float = 1.0
    """From a change to the first try to send its webhook."""
    webhook_retry: float = 0.5
    """After the first failed try; doubled with each further one, up to a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """How a payment behaves.

    The first `lost_calls` calls with its key change nothing; the response is 503 after `lost`. The
    call that records the payment is answered after `delay`; its repetitions at once.
    """

    decline_code: str | None = None
    refund_decline_code: str | None = None
    pending: bool = False
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
        "tok_pending": Scenario(pending=True),
        "tok_refund_fails": Scenario(refund_decline_code="refund_failed"),
    }
)
