"""How an order's document grows over its life, and with how many lines."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import bson
import msgspec

from orders.adapters.mongo.documents import CODEC, to_document
from orders.application.requests import Request, RequestKey, record_request
from orders.domain.identifiers import Actor, derive_order_id, order_number
from orders.domain.money import Money
from orders.domain.order.order import KEPT_REQUESTS, Order
from orders.domain.order.storing import restore
from orders.domain.payments import PaymentReport, ProviderStatus
from orders.domain.rules import refundable, returnable_units, shippable_units
from orders.entrypoints.http.schemas.requests import PlaceOrderBody
from tests.bench.days import Sale
from tests.support.shop import PEOPLE

_BY: Final = Actor.staff("checkout")
_NOW: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
PARCELS: Final = 3
BIGGEST: Final = 16 * 2**20
"""The largest document that MongoDB takes."""


def growth_of(sale: Sale) -> dict[str, int]:
    """Bytes of the document after each step of a long life, its events relayed."""
    return {step: _bytes(order) for step, order in _life(sale)}


def _life(sale: Sale) -> Iterator[tuple[str, Order]]:
    order = _placed(sale)
    yield "placed", order
    call = order.start_payment("tok_ok", capture=True, by=_BY, now=_NOW)
    order.record_operation_result(call.key, _report(order, call.key), now=_NOW)
    yield "paid", order
    units = {line_id: n for line_id, n in shippable_units(order.state).items() if n}
    for parcel in range(PARCELS):
        part = dict(list(units.items())[parcel::PARCELS])
        if part:
            order.create_shipment(part, carrier="post", tracking="T1", by=_BY, now=_NOW)
    for shipment in order.state.shipments:
        order.dispatch(shipment.id, tracking=None, by=_BY, now=_NOW)
        order.deliver(shipment.id, by=_BY, now=_NOW)
    yield f"delivered in {PARCELS} parcels", order
    items = {line_id: n for line_id, n in returnable_units(order.state).items() if n}
    order.request_return(items, "damaged", by=_BY, now=_NOW)
    order.approve_return("1", by=_BY, now=_NOW)
    order.receive_return("1", by=_BY, now=_NOW)
    order.refund(reason="returned", by=_BY, now=_NOW)
    assert not refundable(order.state)
    assert order.state.status in {"confirmed", "completed"}
    yield "completely returned and refunded", order
    for number in range(KEPT_REQUESTS):
        key = RequestKey(value=f"{number}", operation="POST /", fingerprint="0" * 64)
        record_request(order, Request(caller=PEOPLE["root"], key=key), now=_NOW)
    yield f"with {KEPT_REQUESTS} processed requests", order


def _placed(sale: Sale) -> Order:
    body = msgspec.convert(sale.body, PlaceOrderBody)
    order_id = derive_order_id(tenant="main", subject="checkout", request_key=str(sale.lines))
    return Order.place(
        body.to_draft(),
        order_id=order_id,
        number=order_number(order_id.int),
        tenant="main",
        customer_id=sale.customer_id,
        expires_at=_NOW + timedelta(days=1),
        by=_BY,
        now=_NOW,
    )


def _report(order: Order, reference: str) -> PaymentReport:
    due = order.state.totals.due
    return PaymentReport(
        provider_id="pay_1",
        reference=reference,
        status=ProviderStatus.CAPTURED,
        amount=Money(due, order.state.currency),
        captured=due,
        refunded=0,
    )


def _bytes(order: Order) -> int:
    # A restored order has no new events: the relay has taken them.
    return len(
        bson.encode(to_document(restore(order.state), traceparent=None), codec_options=CODEC)
    )
