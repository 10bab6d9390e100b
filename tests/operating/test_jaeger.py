"""What an operator looks at: a real Jaeger shows an order as one trace, gateway to broker."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from aio_pika.abc import AbstractIncomingMessage

from tests.support.processes.brokers import RabbitServer, messages
from tests.support.processes.cluster import Cluster, Shape, cluster
from tests.support.processes.gateway import Gateway, gateway
from tests.support.processes.jaeger_process import Jaeger, Shown, jaeger_process
from tests.support.processes.service import Running, eventually, paid
from tests.support.traces import traced_rabbit

EVENTS = {"OrderCreated", "OrderPaid", "OrderConfirmed"}
LAST = {"POST /v1/payment-events", *(f"publish {each}" for each in EVENTS)}


@dataclass(frozen=True)
class Seen:
    """An order that was placed and paid through the gateway, as seen from outside."""

    outside: str
    """The id of the span that the caller said was its own."""
    spans: dict[str, Shown]
    messages: list[AbstractIncomingMessage]

    def way_to(self, name: str) -> list[str]:
        """The names of what a span is below of, and its own: from the first on."""
        (at,) = (each for each in self.spans.values() if each.name == name)
        way = [name]
        while at.parent in self.spans:
            at = self.spans[at.parent]
            way.insert(0, at.name)
        return way


@pytest.fixture(scope="module")
def jaeger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jaeger]:
    with jaeger_process(tmp_path_factory.mktemp("jaeger")) as running:
        yield running


@pytest.fixture(scope="module")
def rabbit(jaeger: Jaeger, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    with traced_rabbit(tmp_path_factory.mktemp("rabbit")) as running:
        yield running


@pytest.fixture(scope="module")
def service(
    jaeger: Jaeger, rabbit: RabbitServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    environ = {"ORDERS_OTLP_ENDPOINT": jaeger.otlp_url, "ORDERS_RABBITMQ_URI": rabbit.uri}
    shape = Shape(apis=2, workers=1, environ={**environ, "ORDERS_TRACE_RATIO": "0"})
    with cluster(tmp_path_factory.mktemp("shown"), shape) as running:
        yield running


@pytest.fixture(scope="module")
def gate(service: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    blue, green = (url.removeprefix("http://") for url in service.apis)
    with gateway(tmp_path_factory.mktemp("gateway"), blue=blue, green=green) as running:
        yield running


@pytest.fixture(scope="module")
def seen(jaeger: Jaeger, rabbit: RabbitServer, service: Cluster, gate: Gateway) -> Seen:
    trace_id, outside = secrets.token_hex(16), secrets.token_hex(8)
    with httpx.Client(base_url=gate.url, verify=gate.trust, timeout=60) as client:
        ada = Running(gate.url, service.data.path, service.addresses(), client).someone()
        traced = {"traceparent": f"00-{trace_id}-{outside}-01"}
        answer = ada.place(paid(capture=True), headers=traced)
    assert answer.status_code == 201, answer.text

    def whole() -> dict[str, Shown] | None:
        spans = jaeger.trace(trace_id)
        return spans if {each.name for each in spans.values()} >= LAST else None

    spans = eventually(whole, seconds=60)
    return Seen(outside, spans, asyncio.run(messages(rabbit.uri)))


def test_a_trace_goes_from_the_request_to_the_broker(seen: Seen) -> None:
    request = ["POST /v1/orders", "PlaceOrder"]
    assert seen.way_to("insert orders") == [*request, "insert orders"]
    paying = [*request, "ExecutePaymentOperations", "payments authorize"]
    assert seen.way_to("POST /v1/payment-events") == [*paying, "POST /v1/payment-events"]
    for event in EVENTS:
        assert seen.way_to(f"publish {event}")[0] == "POST /v1/orders"


def test_nothing_of_it_hangs_loose(seen: Seen) -> None:
    (first,) = (each for each in seen.spans.values() if each.parent not in seen.spans)
    assert (first.name, first.parent) == ("POST /v1/orders", seen.outside)
    assert {each.service for each in seen.spans.values()} == {"orders"}
    assert not any(each.is_error for each in seen.spans.values())


def test_each_message_names_the_span_that_sent_it(seen: Seen) -> None:
    assert {each.routing_key for each in seen.messages} >= EVENTS
    for message in seen.messages:
        span = seen.spans[str(message.headers["traceparent"]).split("-")[2]]
        assert span.name == f"publish {message.routing_key}"


def test_jaeger_finds_it_by_service_and_route(jaeger: Jaeger, seen: Seen) -> None:
    assert jaeger.services() == ["orders"]
    assert seen.spans.keys() in [each.keys() for each in jaeger.find("orders", "POST /v1/orders")]
