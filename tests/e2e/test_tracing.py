"""One order is one trace, from the gateway to the broker and back, as a collector gets it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.processes.brokers import RabbitServer, messages
from tests.support.processes.cluster import UNHURRIED, Cluster, Shape, cluster
from tests.support.processes.otlp_receiver import OtlpReceiver
from tests.support.processes.service import Caller, Running, eventually, paid
from tests.support.traces import ADDRESS, CANARY, Told, named


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, collector: OtlpReceiver, rabbit: RabbitServer
) -> Iterator[Cluster]:
    environ = {
        "ORDERS_OTLP_ENDPOINT": collector.url,
        "ORDERS_TRACE_RATIO": "0",  # only what a caller has decided
        "ORDERS_RABBITMQ_URI": rabbit.uri,
    }
    shape = Shape(apis=1, workers=1, environ=UNHURRIED | environ)
    with cluster(tmp_path_factory.mktemp("traced"), shape) as running:
        yield running


@pytest.fixture(scope="module")
def ada(service: Cluster) -> Iterator[Caller]:
    with httpx.Client(base_url=service.apis[0], timeout=60) as client:
        yield Running(service.apis[0], service.data.path, service.addresses(), client).someone()


def number(url: str, name: str, **labels: str) -> float:
    """What a process publishes of itself."""
    for family in text_string_to_metric_families(httpx.get(url).text):
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                return float(sample.value)
    return 0.0


@pytest.fixture(scope="module")
def told(ada: Caller, collector: OtlpReceiver, rabbit: RabbitServer) -> Told:
    trace_id, gateway = secrets.token_hex(16), secrets.token_hex(8)
    wanted = paid(
        capture=True,
        shipping={"address": ADDRESS, "method": "standard"},
        external_reference=CANARY,
        metadata={"said": CANARY},
    )
    traced = {"traceparent": f"00-{trace_id}-{gateway}-01"}
    answer = ada.place(wanted, headers=traced)
    assert answer.status_code == 201, answer.text
    assert ada.get(f"/v1/orders/by-reference/{CANARY}", headers=traced).status_code == 200
    awaited = {
        "POST /v1/payment-events",
        "publish OrderPaid",
        "publish OrderConfirmed",
        "GET /v1/orders/by-reference/{external_reference}",
    }
    collector.wait_for(lambda it: awaited <= {each.name for each in it.trace(trace_id)})
    order_id = answer.json()["id"]
    sent = [each for each in asyncio.run(messages(rabbit.uri)) if order_id in str(each.message_id)]
    return Told(trace_id, gateway, order_id, collector.trace(trace_id), sent)


def test_a_request_goes_on_with_the_gateways_trace_under_its_route_template(told: Told) -> None:
    request = named(told.spans, "POST /v1/orders")
    assert (request.kind, request.parent, request.service) == ("server", told.gateway, "orders")
    assert request.attributes == {
        "http.request.method": "POST",
        "http.route": "/v1/orders",
        "http.response.status_code": 201,
        "orders.order_id": told.order_id,
    }


def test_use_case_and_database_commands_are_below_the_request(told: Told) -> None:
    place = named(told.spans, "PlaceOrder")
    assert told.by_id[place.parent].name == "POST /v1/orders"
    insert = named(told.spans, "insert orders")
    assert (insert.kind, insert.parent) == ("client", place.span_id)
    assert insert.attributes == {
        "db.system.name": "mongodb",
        "db.namespace": "orders",
        "db.operation.name": "insert",
        "db.collection.name": "orders",
    }


def test_the_payment_service_is_told_the_trace_and_tells_it_back(told: Told) -> None:
    pay = named(told.spans, "payments authorize")
    settle = told.by_id[pay.parent]
    assert (pay.kind, settle.name) == ("client", "ExecutePaymentOperations")
    assert told.by_id[settle.parent].name == "PlaceOrder"
    assert "update orders" in told.below(settle)
    webhook = named(told.spans, "POST /v1/payment-events")
    assert (webhook.kind, webhook.parent) == ("server", pay.span_id)
    assert told.below(webhook) == {"RecordPaymentEvent"}


def test_a_message_goes_on_with_the_trace_that_caused_it(told: Told) -> None:
    assert {"OrderCreated", "OrderPaid", "OrderConfirmed"} <= {
        each.routing_key for each in told.messages
    }
    for message in told.messages:
        _, trace_id, span_id, flags = str(message.headers["traceparent"]).split("-")
        assert (trace_id, flags) == (told.trace_id, "01")
        publish = told.by_id[span_id]
        assert (publish.kind, publish.name) == ("producer", f"publish {message.routing_key}")
        assert publish.attributes["messaging.message.id"] == message.message_id
        event = msgspec.json.decode(message.body)["traceparent"]
        assert event == f"00-{told.trace_id}-{publish.parent}-01"


def test_a_trace_hangs_together_and_tells_of_no_person(
    told: Told, ada: Caller, collector: OtlpReceiver
) -> None:
    assert all(each.parent == told.gateway or each.parent in told.by_id for each in told.spans)
    assert not any(each.is_error for each in told.spans)
    assert collector.paths == {"/v1/traces"}
    exported = b"".join(collector.raw).lower()
    signature = str(ada.token).rpartition(".")[2]
    for secret in (CANARY, ada.token, signature, ada.subject, "tok_ok", "Lovelace", "Red mug"):
        assert str(secret).lower().encode() not in exported


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


def test_a_worker_looks_at_what_waits(ada: Caller, service: Cluster, rabbit: RabbitServer) -> None:
    """It tells of events that a frozen broker keeps waiting, and that none waits afterwards."""
    rabbit.freeze()
    try:
        ada.placed()
        url, name = service.metrics_urls["worker-0"], "orders_outbox_waiting_orders"
        eventually(lambda: number(url, name) == 1, seconds=60)
        assert number(url, "orders_outbox_oldest_seconds") > 0
    finally:
        rabbit.thaw()
    eventually(lambda: number(url, name) == 0, seconds=60)


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
