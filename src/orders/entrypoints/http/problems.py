"""RFC 9457 problem details: the form of every response that is not a success.

The texts are written here or by the error itself. Texts of frameworks, drivers and providers,
query strings and body values are never passed on.
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, cast
from uuid import UUID

import msgspec
from litestar import Request, Response
from litestar.exceptions import (
    HTTPException,
    MethodNotAllowedException,
    ValidationException,
)
from litestar.params import ParameterKwarg
from litestar.types import ExceptionHandlersMap, Scope
from msgspec import Struct

MEDIA_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "/problems/"
RETRY_AFTER_SECONDS: Final = 1

_TRACE_ID_KEY: Final = "orders.trace_id"
_CODE_KEY: Final = "orders.problem_code"
_MISSING_PARAMETER: Final = re.compile(r"Missing required (\w+) parameter '([\w-]+)' for path ")
_log: Final = logging.getLogger(__name__)


class InvalidMember(Struct, frozen=True, omit_defaults=True):
    """One thing wrong with the request: a body member by JSON pointer, or a parameter by name."""

    detail: str
    pointer: str | None = None
    parameter: str | None = None


class Problem(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What went wrong, for people (`title`, `detail`) and for programs (`type`, `code`).

    `trace_id` finds the request in logs and traces. `blocked_by` holds the codes of the guards
    that refused a command, `errors` what to correct in the request, `order_ids` the orders that a
    reference may mean.
    """

    type: str
    title: str
    status: int
    code: str
    detail: str
    trace_id: str
    blocked_by: tuple[str, ...] = ()
    errors: tuple[InvalidMember, ...] = ()
    order_ids: tuple[UUID, ...] = ()


NO_TRACE: Final = "0" * 32
"""Placeholder of the trace id in a problem that is encoded in advance."""


def problem_of(status: int, code: str, detail: str, trace_id: str = NO_TRACE) -> Problem:
    """A problem. Its title follows from `code`, as RFC 9457 wants one title per type."""
    title = code.replace("-", " ").capitalize()
    return Problem(
        type=TYPE_PREFIX + code,
        title=title,
        status=status,
        code=code,
        detail=detail,
        trace_id=trace_id,
    )


class RequestRefused(Exception):
    """The HTTP layer refused a request before it called a use case."""

    def __init__(
        self,
        status: HTTPStatus,
        code: str,
        detail: str,
        *,
        errors: Sequence[InvalidMember] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})


def trace_id_of(scope: Scope) -> str:
    """Return the request's trace id, 32 hex digits: the one that `access_log` set, or a new one."""
    stored = cast("dict[str, str]", scope)
    if _TRACE_ID_KEY not in stored:
        stored[_TRACE_ID_KEY] = secrets.token_hex(16)
    return stored[_TRACE_ID_KEY]


def set_trace_id(scope: Scope, trace_id: str) -> None:
    """Set the trace id for the problems of this request."""
    cast("dict[str, str]", scope)[_TRACE_ID_KEY] = trace_id


def code_of(scope: Scope) -> str | None:
    """Return the code of the response's problem; None for a success."""
    return cast("dict[str, str]", scope).get(_CODE_KEY)


def set_code(scope: Scope, code: str) -> None:
    """Set the code for the log, the metrics and the audit record of this request."""
    cast("dict[str, str]", scope)[_CODE_KEY] = code


def problem(
    request: Request[Any, Any, Any],
    *,
    status: int,
    code: str,
    detail: str,
    blocked_by: Sequence[str] = (),
    errors: Sequence[InvalidMember] = (),
    order_ids: Sequence[UUID] = (),
    headers: Mapping[str, str] | None = None,
) -> Response[Problem]:
    """Build the response."""
    set_code(request.scope, code)
    found = problem_of(status, code, detail, trace_id_of(request.scope))
    if blocked_by or errors or order_ids:
        found = msgspec.structs.replace(
            found,
            blocked_by=tuple(blocked_by),
            errors=tuple(errors),
            order_ids=tuple(order_ids),
        )
    return Response(
        found,
        status_code=status,
        media_type=MEDIA_TYPE,
        headers=dict(headers or {}),
    )


def on_request_refused(
    request: Request[Any, Any, Any], refusal: RequestRefused
) -> Response[Problem]:
    """Respond to a request that the HTTP layer refused."""
    return problem(
        request,
        status=refusal.status,
        code=refusal.code,
        detail=refusal.detail,
        errors=refusal.errors,
        headers=refusal.headers,
    )


def on_validation(request: Request[Any, Any, Any], error: ValidationException) -> Response[Problem]:
    """Respond with 400 and the names of missing or malformed parameters, never their values."""
    errors = _invalid_parameters(request, error)
    return problem(
        request,
        status=HTTPStatus.BAD_REQUEST,
        code="invalid-request",
        detail="; ".join(e.detail for e in errors) or "The request is not valid.",
        errors=errors,
    )


def on_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[Problem]:
    """Respond to a request that the framework refused, such as an unknown path or method."""
    if error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return on_unexpected(request, error)
    code, detail = _REFUSALS.get(error.status_code, _REFUSALS[400])
    return problem(
        request,
        status=error.status_code,
        code=code,
        detail=detail,
        headers=_headers_of(error),
    )


def on_unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """Respond with 500 and only the trace id, and log the exception once."""
    _log.error(
        "request failed unexpectedly",
        exc_info=error,
        extra={"trace_id": trace_id_of(request.scope)},
    )
    return problem(
        request,
        status=HTTPStatus.INTERNAL_SERVER_ERROR,
        code="internal-error",
        detail="The service failed. Quote the trace id when you report it.",
    )


EXCEPTION_HANDLERS: Final[ExceptionHandlersMap] = {
    RequestRefused: on_request_refused,
    ValidationException: on_validation,
    HTTPException: on_http_exception,
    Exception: on_unexpected,
}
"""For `Litestar(exception_handlers=…)`; add the refusals of domain and application to them."""


_REFUSALS: Final[Mapping[int, tuple[str, str]]] = {
    400: ("bad-request", "The request is malformed."),
    404: ("not-found", "There is nothing at this address."),
    405: ("method-not-allowed", "The Allow header names the methods of this address."),
    413: ("body-too-large", "The body is larger than this service accepts."),
}


def without_values(message: str) -> str:
    """Return a validation message of msgspec without the value that it may quote.

    A `ValueError` of a type's own `__post_init__` passes as it is: it must not quote values.
    """
    if message.startswith(("Invalid enum value", "Invalid value")):
        return "not one of the allowed values"
    if message.startswith("Object contains unknown field"):
        return "unknown member"
    return message.partition(" - at ")[0]


def _invalid_parameters(
    request: Request[Any, Any, Any], error: ValidationException
) -> tuple[InvalidMember, ...]:
    if missing := _MISSING_PARAMETER.match(error.detail):
        kind, name = missing.groups()
        return (InvalidMember(f"the {kind} parameter {name} is required", parameter=name),)
    found = error.extra if isinstance(error.extra, list) else []
    return tuple(_invalid_parameter(request, entry) for entry in found)


def _invalid_parameter(request: Request[Any, Any, Any], entry: Mapping[str, str]) -> InvalidMember:
    argument = entry.get("key", "data")
    if argument == "data":
        return InvalidMember("a JSON body is required", pointer="")
    field = request.route_handler.parsed_fn_signature.parameters.get(argument)
    definition = field.kwarg_definition if field else None
    name = definition.name if isinstance(definition, ParameterKwarg) else None
    name = name or argument
    return InvalidMember(f"{name}: {without_values(entry['message'])}", parameter=name)


def _headers_of(error: HTTPException) -> dict[str, str]:
    headers = dict(error.headers or {})
    if isinstance(error, MethodNotAllowedException):
        headers["allow"] = ", ".join(sorted(headers.get("allow", "").split(", ")))
    if error.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        # The rest of the body stays unread: the server closes, and the client should know.
        headers["connection"] = "close"
    return headers
