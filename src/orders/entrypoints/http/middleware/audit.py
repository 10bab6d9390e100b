"""The audit trail: who tried to change what, and who was refused; one record per request.

Records go to the logger `audit` at every log level. They name people by the subject of their token
only. An order of somebody else gets the same response as one that does not exist, so every 404 for
an order is recorded.
"""

from __future__ import annotations

import logging
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

from litestar.types import HTTPScope

from orders.application.access import Caller
from orders.application.requests import CommandResult
from orders.entrypoints.http.middleware.rate_limits import client_of
from orders.entrypoints.http.problems import code_of, trace_id_of
from orders.entrypoints.observability import json_logging as logs

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_REFUSED: Final = frozenset({401, 403})
REFUSALS: Final = frozenset({"forbidden", "order-not-found"})
"""Codes that are recorded although GraphQL responds with 200."""
_HARMLESS: Final = frozenset({"quote", "graphql"})
"""Operations that change nothing although they are a POST."""
_log: Final = logging.getLogger("audit")


@dataclass(slots=True)
class Change:
    """What a request did to an order; empty before it did."""

    order_id: str | None = None
    owner: str | None = None
    replayed: bool = False


_change: ContextVar[Change] = ContextVar("change")


def expect_change() -> Change:
    """Start a request: `note_change` then fills the result."""
    change = Change()
    _change.set(change)
    return change


def note_change(result: CommandResult) -> None:
    """Note for the audit trail which order a command changed. Does nothing outside a request."""
    if change := _change.get(None):
        state = result.order.state
        change.order_id = str(state.id)
        change.owner = state.customer_id
        change.replayed = result.replayed


def operation_of(scope: HTTPScope) -> str | None:
    """Return the published name of the operation; None if it has none."""
    handler = scope.get("route_handler")
    return getattr(handler, "operation_id", None)


def is_change(scope: HTTPScope) -> bool:
    """Whether the request should change something, and is no dry run."""
    if scope["method"] in _SAFE or operation_of(scope) in _HARMLESS:
        return False
    query = scope["query_string"]
    # The handler accepts this spelling only, so any other one is no dry run.
    return not query or (b"dry_run", b"true") not in parse_qsl(query)


def audit(scope: HTTPScope, status: int, change: Change, *, span_id: str | None) -> None:
    """Record a request if it changed something, should have, or was refused.

    429 and 503 are not recorded: nothing was decided, and there may be very many of them.
    """
    code = code_of(scope)
    refused = status in _REFUSED or code in REFUSALS
    if status in {429, 503} or not (refused or is_change(scope)) or "path_template" not in scope:
        return
    caller: Caller | None = scope.get("user")
    record: dict[str, Any] = {
        "action": operation_of(scope),
        "method": scope["method"],
        "route": scope["path_template"],
        "status": status,
        "code": code,
        "actor": caller.subject if caller else None,
        "tenant": caller.tenant if caller else None,
        "roles": sorted(caller.roles) if caller else None,
        "order_id": order_of(scope, change),
        "owner": change.owner,
        "replayed": change.replayed if change.order_id else None,
        "client": client_of(scope),
        "trace_id": trace_id_of(scope),
        "span_id": span_id,
    }
    name = "refused" if refused else "changed" if status < 400 else "failed"
    logs.event(_log, logging.INFO, name, record)


def order_of(scope: HTTPScope, change: Change) -> str | None:
    """Return the id of the order that a request names or created; None without one."""
    if change.order_id is not None:
        return change.order_id
    order_id = scope.get("path_params", {}).get("order_id")
    return str(order_id) if order_id is not None else None
