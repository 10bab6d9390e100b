"""What is recorded of a request, and what never is. The whole way of an order is in `e2e`."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from orders.adapters.contracts.events.event_samples import logged_events
from orders.adapters.in_memory import InMemoryPayments
from orders.application.errors import PaymentDeclined
from orders.application.ports import LoggedEvent
from orders.domain.money import Money
from orders.entrypoints.observability import spans as telemetry
from orders.entrypoints.observability.instrumented_payments import InstrumentedPaymentGateway
from orders.entrypoints.worker import _in_a_trace
from tests.support.api import a_body, personal
from tests.support.observed_api import Caller, an_app, logged
from tests.support.shop import Between, Shop
from tests.support.spans import RecordedTrace

CANARY = "canary7f3a"


@pytest.fixture
def traced() -> RecordedTrace:
    return RecordedTrace()


def an_event(traceparent: str | None) -> LoggedEvent:
    return replace(logged_events()[0], traceparent=traceparent)


def id_of(span: ReadableSpan) -> str | None:
    return trace.format_span_id(span.context.span_id) if span.context else None


def parent_of(span: ReadableSpan) -> str | None:
    return trace.format_span_id(span.parent.span_id) if span.parent else None


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


async def test_a_refusal_is_recorded_by_its_code_and_is_no_error(
    shop: Shop, traced: RecordedTrace
) -> None:
    answer = await Caller(an_app(shop)).post(
        "/orders", a_body(currency="JPY"), headers=traced.headers
    )
    assert answer.status_code == 422
    assert answer.json()["trace_id"] == traced.trace_id
    request, place = traced.of("POST /v1/orders"), traced.of("PlaceOrder")
    assert attributes(request)["error.type"] == answer.json()["code"]
    assert attributes(place) == {"orders.refusal": answer.json()["code"]}
    assert [each.status.status_code for each in (request, place)] == [StatusCode.UNSET] * 2


async def test_a_fault_is_recorded_by_its_type_and_not_by_its_text(
    shop: Shop, traced: RecordedTrace
) -> None:
    async def fail(_: str) -> None:
        raise RuntimeError(f"cannot read {CANARY}")

    shop.orders.before = fail
    answer = await Caller(an_app(shop)).post("/orders", a_body(), headers=traced.headers)
    assert answer.status_code == 500
    request, place = traced.of("POST /v1/orders"), traced.of("PlaceOrder")
    assert attributes(place) == {"error.type": "builtins.RuntimeError"}
    assert attributes(request)["error.type"] == "internal-error"
    assert [each.status.status_code for each in (request, place)] == [StatusCode.ERROR] * 2
    assert not any(each.events for each in traced.spans)
    assert CANARY not in traced.text


async def test_nothing_that_a_caller_wrote_is_recorded(shop: Shop, traced: RecordedTrace) -> None:
    ada = Caller(an_app(shop))
    ada.client.headers.update(
        {**traced.headers, "tracestate": f"v={CANARY}", "baggage": f"v={CANARY}"}
    )
    await ada.place(
        CANARY,
        payment={"method": f"tok_{CANARY}", "capture": True},
        external_reference=CANARY,
        metadata={CANARY: CANARY},
        **personal(CANARY),
    )
    await ada.place(CANARY)  # the same key for another body
    await ada.get(f"/orders/by-reference/{CANARY}?{CANARY}={CANARY}")
    await ada.get(f"/orders/{CANARY}")
    await ada.get(f"/{CANARY}")
    await ada.get("/orders", headers={"authorization": f"Bearer {CANARY}"})
    await ada.client.request(CANARY, "/orders")
    await ada.post("/payment-events", {"type": CANARY})
    assert {each.name for each in traced.spans} >= {
        "POST /v1/orders",
        "GET /v1/orders/by-reference/{external_reference}",
        "GET unmatched",
        "GET /v1/orders",
        "other unmatched",
        "POST /v1/payment-events",
    }
    assert CANARY not in traced.text.lower()


@pytest.mark.parametrize("path", ["/orders", "/nowhere", "/orders/by-number/x"])
async def test_every_answer_is_in_the_callers_trace(
    shop: Shop, traced: RecordedTrace, path: str
) -> None:
    answer = await Caller(an_app(shop), None).get(path, headers=traced.headers)
    assert answer.json()["trace_id"] == traced.trace_id
    (request,) = traced.spans
    assert request.kind is SpanKind.SERVER
    assert parent_of(request) == traced.span_id


@pytest.mark.parametrize("flags", ["00", "02"])
async def test_what_the_caller_does_not_record_is_not_recorded(
    shop: Shop, traced: RecordedTrace, flags: str
) -> None:
    header = traced.traceparent[:-2] + flags
    answer = await Caller(an_app(shop), None).get("/orders", headers={"traceparent": header})
    assert answer.json()["trace_id"] == traced.trace_id
    assert traced.spans == []


async def test_of_two_callers_traces_none_is_believed(shop: Shop, traced: RecordedTrace) -> None:
    twice = [("traceparent", traced.traceparent)] * 2
    answer = await Caller(an_app(shop), None).client.get("/orders", headers=twice)
    assert answer.json()["trace_id"] != traced.trace_id
    assert traced.spans == []


async def test_every_line_within_a_span_names_it(shop: Shop, traced: RecordedTrace) -> None:
    async def tell(_: str) -> None:
        logging.getLogger("orders.any").warning("here")

    shop.orders.before = tell
    with logged() as lines:
        await Caller(an_app(shop)).post("/orders", a_body(), headers=traced.headers)
        await Caller(an_app(shop)).post("/orders", a_body(), key="2")
        logging.getLogger("orders.any").warning("outside")
    within, unrecorded, outside = lines.of("orders.any")
    assert (within["trace_id"], within["span_id"]) == (
        traced.trace_id,
        id_of(traced.of("PlaceOrder")),
    )
    for logger in ("orders.access", "audit"):
        first, second = lines.of(logger)
        assert first["trace_id"] == traced.trace_id
        assert first["span_id"] == id_of(traced.of("POST /v1/orders"))
        assert second["trace_id"] == unrecorded["trace_id"]
        assert "span_id" not in second
    assert "span_id" not in unrecorded
    assert outside.keys().isdisjoint({"trace_id", "span_id"})


async def test_a_payment_call_is_a_clients_span_without_its_method(traced: RecordedTrace) -> None:
    async def decline(_: str) -> None:
        raise PaymentDeclined(CANARY)

    payments = InstrumentedPaymentGateway(Between(InMemoryPayments(), before=decline))
    with (
        telemetry.entered(telemetry.request_span([(b"traceparent", traced.traceparent.encode())])),
        suppress(PaymentDeclined),
    ):
        await payments.authorize(
            reference="r", amount=Money(1, "EUR"), method=f"tok_{CANARY}", capture=True
        )
    pay = traced.of("payments authorize")
    assert pay.kind is SpanKind.CLIENT
    assert attributes(pay) == {
        "peer.service": "payments",
        "orders.payment.call": "authorize",
        "orders.refusal": PaymentDeclined.code,
    }
    assert CANARY not in traced.text


async def test_due_work_is_a_trace_of_its_own_linked_to_the_orders(
    shop: Shop, traced: RecordedTrace
) -> None:
    order = (await shop.place()).order
    await shop.log.append([replace(an_event(traced.traceparent), order_id=order.id)])

    await _in_a_trace(shop.container.process_scheduled_work(), order.id, shop.log)
    (work,) = traced.linked
    assert work.name == "due work"
    assert work.parent is None
    assert attributes(work) == {"orders.order_id": str(order.id)}
    assert traced.spans == []


@pytest.mark.parametrize("cause", [None, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"])
async def test_due_work_of_a_trace_that_is_not_recorded_has_only_an_id(cause: str | None) -> None:
    RecordedTrace()
    with telemetry.due_work(cause, {}):
        assert not telemetry.is_recorded()
        assert telemetry.current_traceparent() is not None


def test_a_delivery_is_a_producers_span_of_the_events_trace(traced: RecordedTrace) -> None:
    event = an_event(traced.traceparent)
    trace_context = telemetry.SpanTraceContext()
    with trace_context.delivering(
        event, broker="rabbitmq", destination="orders.events"
    ) as traceparent:
        pass
    (publish,) = traced.spans
    assert publish.kind is SpanKind.PRODUCER
    assert parent_of(publish) == traced.span_id
    assert traceparent == f"00-{traced.trace_id}-{id_of(publish)}-01"
    assert attributes(publish)["messaging.destination.name"] == "orders.events"


@pytest.mark.parametrize("traceparent", [None, "00-" + "1" * 32 + "-" + "2" * 16 + "-00"])
def test_a_delivery_that_is_not_recorded_goes_on_with_what_the_event_has(
    traceparent: str | None,
) -> None:
    RecordedTrace()
    trace_context = telemetry.SpanTraceContext()
    with trace_context.delivering(
        an_event(traceparent), broker="kafka", destination="topic"
    ) as sent:
        assert sent == traceparent
