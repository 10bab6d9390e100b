"""One placed order is one trace, from the real gateway to the message that the broker holds."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest

from tests.support.processes.brokers import RabbitServer, messages
from tests.support.processes.cluster import UNHURRIED, Cluster, Shape, cluster
from tests.support.processes.gateway import Gateway, gateway
from tests.support.processes.otlp_receiver import OtlpReceiver
from tests.support.processes.service import Caller, Running, eventually, paid
from tests.support.traces import ADDRESS, CANARY, Told, named

EVENTS = {"OrderCreated", "OrderPaid", "OrderConfirmed"}


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, collector: OtlpReceiver, rabbit: RabbitServer
) -> Iterator[Cluster]:
    environ = {
        "ORDERS_OTLP_ENDPOINT": collector.url,
        "ORDERS_TRACE_RATIO": "0",  # only what the gateway, or whoever is before it, has decided
        "ORDERS_RABBITMQ_URI": rabbit.uri,
        "ORDERS_TRUSTED_PROXIES": "127.0.0.1/32",
    }
    shape = Shape(apis=1, workers=1, environ=UNHURRIED | environ)
    with cluster(tmp_path_factory.mktemp("traced"), shape) as running:
        yield running


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory, service: Cluster) -> Iterator[Gateway]:
    address = service.apis[0].removeprefix("http://")
    with gateway(tmp_path_factory.mktemp("gateway"), blue=address, green=address) as running:
        yield running


@pytest.fixture(scope="module")
def ada(gate: Gateway, service: Cluster) -> Iterator[Caller]:
    with httpx.Client(base_url=gate.url, verify=gate.trust, timeout=60) as client:
        yield Running(gate.url, service.data.path, service.addresses(), client).someone()


def lines_of(text: str, mark: str) -> list[dict[str, Any]]:
    """The lines of a log of JSON that hold a mark."""
    return [msgspec.json.decode(line) for line in text.splitlines() if mark in line]


@pytest.fixture(scope="module", params=["begun outside", "begun by the gateway"])
def told(
    request: pytest.FixtureRequest,
    ada: Caller,
    gate: Gateway,
    collector: OtlpReceiver,
    rabbit: RabbitServer,
) -> Told:
    """`gateway` is the span that the service was called from: theirs, or one of the gateway's."""
    name = f"shop-{secrets.token_hex(4)}"
    trace_id, span_id = secrets.token_hex(16), secrets.token_hex(8)
    outside = {"traceparent": f"00-{trace_id}-{span_id}-01"}
    answer = ada.place(
        paid(
            capture=True,
            shipping={"address": ADDRESS, "method": "standard"},
            external_reference=f"{CANARY}-{name}",
            metadata={"said": CANARY},
        ),
        headers={"X-Request-Id": name, **(outside if "outside" in request.param else {})},
    )
    assert answer.status_code == 201, answer.text
    assert answer.headers["x-request-id"] == name
    # Whoever has the name of a request finds its trace: nginx writes its line after the answer.
    (line,) = eventually(lambda: gate.logged(name))
    assert (line["method"], line["path"], line["status"]) == ("POST", "/v1/orders", "201")
    if "outside" in request.param:
        assert line["trace_id"] == trace_id
    else:
        assert line["trace_id"] != trace_id
        trace_id = line["trace_id"]
    assert re.fullmatch("[0-9a-f]{32}", trace_id)
    awaited = {"POST /v1/payment-events", *(f"publish {each}" for each in EVENTS)}
    collector.wait_for(lambda it: awaited <= {each.name for each in it.trace(trace_id)})
    spans = collector.trace(trace_id)
    if "outside" not in request.param:
        span_id = named(spans, "POST /v1/orders").parent
        # As nginx can: it has no random digits but those of the request's id.
        assert span_id == trace_id[:16]
    order_id = answer.json()["id"]
    sent = [each for each in asyncio.run(messages(rabbit.uri)) if order_id in str(each.message_id)]
    return Told(trace_id, span_id, order_id, spans, sent)


def test_the_service_goes_on_with_the_trace_that_the_gateway_passes_on(told: Told) -> None:
    request = named(told.spans, "POST /v1/orders")
    assert (request.kind, request.parent) == ("server", told.gateway)
    assert request.attributes["orders.order_id"] == told.order_id
    place = named(told.spans, "PlaceOrder")
    assert place.parent == request.span_id
    assert named(told.spans, "insert orders").parent == place.span_id
    pay = named(told.spans, "payments authorize")
    assert told.by_id[told.by_id[pay.parent].parent].name == "PlaceOrder"
    assert named(told.spans, "POST /v1/payment-events").parent == pay.span_id


def test_every_message_of_the_order_carries_the_trace_to_its_consumers(told: Told) -> None:
    assert {each.routing_key for each in told.messages} >= EVENTS
    for message in told.messages:
        _, trace_id, span_id, flags = str(message.headers["traceparent"]).split("-")
        assert (trace_id, flags) == (told.trace_id, "01")
        publish = told.by_id[span_id]
        assert (publish.kind, publish.name) == ("producer", f"publish {message.routing_key}")
        assert publish.attributes["messaging.message.id"] == message.message_id
        # It was sent by a worker, below what the request did.
        assert publish.parent in told.by_id


def test_nothing_of_the_trace_hangs_loose(told: Told) -> None:
    assert all(each.parent == told.gateway or each.parent in told.by_id for each in told.spans)
    assert not any(each.is_error for each in told.spans)
    assert len([each for each in told.spans if each.parent == told.gateway]) == 1


def test_the_logs_of_gateway_and_service_name_the_trace(
    told: Told, gate: Gateway, service: Cluster
) -> None:
    (passed,) = gate.logged(told.trace_id)
    assert passed["upstream"] == service.apis[0].removeprefix("http://")
    lines = lines_of(service.processes["api-0"].log.read_text(), told.trace_id)
    request = named(told.spans, "POST /v1/orders").span_id
    (answered,) = (
        each for each in lines if each["event"] == "request" and each["route"] == "/v1/orders"
    )
    assert (answered["span_id"], answered["status"]) == (request, 201)


def test_no_span_and_no_line_of_the_gateway_tells_of_a_person(
    told: Told, ada: Caller, gate: Gateway, collector: OtlpReceiver
) -> None:
    exported = b"".join(collector.raw).lower()
    logged = gate.log.read_bytes().lower()
    signature = str(ada.token).rpartition(".")[2]
    for secret in (CANARY, ada.token, signature, ada.subject, "tok_ok", "Lovelace", "Red mug"):
        assert str(secret).lower().encode() not in exported
        assert str(secret).lower().encode() not in logged
