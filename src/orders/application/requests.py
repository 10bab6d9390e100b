"""A request as the use cases see it: who asks, and under which conditions."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from orders.application.access import Caller
from orders.application.errors import RequestInProgress, RequestKeyReused, StaleVersion
from orders.domain.order.order import Order
from orders.domain.state import ProcessedRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestKey:
    """An Idempotency-Key with what it was sent for.

    `operation` is the method and path, `fingerprint` a digest of the body: the same key may be
    used for another operation, but not for another body.
    """

    value: str
    operation: str
    fingerprint: str

    def digest(self, subject: str) -> str:
        """What orders remember of the key: nobody can read the key back from it."""
        text = f"{len(subject)}:{subject}{len(self.operation)}:{self.operation}{self.value}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Who asks, and under which conditions.

    `if_match` holds the versions the caller has decided on; None means any. With `dry_run`
    everything is checked and worked out, and nothing is stored or sent.
    """

    caller: Caller
    key: RequestKey | None = None
    if_match: frozenset[int] | None = None
    dry_run: bool = False


class CommandResult(NamedTuple):
    """The order as it is now; `replayed` if an earlier request with this key did the work."""

    order: Order
    replayed: bool = False


def replay_of(order: Order, request: Request, *, now: datetime) -> CommandResult | None:
    """The answer to a request that this order has answered before.

    A replay shows the order as it is now, which is the truth, not a copy of an old one.

    Raises:
        RequestKeyReused: If the key came with another body then.
        RequestInProgress: If the first request is still asking the payment service.
    """
    if request.key is None:
        return None
    answered = order.find_request(request.key.digest(request.caller.subject))
    if answered is None:
        return None
    if answered.fingerprint != request.key.fingerprint:
        raise RequestKeyReused
    calls = order.state.ledger.operations
    if any(call.tries == 0 and call.next_attempt_at > now for call in calls):
        raise RequestInProgress(retry_after_seconds=1)
    return CommandResult(order, replayed=True)


def record_request(order: Order, request: Request, *, now: datetime) -> None:
    """Have the order remember that it has answered this request."""
    if request.key is not None:
        digest = request.key.digest(request.caller.subject)
        order.record_request(
            ProcessedRequest(key=digest, fingerprint=request.key.fingerprint, answered_at=now)
        )


def require_version(order: Order, request: Request) -> None:
    """Check the version that the caller decided on.

    Raises:
        StaleVersion: If the order is at another one now.
    """
    if request.if_match is not None and order.version not in request.if_match:
        raise StaleVersion(order.version)
