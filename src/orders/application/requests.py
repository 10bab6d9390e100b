"""A request as the use cases see it: who sent it, and under which conditions it is carried out."""

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
    """An Idempotency-Key and the request it came with.

    `operation` is the method and path, `fingerprint` a digest of the body. The same key may be used
    for another operation, but not with another body.
    """

    value: str
    operation: str
    fingerprint: str

    def digest(self, subject: str) -> str:
        """What an order stores of the key. The key cannot be computed from it."""
        text = f"{len(subject)}:{subject}{len(self.operation)}:{self.operation}{self.value}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Who sent a request, and under which conditions it is carried out.

    `if_match` holds the versions that the caller accepts; None accepts any. With `dry_run`
    everything is checked and computed, and nothing is stored or sent.
    """

    caller: Caller
    key: RequestKey | None = None
    if_match: frozenset[int] | None = None
    dry_run: bool = False


class CommandResult(NamedTuple):
    """The order after a command. `replayed` says that an earlier request with the key did it."""

    order: Order
    replayed: bool = False


def is_replay(order: Order, request: Request, *, now: datetime) -> bool:
    """Whether an earlier request with the same key has changed this order.

    The response to a replay shows the order as it is now, not as it was then.

    Raises:
        RequestKeyReused: If the earlier request had another body.
        RequestInProgress: If the earlier request still waits for the payment service.
    """
    if request.key is None:
        return False
    processed = order.find_request(request.key.digest(request.caller.subject))
    if processed is None:
        return False
    if processed.fingerprint != request.key.fingerprint:
        raise RequestKeyReused
    operations = order.state.ledger.operations
    if any(each.tries == 0 and each.next_attempt_at > now for each in operations):
        raise RequestInProgress(retry_after_seconds=1)
    return True


def record_request(order: Order, request: Request, *, now: datetime) -> None:
    """Store on the order that this request changed it."""
    if request.key is not None:
        digest = request.key.digest(request.caller.subject)
        order.record_request(
            ProcessedRequest(key=digest, fingerprint=request.key.fingerprint, answered_at=now)
        )


def require_version(order: Order, request: Request) -> None:
    """Check that the order is at a version that the caller accepts.

    Raises:
        StaleVersion: If it is at another one.
    """
    if request.if_match is not None and order.version not in request.if_match:
        raise StaleVersion(order.version)
