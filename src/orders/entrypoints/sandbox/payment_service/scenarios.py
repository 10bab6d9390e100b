"""What each payment method of the sandbox does, so that every outcome can be had on demand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType


class ResponseDelay(Enum):
    """How soon an answer is sent once its change is stored."""

    AT_ONCE = "at once"
    SLOW = "slow"
    NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long things take, in seconds.

    NEVER still ends after `never`, so that a connection is not kept for ever.
    """

    slow: float = 3.0
    never: float = 30.0
    settle: float = 3.0
    """From a pending payment to its authorisation."""
    notice: float = 1.0
    """From a change to the first try to send its webhook."""
    notice_retry: float = 0.5
    """After the first failed try; doubled with each further one, up to a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """How a payment goes.

    The first `lost_calls` calls of its key book nothing and are answered 503, or never. The
    call that books it is answered with `haste`; its repetitions are answered at once.
    """

    decline_code: str | None = None
    refund_decline_code: str | None = None
    pending: bool = False
    lost_calls: int = 0
    lost: ResponseDelay = ResponseDelay.AT_ONCE
    haste: ResponseDelay = ResponseDelay.AT_ONCE


FATES: Mapping[str, Scenario] = MappingProxyType(
    {
        "tok_ok": Scenario(),
        "tok_declined": Scenario(decline_code="card_declined"),
        "tok_insufficient_funds": Scenario(decline_code="insufficient_funds"),
        "tok_slow": Scenario(haste=ResponseDelay.SLOW),
        "tok_timeout_booked": Scenario(haste=ResponseDelay.NEVER),
        "tok_timeout_unbooked": Scenario(lost_calls=1, lost=ResponseDelay.NEVER),
        "tok_flaky": Scenario(lost_calls=2),
        "tok_pending": Scenario(pending=True),
        "tok_refund_fails": Scenario(refund_decline_code="refund_failed"),
    }
)
