"""The part of `OrderRepositoryContract` about `find_by_number`, `get_state` and `list`."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from orders.adapters.contracts.full_order import an_order_with_everything
from orders.adapters.contracts.samples import CUSTOMER, LATER, NOW, STAFF, a_new_order
from orders.application.errors import OrderNotFound
from orders.application.ports import OrderFilter, Position
from orders.domain.lifecycle import (
    OrderFulfillmentStatus,
    OrderPaymentStatus,
    OrderReturnStatus,
    OrderStatus,
)

if TYPE_CHECKING:
    from orders.application.ports import OrderRepository

TICK = timedelta(milliseconds=1)


class OrderListing:
    """Orders are found by number, and listed in pages."""

    async def test_finds_an_order_by_tenant_and_number(self, orders: OrderRepository) -> None:
        await orders.add(order := a_new_order(number="SAME"))
        await orders.add(a_new_order(number="SAME", tenant="other"))

        found = await orders.find_by_number("shop", "SAME")

        assert found == order.state
        for tenant, number in (("shop", "NONE"), ("nobody", "SAME")):
            with pytest.raises(OrderNotFound):
                await orders.find_by_number(tenant, number)

    async def test_reads_return_all_of_a_state_but_the_processed_requests(
        self, orders: OrderRepository
    ) -> None:
        order = an_order_with_everything(status=OrderStatus.CONFIRMED)
        tenant, number = order.state.tenant, order.state.number
        assert order.state.requests
        await orders.add(order)

        page = await orders.list(OrderFilter(tenant=tenant), newest_first=True, after=None, limit=1)
        (listed,) = page.orders
        assert (list(page.unreadable), page.next) == ([], None)

        expected = replace(order.state, requests=())
        assert listed == expected
        assert await orders.get_state(order.id) == expected
        assert await orders.find_by_number(tenant, number) == expected
        assert (await orders.get(order.id)).state.requests == order.state.requests

    @pytest.mark.parametrize(
        ("condition", "numbers"),
        [
            ({}, "ABCDE"),
            ({"owner": "customer-1"}, "ACD"),
            ({"owner": "customer-2"}, "BE"),
            ({"owner": "nobody"}, ""),
            ({"customer_id": "customer-1"}, "AC"),
            ({"customer_id": "customer-1", "owner": "customer-2"}, ""),
            ({"status": [OrderStatus.CANCELLED]}, "B"),
            ({"status": [OrderStatus.CANCELLED, OrderStatus.CONFIRMED]}, "BC"),
            ({"payment_status": [OrderPaymentStatus.NOT_REQUIRED]}, "BC"),
            ({"fulfillment_status": [OrderFulfillmentStatus.CANCELLED]}, "B"),
            ({"return_status": [OrderReturnStatus.NONE]}, "ABCDE"),
            ({"return_status": [OrderReturnStatus.RETURNED]}, ""),
            ({"number": "D"}, "D"),
            ({"external_reference": "po-1"}, "AE"),
            ({"outstanding": True}, "ADE"),
            ({"outstanding": False}, "BC"),
            ({"external_reference": "po-1", "placed_by": "customer-1"}, "AE"),
            ({"external_reference": "po-1", "placed_by": "nobody"}, ""),
            ({"ready_to_ship": True}, "C"),
            ({"ready_to_ship": False}, ""),
            ({"created_from": NOW + TICK}, "BCDE"),
            ({"created_before": NOW + TICK}, "A"),
            ({"created_from": NOW + TICK, "created_before": NOW + 3 * TICK}, "BC"),
            ({"created_from": NOW + TICK / 2, "created_before": NOW + TICK / 2}, ""),
            ({"created_from": datetime.min.replace(tzinfo=UTC)}, "ABCDE"),
            ({"created_before": NOW.replace(year=1969)}, ""),
            ({"created_before": NOW.replace(year=2300)}, "ABCDE"),
            ({"created_from": NOW.replace(year=2300)}, ""),
            ({"created_before": datetime.max.replace(tzinfo=UTC)}, "ABCDE"),
            ({"owner": "customer-1", "status": [OrderStatus.PENDING], "outstanding": True}, "AD"),
        ],
        ids=str,
    )
    async def test_lists_the_orders_that_match_the_filter(
        self, orders: OrderRepository, condition: dict[str, Any], numbers: str
    ) -> None:
        await _five_orders(orders)
        where = OrderFilter(tenant="shop", **condition)

        assert await _numbers(orders, where, newest_first=False) == numbers
        assert await _numbers(orders, where, newest_first=True) == numbers[::-1]

    async def test_a_position_never_widens_the_filter(self, orders: OrderRepository) -> None:
        await _five_orders(orders)
        order_id = (await orders.find_by_number("shop", "C")).id
        late, early = (Position(at=at, order_id=order_id) for at in (LATER, NOW - TICK))
        where = OrderFilter(tenant="shop", created_from=NOW + TICK, created_before=NOW + 3 * TICK)

        for newest_first, after, numbers in ((True, late, "CB"), (False, early, "BC")):
            found = await orders.list(where, newest_first=newest_first, after=after, limit=10)
            assert "".join(order.number for order in found.orders) == numbers

    async def test_lists_nothing_of_other_tenants(self, orders: OrderRepository) -> None:
        await orders.add(a_new_order(tenant="other"))

        assert await _numbers(orders, OrderFilter(tenant="shop"), newest_first=True) == ""

    async def test_lists_by_the_state_of_the_last_save(self, orders: OrderRepository) -> None:
        await orders.add(order := a_new_order(number="A"))
        order.cancel("staff", by=STAFF, now=LATER)
        await orders.save(order)

        for condition, numbers in (
            ({"status": [OrderStatus.PENDING]}, ""),
            ({"status": [OrderStatus.CANCELLED]}, "A"),
            ({"outstanding": True}, ""),
            ({"outstanding": False}, "A"),
        ):
            where = OrderFilter(tenant="shop", **condition)
            assert await _numbers(orders, where, newest_first=True) == numbers

    @pytest.mark.parametrize("newest_first", [True, False])
    async def test_each_order_is_on_one_page_while_new_orders_are_added(
        self, orders: OrderRepository, newest_first: bool
    ) -> None:
        # Four were created in the same millisecond: their ids decide. The others fill more pages.
        times = [NOW + max(0, n - 3) * TICK for n in range(10)]
        there = [a_new_order(now=at) for at in times]
        await asyncio.gather(*map(orders.add, there))
        expected = sorted(((o.state.created_at, o.id) for o in there), reverse=newest_first)

        seen: list[tuple[object, object]] = []
        after: Position | None = None
        for page in range(10):
            found = await orders.list(
                OrderFilter(tenant="shop"), newest_first=newest_first, after=after, limit=3
            )
            seen += [(order.created_at, order.id) for order in found.orders]
            if found.next is None:
                break
            after = found.next
            assert (after.at, after.order_id) == seen[-1]
            await orders.add(a_new_order(now=(LATER if newest_first else NOW) + page * TICK))

        assert len(seen) == len({*seen})
        assert [place for place in seen if place in expected] == expected
        assert seen == sorted(seen, reverse=newest_first)


async def _five_orders(orders: OrderRepository) -> None:
    """Created 1 ms apart: A plain; B cancelled; C free; D of a guest; E of another customer."""
    each = [
        a_new_order(number="A", external_reference="po-1"),
        a_new_order(number="B", customer_id="customer-2", now=NOW + TICK),
        a_new_order(number="C", discount=1_000, now=NOW + 2 * TICK),
        a_new_order(number="D", customer_id=None, now=NOW + 3 * TICK),
        a_new_order(
            number="E",
            customer_id="customer-2",
            external_reference="po-1",
            now=NOW + 4 * TICK,
        ),
    ]
    each[1].cancel("customer", by=CUSTOMER, now=LATER)
    for order in each:
        await orders.add(order)


async def _numbers(orders: OrderRepository, where: OrderFilter, *, newest_first: bool) -> str:
    found = await orders.list(where, newest_first=newest_first, after=None, limit=10)
    return "".join(order.number for order in found.orders)
