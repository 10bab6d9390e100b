"""The service as `orders serve` runs it, but with stores and payments in memory.

It answers thousands of requests a second, where an embedded database takes a hundred orders. What
stands before the stores is the real thing: uvicorn on a socket, tokens, limits, decoding, the use
cases. Settings are the service's own; the worker's turns are taken in the same process.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from orders.adapters.catalogue import JsonPriceList
from orders.adapters.in_memory import InMemoryEventLog, InMemoryOrders, InMemoryPayments
from orders.adapters.in_memory.rate_limits import InMemoryRateLimiter
from orders.adapters.jwt.claims import TokenRules
from orders.adapters.jwt.keys import SharedSecret
from orders.adapters.jwt.verifier import JwtVerifier
from orders.adapters.payment_service.webhooks import WebhookVerifier
from orders.entrypoints.container import UseCases
from orders.entrypoints.http.app import build_app
from orders.entrypoints.http.routes.health import Readiness
from orders.entrypoints.server.serve import serve
from orders.entrypoints.settings.table import Settings

if TYPE_CHECKING:
    from litestar import Litestar

_TURN_SECONDS = 0.2
_BATCH = 1_000


def build(settings: Settings, *, is_draining: Callable[[], bool]) -> Litestar:
    """The application over adapters in memory."""
    stored, log = InMemoryOrders(), InMemoryEventLog()
    assert settings.price_list is not None
    assert settings.jwt_hs256_secret is not None
    use_cases = UseCases(
        orders=stored,
        outbox=stored,
        log=log,
        payments=InMemoryPayments(),
        prices=JsonPriceList(Path(settings.price_list)),
        webhooks=WebhookVerifier(settings.payment_webhook_secret),
    )
    rules = TokenRules(
        issuer=settings.issuer, audience=settings.audience, default_tenant=settings.default_tenant
    )
    return build_app(
        use_cases,
        settings=settings,
        tokens=JwtVerifier(SharedSecret(settings.jwt_hs256_secret.encode()), rules),
        readiness=Readiness(is_draining, _always),
        limiter=InMemoryRateLimiter(),
        lifespan=[lambda _: _worked(use_cases)],
    )


async def _always() -> bool:
    return True


@asynccontextmanager
async def _worked(use_cases: UseCases) -> AsyncIterator[None]:
    """Take a worker's turns, for as long as the application runs."""
    turns = asyncio.create_task(_turns(use_cases))
    try:
        yield
    finally:
        turns.cancel()


async def _turns(use_cases: UseCases) -> None:
    due, relay = use_cases.process_scheduled_work(), use_cases.relay_events()
    while True:
        await relay(limit=_BATCH)
        for order_id in await due.claim(limit=_BATCH):
            await due(order_id)
        await asyncio.sleep(_TURN_SECONDS)


if __name__ == "__main__":
    serve(Settings.read(), build)
