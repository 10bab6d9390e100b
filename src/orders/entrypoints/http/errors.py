"""The status of every error: one table, and the handler that responds with it."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final

from litestar import Request, Response
from litestar.types import ExceptionHandlersMap

from orders.application import errors as application
from orders.application.errors import ApplicationError
from orders.domain import errors as domain
from orders.domain.errors import InvalidValue, OrderError
from orders.entrypoints.http.problems import RETRY_AFTER_SECONDS, InvalidMember, Problem, problem

_S: Final = HTTPStatus
STATUS: Mapping[type[Exception], HTTPStatus] = MappingProxyType(
    {
        domain.InvalidValue: _S.UNPROCESSABLE_ENTITY,
        domain.CurrencyUnknown: _S.UNPROCESSABLE_ENTITY,
        domain.CurrencyMismatch: _S.UNPROCESSABLE_ENTITY,
        domain.AmountTooLarge: _S.UNPROCESSABLE_ENTITY,
        domain.ExpiryPassed: _S.UNPROCESSABLE_ENTITY,
        domain.TotalChanged: _S.UNPROCESSABLE_ENTITY,
        domain.PartNotFound: _S.NOT_FOUND,
        domain.IllegalTransition: _S.CONFLICT,
        domain.IllegalStep: _S.CONFLICT,
        domain.HasCustomer: _S.CONFLICT,
        domain.OnHold: _S.CONFLICT,
        domain.PaymentNotCovered: _S.CONFLICT,
        domain.PaymentInFlight: _S.CONFLICT,
        domain.NotYetExpired: _S.CONFLICT,
        domain.AlreadyShipped: _S.CONFLICT,
        domain.WouldCancelWholeOrder: _S.CONFLICT,
        domain.ChangeOpen: _S.CONFLICT,
        domain.ChangeOutdated: _S.CONFLICT,
        domain.TooManyParts: _S.CONFLICT,
        domain.TooManyDeclines: _S.CONFLICT,
        domain.QuantityExceedsAvailable: _S.CONFLICT,
        domain.NothingDue: _S.CONFLICT,
        domain.AmountExceedsDue: _S.CONFLICT,
        domain.AmountExceedsAuthorized: _S.CONFLICT,
        domain.AmountExceedsRefundable: _S.CONFLICT,
        domain.RefundMustBeRecorded: _S.CONFLICT,
        domain.CreditExceedsAvailable: _S.CONFLICT,
        domain.RefundMustBeRecorded: _S.CONFLICT,
        domain.NotDelivered: _S.CONFLICT,
        domain.NotSettled: _S.CONFLICT,
        domain.OrderNotClosed: _S.CONFLICT,
        application.OrderNotFound: _S.NOT_FOUND,
        application.AmbiguousReference: _S.CONFLICT,
        application.UnreadableOrder: _S.SERVICE_UNAVAILABLE,
        application.Forbidden: _S.FORBIDDEN,
        application.StaleVersion: _S.PRECONDITION_FAILED,
        application.ConcurrentUpdate: _S.CONFLICT,
        application.DuplicateOrder: _S.CONFLICT,
        application.RequestKeyReused: _S.UNPROCESSABLE_ENTITY,
        application.RequestInProgress: _S.CONFLICT,
        application.TooManyCustomerDeclines: _S.TOO_MANY_REQUESTS,
        application.PriceUnknown: _S.UNPROCESSABLE_ENTITY,
        application.TaxChanged: _S.UNPROCESSABLE_ENTITY,
        application.PricesUnavailable: _S.SERVICE_UNAVAILABLE,
        application.StoreUnavailable: _S.SERVICE_UNAVAILABLE,
        application.PaymentUnavailable: _S.SERVICE_UNAVAILABLE,
        application.PaymentNotAttempted: _S.SERVICE_UNAVAILABLE,
        application.PaymentDeclined: _S.CONFLICT,
        application.PaymentRefused: _S.BAD_GATEWAY,
        application.PublisherUnavailable: _S.SERVICE_UNAVAILABLE,
        application.KeysUnavailable: _S.SERVICE_UNAVAILABLE,
        application.InvalidToken: _S.UNAUTHORIZED,
        application.InvalidWebhook: _S.BAD_REQUEST,
    }
)
"""The status of every error. A test fails if one is missing."""

EDGE_REFUSALS: Final[Mapping[str, tuple[HTTPStatus, str]]] = MappingProxyType(
    {
        "bad-request": (_S.BAD_REQUEST, "The request is malformed as HTTP."),
        "malformed-body": (_S.BAD_REQUEST, "The body is incomplete, ambiguous or not JSON."),
        "invalid-body": (_S.UNPROCESSABLE_ENTITY, "The body is JSON, but does not fit the schema."),
        "invalid-request": (_S.BAD_REQUEST, "A parameter is missing or invalid."),
        "invalid-query": (_S.BAD_REQUEST, "A query parameter is unknown or repeated."),
        "invalid-cursor": (_S.BAD_REQUEST, "The cursor does not belong to this list and caller."),
        "invalid-etag": (_S.BAD_REQUEST, "The header is not a list of entity tags."),
        "idempotency-key-missing": (_S.BAD_REQUEST, "The operation needs an Idempotency-Key."),
        "idempotency-key-invalid": (_S.BAD_REQUEST, "The Idempotency-Key is malformed."),
        "unauthenticated": (_S.UNAUTHORIZED, "The request has no valid access token."),
        "not-found": (_S.NOT_FOUND, "There is nothing at this address."),
        "method-not-allowed": (
            _S.METHOD_NOT_ALLOWED,
            "The method is not allowed; see `Allow`.",
        ),
        "body-timeout": (_S.REQUEST_TIMEOUT, "The body took too long to arrive."),
        "body-too-large": (_S.REQUEST_ENTITY_TOO_LARGE, "The body is larger than accepted."),
        "header-too-large": (_S.REQUEST_HEADER_FIELDS_TOO_LARGE, "The headers are too large."),
        "unsupported-media-type": (_S.UNSUPPORTED_MEDIA_TYPE, "The body must be plain JSON."),
        "version-required": (_S.PRECONDITION_REQUIRED, "The operation needs If-Match."),
        "rate-limited": (_S.TOO_MANY_REQUESTS, "Too many requests from this caller or address."),
        "internal-error": (_S.INTERNAL_SERVER_ERROR, "A fault of the service; quote the trace id."),
        "draining": (_S.SERVICE_UNAVAILABLE, "The process is about to end: it is not ready."),
        "overloaded": (_S.SERVICE_UNAVAILABLE, "The service has more requests than it can serve."),
    }
)
"""Errors raised before a use case is called: code, status and published meaning."""

_SAY_WHEN: Final = (
    application.RequestInProgress,
    application.TooManyCustomerDeclines,
    domain.TooManyDeclines,
)
"""Refusals that know when a retry may work."""
_SEE_OTHER_TEXT: Final[Mapping[type[Exception], str]] = {
    # Their messages are for our logs; texts of drivers and providers never reach a client.
    application.StoreUnavailable: "The database is not available at the moment. Retry the request.",
    application.UnreadableOrder: (
        "Only a newer version of the service can read this order. Retry the request: another "
        "replica may run that version."
    ),
    application.PricesUnavailable: "Prices are not available at the moment. Retry the request.",
}


def on_refusal(
    request: Request[Any, Any, Any], refusal: OrderError | ApplicationError
) -> Response[Problem]:
    """Respond to an error of the domain or the application."""
    status = next(STATUS[kind] for kind in type(refusal).__mro__ if kind in STATUS)
    return problem(
        request,
        status=status,
        code=refusal.code,
        detail=_SEE_OTHER_TEXT.get(type(refusal), str(refusal)),
        blocked_by=_blocked_by(refusal, status),
        errors=_errors(refusal),
        order_ids=getattr(refusal, "order_ids", ()),
        headers=_headers(refusal, status),
    )


def _blocked_by(refusal: Exception, status: HTTPStatus) -> tuple[str, ...]:
    if isinstance(refusal, OrderError) and status is _S.CONFLICT:
        return refusal.blocked_by
    return ()


def _errors(refusal: Exception) -> list[InvalidMember]:
    if not isinstance(refusal, InvalidValue):
        return []
    return [InvalidMember(refusal.problem, pointer=f"/{refusal.field}")]


def _headers(refusal: Exception, status: HTTPStatus) -> dict[str, str]:
    if isinstance(refusal, _SAY_WHEN):
        return {"retry-after": str(refusal.retry_after_seconds)}
    if status is _S.SERVICE_UNAVAILABLE or isinstance(refusal, application.ConcurrentUpdate):
        return {"retry-after": str(RETRY_AFTER_SECONDS)}
    return {}


REFUSAL_HANDLERS: Final[ExceptionHandlersMap] = {
    OrderError: on_refusal,
    ApplicationError: on_refusal,
}
