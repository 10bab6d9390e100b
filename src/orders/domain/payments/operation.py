"""One operation at the payment service that is reserved, and when it is tried again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from orders.domain.identifiers import PartId
from orders.domain.read_only import read_only

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
