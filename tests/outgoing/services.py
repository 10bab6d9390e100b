"""One server that plays every service which is called over HTTP, and the calls to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import pytest
from aiohttp import web
from opentelemetry.sdk.trace.export import SpanExportResult

from orders.adapters.payment_service.resilience import Timing
from orders.application.errors import ApplicationError
from orders.domain.money import Money
from orders.entrypoints.container import Container
from orders.entrypoints.observability.span_exporter import exporter_of
from orders.entrypoints.settings.table import Settings
from tests.support.payments.payment_stub import StubPaymentService, payment
from tests.support.processes.orders_process import COMPLETE

KEY: Final = {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "1",
              "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}  # fmt: skip
CREDENTIAL: Final = "the-credential-of-the-service"


async def plays_all(_stub: StubPaymentService, request: web.Request) -> web.StreamResponse:
    """Answer as payment service, as JWKS endpoint or as price list, by the path."""
    if request.path.endswith("/jwks"):
        return web.json_response({"keys": [KEY]})
    if request.path.endswith("/prices"):
        return web.json_response({"prices": {"PEN": 1_000}})
    return web.json_response(payment(), status=201)


def a_container(url: str, **settings: str) -> Container:
    """The parts of a service that finds everything below one URL. Its retries do not wait."""
    where = {"PAYMENT_URL": url, "JWKS_URL": f"{url}/jwks", "PRICE_LIST": url}
    given = {f"ORDERS_{name}": value for name, value in where.items()}
    read = Settings.read({**COMPLETE, "ORDERS_PAYMENT_TOKEN": CREDENTIAL, **given, **settings})
    container = Container(settings=read)
    container.payment_service.add_kwargs(timing=Timing(sleep=_at_once))
    return container


async def _at_once(_: float) -> None:
    pass


async def pays(container: Container) -> None:
    """Call the payment service."""
    async with container.payment_service() as payments:
        await payments.authorize(
            reference="order:1", amount=Money(1_999, "EUR"), method="tok_ok", capture=True
        )


async def fetches_keys(container: Container) -> None:
    """Call the JWKS endpoint."""
    async with container.jwks() as ring:
        await ring.ensure_keys()


async def asks_prices(container: Container) -> None:
    """Call the price list."""
    async with container.http_catalogue() as prices:
        assert await prices.prices(["PEN"], "EUR") == {"PEN": 1_000}


CALLS: Final[Mapping[str, Callable[[Container], Awaitable[Any]]]] = {
    "payment service": pays,
    "JWKS": fetches_keys,
    "price list": asks_prices,
}


async def failure(container: Container, call: str, caplog: pytest.LogCaptureFixture) -> str:
    """Make a call that fails, and return what an operator can read about it."""
    caplog.clear()
    with pytest.raises(ApplicationError) as refused:
        await CALLS[call](container)
    return f"{refused.value} {caplog.text}"


def exports(url: str, **settings: str) -> bool:
    """Whether a collector at this URL takes an export."""
    read = Settings.read({**COMPLETE, "ORDERS_OTLP_ENDPOINT": url, **settings})
    exporter = exporter_of(read)
    try:
        return exporter.export([]) is SpanExportResult.SUCCESS
    finally:
        exporter.shutdown()  # type: ignore[no-untyped-call]
