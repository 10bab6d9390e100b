"""The audit trail: who tried to change what, and who was refused. At most one record a request.

Records go to the logger `audit`, at any log level. They name a person by the subject of the token
only. A caller gets 404 for an order of somebody else, too, so every 404 for an order is recorded.
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
from orders.entrypoints.http.problems import code_of

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_REFUSED: Final = frozenset({401, 403})
REFUSALS: Final = frozenset({"forbidden", "order-not-found"})
"""Codes that GraphQL returns with status 200."""
_HARMLESS: Final = frozenset({"quote", "graphql"})
"""Operations that change nothing, though they are a POST."""
_log: Final = logging.getLogger("audit")


@dataclass(slots=True)
class Change:
    """What a request changed. Empty until it has changed something."""

    order_id: str | None = None
    owner: str | None = None
    replayed: bool = False


_change: ContextVar[Change] = ContextVar("change")


def expect_change() -> Change:
    """Begin a request. Returns the object that `note_change` fills in."""
    change = Change()
    _change.set(change)
    return change


def note_change(result: CommandResult) -> None:
    """Record which order a command was about. Outside of a request, do nothing."""
    if change := _change.get(None):
        state = result.order.state
        change.order_id = str(state.id)
        change.owner = state.customer_id
        change.replayed = result.replayed


def operation_of(scope: HTTPScope) -> str | None:
    """Return the published name of the operation, None if it has none."""
    handler = scope.get("route_handler")
    return getattr(handler, "operation_id", None)


def is_change(scope: HTTPScope) -> bool:
    """Whether the request is one to change something, and no dry run."""
    if scope["method"] in _SAFE or operation_of(scope) in _HARMLESS:
        return False
    query = scope["query_string"]
    # Read as the handler reads it: what is spelled otherwise is refused, or for real.
    return not query or (b"dry_run", b"true") not in parse_qsl(query)


def audit(scope: HTTPScope, status: int, change: Change) -> None:
    """Record a request after its response, if it is a change or a refusal.

    429 and 503 are left out: nothing was decided, and a flood of them must not flood the trail.
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
    }
    name = "refused" if refused else "changed" if status < 400 else "failed"
    _log.info(name, extra=record)


def order_of(scope: HTTPScope, change: Change) -> str | None:
    """The id of the order that a request is about, if it names or made one."""
    if change.order_id is not None:
        return change.order_id
    order_id = scope.get("path_params", {}).get("order_id")
    return str(order_id) if order_id is not None else None
