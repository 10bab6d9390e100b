"""The service's application: REST, GraphQL and their adapters in one worker process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec

from litestar import Litestar
from litestar.types import ControllerRouterHandler

from orders.entrypoints.container import Container, opened
from orders.entrypoints.http.app import USE_CASES, create_app
from orders.entrypoints.http.pagination import Pagination
from orders.entrypoints.observability import metrics
from orders.entrypoints.observability.crash_reports import failure_logged
from orders.entrypoints.observability.span_exporter import recording_spans
from orders.entrypoints.published.routes import contract_handlers
from orders.entrypoints.settings.table import Settings


def build(settings: Settings, *, is_draining: Callable[[], bool] = lambda: False) -> Litestar:
    """The application as it runs. Nothing is connected before the application starts."""
    container = Container(settings=settings)
    for name in USE_CASES:
        # A setting that no adapter can be made of ends the process now, not its first request.
        getattr(container, name)()
    return create_app(
        container,
        is_draining=is_draining,
        extra_routes=extra_routes,
        lifespan=[
            # The server would log the traceback only, as one text.
            lambda _: failure_logged(),
            lambda _: recording_spans(settings),
            lambda _: opened(container),
            lambda _: metrics.sampled(container.gauges()),
        ],
    )


def extra_routes(pagination: Pagination) -> Sequence[ControllerRouterHandler]:
    """The contracts of the events, and the GraphQL route if the extra is installed."""
    if find_spec("graphql") is None:
        return contract_handlers()
    from orders.entrypoints.graphql.route import graphql_handler  # noqa: PLC0415  # an extra

    return [*contract_handlers(), graphql_handler(pagination)]
