"""The HTTP application: its routes, and what every request passes on its way to one.

A request: `connections` → `overload` → `access_log` → `framing` → `limits` → `authentication` →
`limits` → `decoding` → a handler → a use case → `answers` or `errors` → `headers` → `access_log`,
`audit`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from typing import Any

import msgspec
from litestar import Litestar, Response, Router, get
from litestar.datastructures import State
from litestar.di import Provide
from litestar.types import ControllerRouterHandler, Middleware

from orders.application.ports import RateLimiter, RatePolicy, TokenVerifier
from orders.entrypoints.admission import AdmissionQueue
from orders.entrypoints.container import Adapters, UseCases, limits_of
from orders.entrypoints.http.cursors import Cursors
from orders.entrypoints.http.errors import REFUSAL_HANDLERS
from orders.entrypoints.http.middleware.access_log import Observed
from orders.entrypoints.http.middleware.authentication import Authentication
from orders.entrypoints.http.middleware.body_arrival import Arrivals
from orders.entrypoints.http.middleware.client_address import ClientAddresses
from orders.entrypoints.http.middleware.overload import CloseWhileDraining, OverloadProtection
from orders.entrypoints.http.middleware.rate_limits import FailedAuthenticationLimit, PrincipalLimit
from orders.entrypoints.http.middleware.request_target import RequestTargetCheck
from orders.entrypoints.http.middleware.response_headers import ResponseHeaders
from orders.entrypoints.http.middleware.strict_requests import StrictRequests
from orders.entrypoints.http.openapi.bounds import PublishedLimits
from orders.entrypoints.http.openapi.description import DOCS, DOCUMENT, openapi_config, published
from orders.entrypoints.http.pagination import Http
from orders.entrypoints.http.preconditions import Edge
from orders.entrypoints.http.problems import EXCEPTION_HANDLERS
from orders.entrypoints.http.routes.changes import propose
from orders.entrypoints.http.routes.command_handlers import command_handlers
from orders.entrypoints.http.routes.docs_ui import docs_router
from orders.entrypoints.http.routes.events import EVENT_HANDLERS, PAYMENT_EVENTS
from orders.entrypoints.http.routes.health import HEALTH_HANDLERS, Readiness
from orders.entrypoints.http.routes.health import PATHS as HEALTH_PATHS
from orders.entrypoints.http.routes.orders import ORDER_HANDLERS
from orders.entrypoints.http.routes.parts import part_handlers
from orders.entrypoints.observability import metrics
from orders.entrypoints.observability.crash_reports import failure_logged
from orders.entrypoints.observability.span_exporter import recording_spans
from orders.entrypoints.settings.table import Settings

USE_CASES = (
    "place_order",
    "quote_order",
    "change_order",
    "propose_change",
    "read_orders",
    "record_payment_event",
)
"""What handlers may ask for, by the name of their parameter. At most one each: Litestar resolves
two in a task group, which costs more than most use cases do.
"""

PUBLIC = {*HEALTH_PATHS, f"/v1{PAYMENT_EVENTS}", DOCUMENT, DOCS, f"{DOCS}/{{name:str}}"}
"""Paths that need no token."""

LISTS = ("/v1/orders", "/v1/events")
"""What is refused first when there is too much to do."""

_MOST_ARRIVING = 64
"""Of the largest bodies, so many may be held that have not come in whole."""
_VERSION = metadata.version("orders")


def create_app(settings: Settings, *, is_draining: Callable[[], bool] = lambda: False) -> Litestar:
    """The service as it runs. Nothing is connected before the application starts."""
    adapters = Adapters(settings)
    return build_app(
        adapters.use_cases(),
        settings=settings,
        tokens=adapters.tokens,
        readiness=Readiness(is_draining, adapters.can_serve),
        limiter=adapters.limiter,
        lifespan=[
            # The server would log the traceback only, as one text.
            lambda _: failure_logged(),
            lambda _: recording_spans(settings),
            adapters.opened,
            lambda _: metrics.sampled(adapters.states()),
        ],
    )


def build_app(
    use_cases: UseCases,
    *,
    settings: Settings,
    tokens: TokenVerifier,
    readiness: Readiness,
    limiter: RateLimiter | None = None,
    lifespan: Sequence[Callable[[Litestar], AbstractAsyncContextManager[None]]] = (),
) -> Litestar:
    """The application over any wiring of the use cases; without a limiter, rates are free."""
    edge = Edge(
        cursors=Cursors(settings.payment_webhook_secret[0].encode()),
        max_key_length=settings.max_key_length,
        max_page=settings.max_page,
    )
    app = Litestar(
        route_handlers=[
            *_published_routes(),
            openapi_document,
            docs_router(path=DOCS, schema_url=DOCUMENT),
            *_graphql(),
        ],
        dependencies={
            "readiness": Provide(lambda: readiness, sync_to_thread=False),
            **{name: provided(getattr(use_cases, name)) for name in USE_CASES},
        },
        middleware=_middleware(settings, tokens, limiter),
        plugins=[
            StrictRequests(max_depth=settings.max_depth, body_timeout_seconds=settings.body_seconds)
        ],
        exception_handlers={**EXCEPTION_HANDLERS, **REFUSAL_HANDLERS},
        before_send=[ResponseHeaders(cors_origins=settings.cors_origins)],
        request_max_body_size=settings.max_body_bytes,
        # Litestar would serve its own description; ours is `openapi_document`.
        openapi_config=None,
        state=State({"edge": edge, "published_limits": _published_limits(settings)}),
        lifespan=lifespan,
        # The process says what is logged, and how; Litestar would start a thread for it.
        logging_config=None,
        debug=False,
    )
    observed = Observed(
        app.asgi_handler,
        addresses=ClientAddresses(settings.trusted_proxies),
        quiet_paths=HEALTH_PATHS,
    )
    # More at once than the database is asked at once would only wait behind each other there.
    turns = AdmissionQueue(
        min(settings.mongo_pool_size, settings.max_in_flight), settings.max_in_flight
    )
    protected = OverloadProtection(
        observed,
        turns,
        request_seconds=settings.request_seconds,
        arrivals=Arrivals(_MOST_ARRIVING * max(settings.max_body_bytes, 2**20)),
        lists=LISTS,
        exempt=HEALTH_PATHS,
    )
    app.state.overload = protected
    app.asgi_handler = CloseWhileDraining(protected, readiness.is_draining)
    return app


def _graphql() -> list[ControllerRouterHandler]:
    """The GraphQL route, where the extra is installed."""
    if find_spec("graphql") is None:
        return []
    from orders.entrypoints.graphql.route import graphql_handler  # noqa: PLC0415

    return [graphql_handler()]


def _middleware(
    settings: Settings, tokens: TokenVerifier, limiter: RateLimiter | None
) -> list[Middleware]:
    """What every request to a route passes, in this order."""
    failures = RatePolicy(
        per_second=settings.auth_failures_per_second,
        # Whoever mistypes gets a few tries; whoever guesses soon has to wait.
        burst=max(1, round(settings.auth_failures_per_second * 3)),
    )
    rate = RatePolicy(per_second=settings.rate_per_second, burst=settings.rate_burst)
    passed: list[Middleware] = [RequestTargetCheck()]
    if limiter is not None and failures.per_second:
        passed.append(FailedAuthenticationLimit(limiter, failures))
    passed.append(
        Authentication(tokens, public_paths=PUBLIC, max_token_bytes=settings.max_token_bytes)
    )
    if limiter is not None and rate.per_second:
        passed.append(PrincipalLimit(limiter, rate))
    return passed


def description(limits: PublishedLimits | None = None) -> dict[str, Any]:
    """The published description of the API, made without anything to run it on.

    Without `limits`, those of the settings' defaults.
    """
    nothing = {
        name: Provide(lambda: None, sync_to_thread=False) for name in ("readiness", *USE_CASES)
    }
    return published(
        Litestar(
            route_handlers=_published_routes(),
            dependencies=nothing,
            plugins=[StrictRequests()],
            openapi_config=openapi_config(_VERSION),
            # Litestar would send the whole process's log through its own handler and form.
            logging_config=None,
        ),
        limits or PublishedLimits(),
    )


@cache
def _document(limits: PublishedLimits) -> bytes:
    return msgspec.json.encode(description(limits))


@get(DOCUMENT, include_in_schema=False)
async def openapi_document(request: Http) -> Response[bytes]:
    """The description of this API, made at its first request."""
    return Response(_document(request.app.state.published_limits), media_type="application/json")


def _published_limits(settings: Settings) -> PublishedLimits:
    return PublishedLimits(
        order=limits_of(settings), key_length=settings.max_key_length, page=settings.max_page
    )


def _published_routes() -> list[ControllerRouterHandler]:
    v1 = [*ORDER_HANDLERS, propose, *command_handlers(), *part_handlers(), *EVENT_HANDLERS]
    return [Router("/v1", route_handlers=v1), *HEALTH_HANDLERS]


def provided(provider: Any) -> Provide:
    """A provider of the container, as a dependency of handlers."""
    # Litestar inspects what it calls, and a container's provider has no signature.
    return Provide(lambda: provider(), sync_to_thread=False)  # noqa: PLW0108
