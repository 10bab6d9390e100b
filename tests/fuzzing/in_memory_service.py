"""The service as `orders serve` runs it, but with stores and payments in memory.

It answers thousands of requests a second, where an embedded database takes a hundred orders. What
stands before the stores is the real thing: uvicorn on a socket, tokens, limits, decoding, the use
cases. Settings are the service's own; the worker's turns are taken in the same process.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from orders.adapters.in_memory import InMemoryEventLog, InMemoryOrders, InMemoryPayments
from orders.entrypoints.container import Container
from orders.entrypoints.http.app import create_app
from orders.entrypoints.server.application import extra_routes
from orders.entrypoints.server.serve import serve
from orders.entrypoints.settings.table import Settings

if TYPE_CHECKING:
    from litestar import Litestar

_TURN_SECONDS = 0.2
_BATCH = 1_000


def build(settings: Settings, *, is_draining: Callable[[], bool]) -> Litestar:
    """The application over stores and payments in memory."""
    stored = InMemoryOrders()
    container = Container(settings=settings)
    container.override_providers(
        orders=stored,
        outbox=stored,
        log=InMemoryEventLog(),
        payments=InMemoryPayments(),
        readiness_checks=[],
    )
    return create_app(
        container,
        is_draining=is_draining,
        extra_routes=extra_routes,
        lifespan=[lambda _: _worked(container)],
    )


@asynccontextmanager
async def _worked(container: Container) -> AsyncIterator[None]:
    """Take a worker's turns, for as long as the application runs."""
    turns = asyncio.create_task(_turns(container))
    try:
        yield
    finally:
        turns.cancel()


async def _turns(container: Container) -> None:
    due, relay = container.process_scheduled_work(), container.relay_events()
    while True:
        await relay(limit=_BATCH)
        for order_id in await due.claim(limit=_BATCH):
            await due(order_id)
        await asyncio.sleep(_TURN_SECONDS)


if __name__ == "__main__":
    serve(Settings.read(), build)
