"""One order is one trace, from the gateway to the broker and back, as a collector gets it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aio_pika
import httpx
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from orders.adapters.rabbitmq import EXCHANGE
from tests.cluster import Cluster, Shape, cluster
from tests.contract.brokers import (
    RABBITMQ_MISSING,
    RabbitServer,
    rabbit_server,
    rabbitmq_is_installed,
)
from tests.e2e.cases.running import Caller, Running, eventually, paid
from tests.otlp_receiver import OtlpReceiver, Received, otlp_receiver

QUEUE = "traced"
CANARY = f"canary{secrets.token_hex(4)}"
ADDRESS = {
    "name": f"{CANARY} Lovelace",
    "line1": f"{CANARY} Street 1",
    "city": CANARY.title(),
    "postal_code": "N1 7AA",
    "country": "GB",
}


@pytest.fixture(scope="module")
def collector() -> Iterator[OtlpReceiver]:
    with otlp_receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    if not rabbitmq_is_installed():
        pytest.skip(RABBITMQ_MISSING)
    with rabbit_server(tmp_path_factory.mktemp("rabbit")) as server:
        asyncio.run(bind(server.uri))
        yield server


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, collector: OtlpReceiver, rabbit: RabbitServer
) -> Iterator[Cluster]:
    environ = {
        "ORDERS_OTLP_ENDPOINT": collector.url,
        "ORDERS_TRACE_RATIO": "0",  # only what a caller has decided
        "ORDERS_RABBITMQ_URI": rabbit.uri,
    }
    shape = Shape(apis=1, workers=1, environ=environ)
    with cluster(tmp_path_factory.mktemp("traced"), shape) as running:
        yield running


@pytest.fixture(scope="module")
def ada(service: Cluster) -> Iterator[Caller]:
    with httpx.Client(base_url=service.apis[0], timeout=20) as client:
        yield Running(service.apis[0], service.data.path, service.addresses(), client).someone()


async def bind(uri: str) -> None:
    """Keep all that the exchange gets."""
    async with await aio_pika.connect(uri) as connection:
        channel = await connection.channel()
        arguments = {"alternate-exchange": f"{EXCHANGE}.unrouted"}
        exchange = await channel.declare_exchange(
            EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True, arguments=arguments
        )
        queue = await channel.declare_queue(QUEUE, durable=True)
        await queue.bind(exchange, "#")


async def messages(uri: str) -> list[aio_pika.abc.AbstractIncomingMessage]:
    """What came; it is taken out."""
    found = []
    async with await aio_pika.connect(uri) as connection:
        queue = await (await connection.channel()).declare_queue(QUEUE, passive=True)
        while message := await queue.get(no_ack=True, fail=False):
            found.append(message)
    return found


def number(url: str, name: str, **labels: str) -> float:
    """What a process publishes of itself."""
    for family in text_string_to_metric_families(httpx.get(url).text):
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                return float(sample.value)
    return 0.0


def named(spans: list[Received], name: str) -> Received:
    (found,) = (each for each in spans if each.name == name)
    return found


def test_a_placed_and_paid_order_is_one_trace_from_the_gateway_to_the_broker_and_back(
    ada: Caller, collector: OtlpReceiver, rabbit: RabbitServer
) -> None:
    trace_id, gateway = secrets.token_hex(16), secrets.token_hex(8)
    wanted = paid(
        capture=True,
        shipping={"address": ADDRESS, "method": "standard"},
        external_reference=CANARY,
        metadata={"said": CANARY},
    )
    answer = ada.place(wanted, headers={"traceparent": f"00-{trace_id}-{gateway}-01"})
    assert answer.status_code == 201, answer.text
    order_id = answer.json()["id"]
    ada.get(
        f"/v1/orders/by-reference/{CANARY}", headers={"traceparent": f"00-{trace_id}-{gateway}-01"}
    )

    def is_complete(receiver: OtlpReceiver) -> bool:
        names = {each.name for each in receiver.trace(trace_id)}
        return {
            "POST /v1/orders",
            "POST /v1/payment-events",
            "publish OrderPaid",
            "publish OrderConfirmed",
            "GET /v1/orders/by-reference/{external_reference}",
        } <= names

    collector.wait_for(is_complete)
    spans = collector.trace(trace_id)
    by_id = {each.span_id: each for each in spans}

    # From the gateway into the service, and down.
    request = named(spans, "POST /v1/orders")
    assert (request.kind, request.parent, request.service) == ("server", gateway, "orders")
    assert request.attributes == {
        "http.request.method": "POST",
        "http.route": "/v1/orders",
        "http.response.status_code": 201,
        "orders.order_id": order_id,
    }
    place = named(spans, "PlaceOrder")
    assert (place.kind, place.parent) == ("internal", request.span_id)
    insert = named(spans, "insert orders")
    assert (insert.kind, insert.parent) == ("client", place.span_id)
    assert insert.attributes == {
        "db.system.name": "mongodb",
        "db.namespace": "orders",
        "db.operation.name": "insert",
        "db.collection.name": "orders",
    }
    settle = by_id[named(spans, "payments authorize").parent]
    assert (settle.name, settle.parent) == ("SettlePayments", place.span_id)
    assert "update orders" in {each.name for each in spans if each.parent == settle.span_id}

    # The provider was told, and tells back.
    pay = named(spans, "payments authorize")
    assert pay.kind == "client"
    webhook = named(spans, "POST /v1/payment-events")
    assert (webhook.kind, webhook.parent) == ("server", pay.span_id)

    # The worker sends what happened, in the trace in which it did.
    sent = [each for each in asyncio.run(messages(rabbit.uri)) if order_id in str(each.message_id)]
    assert {"OrderCreated", "OrderPaid", "OrderConfirmed"} <= {each.routing_key for each in sent}
    for message in sent:
        _, trace, span_id, flags = str(message.headers["traceparent"]).split("-")
        assert (trace, flags) == (trace_id, "01")
        publish = by_id[span_id]
        assert (publish.kind, publish.name) == ("producer", f"publish {message.routing_key}")
        assert publish.attributes["messaging.message.id"] == message.message_id
        _, trace, cause, _ = msgspec.json.decode(message.body)["traceparent"].split("-")
        assert (trace, cause) == (trace_id, publish.parent)
        assert cause in by_id

    # Nothing hangs in the air, nothing failed, and nothing tells of a person.
    assert all(each.parent == gateway or each.parent in by_id for each in spans)
    assert not any(each.is_error for each in spans)
    assert collector.paths == {"/v1/traces"}
    exported = b"".join(collector.raw).lower()
    secrets_of_the_request = (CANARY, ada.token, ada.subject, "tok_ok", "Lovelace", "Red mug")
    for secret in secrets_of_the_request:
        assert str(secret).lower().encode() not in exported
    assert str(ada.token).rpartition(".")[2].lower().encode() not in exported


def test_what_a_caller_decided_not_to_record_is_not_recorded(
    ada: Caller, collector: OtlpReceiver
) -> None:
    unsampled, sampled = secrets.token_hex(16), secrets.token_hex(16)
    order = ada.place(paid(), headers={"traceparent": f"00-{unsampled}-{secrets.token_hex(8)}-00"})
    ada.get("/v1/orders")
    ada.get(
        f"/v1/orders/{order.json()['id']}",
        headers={"traceparent": f"00-{sampled}-{secrets.token_hex(8)}-01"},
    )
    collector.wait_for(lambda receiver: bool(receiver.trace(sampled)))
    assert collector.trace(unsampled) == []
    # All that was recorded, somebody asked for.
    assert not any(each.name == "GET /v1/orders" for each in collector.spans)


def test_a_log_line_names_the_span_that_it_is_about(
    ada: Caller, service: Cluster, collector: OtlpReceiver
) -> None:
    trace_id = secrets.token_hex(16)
    ada.get("/v1/orders", headers={"traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01"})
    collector.wait_for(lambda receiver: bool(receiver.trace(trace_id)))
    request = named(collector.trace(trace_id), "GET /v1/orders")
    lines: list[dict[str, Any]] = [
        msgspec.json.decode(line)
        for line in service.processes["api-0"].log.read_text().splitlines()
        if trace_id in line
    ]
    assert [(each["event"], each["span_id"]) for each in lines] == [("request", request.span_id)]


def test_a_collector_that_hangs_holds_up_no_answer_and_no_end(
    ada: Caller, service: Cluster, collector: OtlpReceiver
) -> None:
    """The last test here: it ends a process."""
    collector.hang()
    kept = number(service.metrics_urls["api-0"], "orders_spans_exported_total")
    assert kept > 0
    for _ in range(10):
        trace = f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
        assert ada.get("/v1/orders", headers={"traceparent": trace}).status_code == 200
    collector.wait_for(lambda receiver: receiver.hung > 0)
    assert ada.place(paid()).status_code == 201
    url = service.metrics_urls["api-0"]
    eventually(
        lambda: number(url, "orders_spans_dropped_total", reason="not-exported") > 0, seconds=60
    )
    assert service.processes["api-0"].stop(within_seconds=30) == 0
    assert "the collector takes no spans" in service.processes["api-0"].log.read_text()
