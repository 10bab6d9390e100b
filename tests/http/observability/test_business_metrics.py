"""Statuses that orders came to, and money that moved: counted once it is stored, and only then."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from orders.application.errors import ApplicationError, ConcurrentUpdate, StoreUnavailable
from orders.entrypoints.observability.instrumented_orders import InstrumentedOrderRepository
from tests.http.observability.test_metrics import Counted
from tests.support.api import a_body
from tests.support.observed_api import Caller, an_app
from tests.support.orders import NOW
from tests.support.shop import Shop, a_webhook

PAID: Any = {"payment": {"method": "tok_ok", "capture": True}}


@pytest.fixture
def shop() -> Shop:
    shop = Shop()
    shop.orders.port = InstrumentedOrderRepository(shop.stored)
    return shop


class Growth:
    """How all of these numbers have grown since this was made; only what has."""

    def __init__(self) -> None:
        statuses = ("pending", "confirmed", "completed", "cancelled", "expired")
        movements = ("captured", "refunded", "charged_back")
        self._counted = {
            **{each: Counted("orders_entered_status_total", status=each) for each in statuses},
            **{
                f"{movement} {currency}": Counted(
                    f"orders_{movement}_minor_units_total", currency=currency
                )
                for movement in movements
                for currency in ("EUR", "GBP")
            },
        }

    @property
    def so_far(self) -> dict[str, float]:
        return {name: each.grown for name, each in self._counted.items() if each.grown}


async def test_an_order_that_is_paid_at_once_came_to_two_statuses(shop: Shop) -> None:
    growth = Growth()
    assert (await Caller(an_app(shop)).place(**PAID)).status_code == 201
    assert growth.so_far == {"pending": 1, "confirmed": 1, "captured EUR": 4_000}


async def test_money_that_goes_back_is_counted_once(shop: Shop) -> None:
    ada = Caller(an_app(shop))
    order = (await ada.place(**PAID)).json()
    growth = Growth()
    path = f"/orders/{order['id']}/cancel"
    assert (await ada.post(path, {"reason": "customer"}, key="2")).status_code == 200
    assert (await ada.post(path, {"reason": "customer"}, key="2")).status_code == 200
    assert growth.so_far == {"cancelled": 1, "refunded EUR": 4_000}


async def test_money_that_a_bank_takes_back_is_counted_by_the_webhook(shop: Shop) -> None:
    ada = Caller(an_app(shop))
    await ada.place(**PAID)
    growth = Growth()
    report = await shop.provider.find(next(iter(shop.provider.calls)))
    assert report is not None
    headers, body = a_webhook(report, "charged_back", at=int(NOW.timestamp()))
    for _ in range(2):
        answer = await ada.client.post("/payment-events", content=body, headers=headers)
        assert answer.status_code < 300
    assert growth.so_far == {"charged_back EUR": 4_000}


async def test_an_order_that_nobody_pays_expires_once(shop: Shop) -> None:
    await shop.place()
    growth = Growth()
    shop.clock.advance(shop.container.expire_after())
    await shop.work(rounds=2)
    assert growth.so_far == {"expired": 1}


async def test_a_completed_order_is_counted(shop: Shop) -> None:
    root = Caller(an_app(shop), "root")
    order = (await Caller(an_app(shop)).place(**PAID)).json()
    growth = Growth()
    items = [{"line_id": each["id"], "quantity": each["quantity"]} for each in order["lines"]]
    path = f"/orders/{order['id']}/shipments"
    packed = (await root.post(path, {"items": items}, key="1")).json()
    shipment = packed["shipments"][0]["id"]
    for number, step in enumerate(("dispatch", "deliver"), start=2):
        answer = await root.post(f"{path}/{shipment}/{step}", {}, key=str(number))
        assert answer.status_code == 200, answer.text
    assert growth.so_far == {"completed": 1}


@pytest.mark.parametrize("error", [ConcurrentUpdate(), StoreUnavailable("gone")])
async def test_what_is_not_known_to_be_stored_is_not_counted(
    shop: Shop, error: ApplicationError
) -> None:
    class Failing(type(shop.stored)):  # type: ignore[misc]
        async def add(self, _: Any) -> None:
            raise error

    shop.orders.port = InstrumentedOrderRepository(Failing())
    growth = Growth()
    with suppress(ApplicationError):
        await Caller(an_app(shop)).post("/orders", a_body(**PAID))
    assert growth.so_far == {}
