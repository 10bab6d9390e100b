"""The HTTP application: its routes, and what every request passes on its way to one.

A request passes `overload`, `access_log`, `request_target`, `rate_limits`, `authentication`,
`rate_limits` again, `strict_requests`, a handler and its use case. Its response is made in
`schemas`, or in `errors` and `problems`, and passes `response_headers`, `access_log` and `audit`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import cache
from importlib import metadata
from typing import Any

import msgspec
from litestar import Litestar, Response, Router, get
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler
from litestar.types import ControllerRouterHandler, Middleware

from orders.application.ports import RateLimiter, RatePolicy, TokenVerifier
from orders.domain.validation import OrderLimits
from orders.entrypoints.admission import AdmissionQueue
from orders.entrypoints.container import Container
from orders.entrypoints.http.errors import REFUSAL_HANDLERS
from orders.entrypoints.http.middleware.access_log import Observed
from orders.entrypoints.http.middleware.authentication import Authentication
from orders.entrypoints.http.middleware.body_arrival import Arrivals
from orders.entrypoints.http.middleware.client_address import ClientAddresses
from orders.entrypoints.http.middleware.head_requests import HeadRequests
from orders.entrypoints.http.middleware.overload import CloseWhileDraining, OverloadProtection
from orders.entrypoints.http.middleware.rate_limits import FailedAuthenticationLimit, PrincipalLimit
from orders.entrypoints.http.middleware.request_target import RequestTargetCheck
from orders.entrypoints.http.middleware.response_headers import ResponseHeaders
from orders.entrypoints.http.middleware.strict_requests import StrictRequests
from orders.entrypoints.http.openapi.bounds import PublishedLimits
from orders.entrypoints.http.openapi.description import (
    ASYNCAPI,
    DOCS,
    DOCUMENT,
    DOCUMENT_3_0,
    EVENT_SCHEMAS,
    openapi_config,
    published,
)
from orders.entrypoints.http.openapi.version_3_0 import as_openapi_3_0
from orders.entrypoints.http.pagination import Pagination
from orders.entrypoints.http.preconditions import CommandRequestReader
from orders.entrypoints.http.problems import EXCEPTION_HANDLERS
from orders.entrypoints.http.routes.changes import propose_handler
from orders.entrypoints.http.routes.command_handlers import command_handlers
from orders.entrypoints.http.routes.corrections import correct_handler
from orders.entrypoints.http.routes.docs_ui import docs_router
from orders.entrypoints.http.routes.events import PAYMENT_EVENTS, event_handlers
from orders.entrypoints.http.routes.health import HEALTH_HANDLERS, Readiness
from orders.entrypoints.http.routes.health import PATHS as HEALTH_PATHS
from orders.entrypoints.http.routes.orders import order_handlers
from orders.entrypoints.http.routes.parts import part_handlers
from orders.entrypoints.settings.table import Settings

USE_CASES = (
    "place_order",
    "quote_order",
    "change_order",
    "propose_change",
    "read_orders",
    "record_payment_event",
)
"""What handlers depend on, by the name of their parameter: each handler on one. Litestar resolves
two in a task group, which costs more than most use cases do; whatever else a handler needs is an
argument of the function that makes it.
"""

PUBLIC = {
    *HEALTH_PATHS,
    f"/v1{PAYMENT_EVENTS}",
    *(DOCUMENT, DOCUMENT_3_0, DOCS, f"{DOCS}/{{name:str}}"),
    *(ASYNCAPI, EVENT_SCHEMAS),
}
"""Paths that need no token."""

LISTS = ("/v1/orders", "/v1/events")
"""The paths whose requests are refused first under overload."""

_MOST_ARRIVING = 64
"""How many bodies of the largest size may be held while they arrive."""
_VERSION = metadata.version("orders")


def create_app(
    container: Container,
    *,
    is_draining: Callable[[], bool] = lambda: False,
    extra_routes: Callable[[Pagination], Sequence[ControllerRouterHandler]] = lambda _: (),
    lifespan: Sequence[Callable[[Litestar], AbstractAsyncContextManager[None]]] = (),
) -> Litestar:
    """The API of a container's use cases, and what `extra_routes` adds to it.

    The use cases are looked up for each request, so a test may override a provider at any time.
    Nothing is connected here: `lifespan` opens and closes what the process needs.
    """
    settings = container.settings()
    pagination = Pagination(settings.payment_webhook_secret[0].encode(), max_page=settings.max_page)
    reader = CommandRequestReader(max_key_length=settings.max_key_length)
    readiness = Readiness(is_draining, container.readiness_checks())
    app = Litestar(
        route_handlers=[
            *_published_routes(reader, pagination, container.limits()),
            *document_handlers(_published_limits(container)),
            docs_router(path=DOCS, schema_url=DOCUMENT),
            *extra_routes(pagination),
        ],
        dependencies={
            "readiness": Provide(lambda: readiness, sync_to_thread=False),
            **{name: provided(getattr(container, name)) for name in USE_CASES},
        },
        middleware=_middleware(settings, container.tokens(), container.limiter()),
        plugins=[
            StrictRequests(
                max_depth=settings.max_depth, body_timeout_seconds=settings.body_seconds
            ),
            HeadRequests(),
        ],
        exception_handlers={**EXCEPTION_HANDLERS, **REFUSAL_HANDLERS},
        before_send=[ResponseHeaders(cors_origins=settings.cors_origins)],
        request_max_body_size=settings.max_body_bytes,
        # Litestar would serve its own description; ours is `openapi_document`.
        openapi_config=None,
        lifespan=lifespan,
        # The process says what is logged, and how; Litestar would start a thread for it.
        logging_config=None,
        debug=False,
    )
    protected = _protected(app, settings)
    # For the server, which asks it before it makes a request of what has come in.
    app.state.overload = protected
    app.asgi_handler = CloseWhileDraining(protected, is_draining)
    return app


def _protected(app: Litestar, settings: Settings) -> OverloadProtection:
    """The application behind its access log and its admission queue."""
    observed = Observed(
        app.asgi_handler,
        addresses=ClientAddresses(settings.trusted_proxies, settings.forwarded_header),
        quiet_paths=HEALTH_PATHS,
    )
    # The database takes `mongo_pool_size` calls at once: more requests would only wait there.
    turns = AdmissionQueue(
        min(settings.mongo_pool_size, settings.max_in_flight), settings.max_in_flight
    )
    return OverloadProtection(
        observed,
        turns,
        request_seconds=settings.request_seconds,
        arrivals=Arrivals(_MOST_ARRIVING * max(settings.max_body_bytes, 2**20)),
        lists=LISTS,
        exempt=HEALTH_PATHS,
    )


def _middleware(
    settings: Settings, tokens: TokenVerifier, limiter: RateLimiter
) -> list[Middleware]:
    """What every request to a route passes, in this order."""
    failures = RatePolicy(
        per_second=settings.auth_failures_per_second,
        # Whoever mistypes gets a few tries; whoever guesses soon has to wait.
        burst=max(1, round(settings.auth_failures_per_second * 3)),
    )
    rate = RatePolicy(per_second=settings.rate_per_second, burst=settings.rate_burst)
    passed: list[Middleware] = [RequestTargetCheck()]
    if failures.per_second:
        passed.append(FailedAuthenticationLimit(limiter, failures))
    passed.append(
        Authentication(tokens, public_paths=PUBLIC, max_token_bytes=settings.max_token_bytes)
    )
    if rate.per_second:
        passed.append(PrincipalLimit(limiter, rate))
    return passed


def description(limits: PublishedLimits | None = None) -> dict[str, Any]:
    """The published description of the API, made without anything to run it on.

    Without `limits`, those of the settings' defaults.
    """
    shown = limits or PublishedLimits()
    reader = CommandRequestReader(max_key_length=shown.key_length)
    pagination = Pagination(b"", max_page=shown.page)
    nothing = {
        name: Provide(lambda: None, sync_to_thread=False) for name in ("readiness", *USE_CASES)
    }
    app = Litestar(
        route_handlers=_published_routes(reader, pagination, shown.order),
        dependencies=nothing,
        plugins=[StrictRequests()],
        openapi_config=openapi_config(_VERSION),
        # Litestar would send the whole process's log through its own handler and form.
        logging_config=None,
    )
    return published(app, shown)


@cache
def _document(limits: PublishedLimits, path: str) -> bytes:
    if path == DOCUMENT:
        return msgspec.json.encode(description(limits))
    return msgspec.json.encode(as_openapi_3_0(msgspec.json.decode(_document(limits, DOCUMENT))))


def document_handlers(limits: PublishedLimits) -> list[HTTPRouteHandler]:
    """The handlers that serve the descriptions. Each is made at the first request for it, which
    takes half a second: a thread makes it, and the event loop goes on.
    """

    def handler(path: str) -> HTTPRouteHandler:
        @get(path, include_in_schema=False, sync_to_thread=True)
        def openapi_document() -> Response[bytes]:
            return Response(_document(limits, path), media_type="application/json")

        return openapi_document

    return [handler(DOCUMENT), handler(DOCUMENT_3_0)]


def _published_limits(container: Container) -> PublishedLimits:
    settings = container.settings()
    return PublishedLimits(
        order=container.limits(),
        key_length=settings.max_key_length,
        page=settings.max_page,
        pay_within_seconds=settings.max_pay_within_seconds,
    )


def _published_routes(
    reader: CommandRequestReader, pagination: Pagination, limits: OrderLimits
) -> list[ControllerRouterHandler]:
    v1 = [
        *order_handlers(reader, pagination),
        propose_handler(reader),
        correct_handler(reader),
        *command_handlers(reader, limits),
        *part_handlers(),
        *event_handlers(pagination),
    ]
    return [Router("/v1", route_handlers=v1), *HEALTH_HANDLERS]


def provided(provider: Callable[[], Any]) -> Provide:
    """A provider of the container, as a dependency of handlers."""
    # Litestar inspects what it calls, and a container's provider has no signature.
    return Provide(lambda: provider(), sync_to_thread=False)  # noqa: PLW0108
