"""The part of `OrderRepositoryContract` about `find_by_number`, `get_state` and `list`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from orders.adapters.contracts.full_order import an_order_with_everything
from orders.adapters.contracts.samples import CUSTOMER, LATER, NOW, STAFF, a_new_order
from orders.application.errors import OrderNotFound
from orders.application.ports import OrderFilter, Position
from orders.domain.identifiers import PartId
from orders.domain.lifecycle import (
    OrderFulfillmentStatus,
    OrderPaymentStatus,
    OrderReturnStatus,
    OrderStatus,
)
from orders.domain.lines import DraftLine
from orders.domain.money import Money
from orders.domain.payments import (
    DisputeStatus,
    PaymentReport,
    PaymentTerms,
    ProviderStatus,
    ReportedDispute,
    TermsKind,
)

if TYPE_CHECKING:
    from orders.application.ports import OrderRepository
    from orders.domain.order.order import Order

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

    async def test_lists_by_whether_the_rest_is_ready_to_ship(
        self, orders: OrderRepository
    ) -> None:
        await orders.add(order := a_new_order(number="A", discount=1_000))
        steps: tuple[tuple[Callable[[], None], str, str], ...] = (
            (lambda: order.hold("address", by=STAFF, now=LATER), "", "A"),
            (lambda: order.release("1", by=STAFF, now=LATER), "A", ""),
            (lambda: order.cancel("staff", by=STAFF, now=LATER), "", ""),
        )
        for step, ready, not_ready in steps:
            step()
            await orders.save(order)
            for wanted, numbers in ((True, ready), (False, not_ready)):
                where = OrderFilter(tenant="shop", ready_to_ship=wanted)
                assert await _numbers(orders, where, newest_first=True) == numbers

    async def test_lists_by_whether_the_time_to_pay_is_over(self, orders: OrderRepository) -> None:
        terms = PaymentTerms(kind=TermsKind.INVOICE, due_in_days=14)
        await orders.add(order := a_new_order(number="A", terms=terms))
        await orders.add(a_new_order(number="B"))
        due = LATER + timedelta(days=14)

        async def listed(overdue: bool, as_of: datetime) -> str:
            where = OrderFilter(tenant="shop", overdue=overdue, as_of=as_of)
            return await _numbers(orders, where, newest_first=True)

        assert [await listed(overdue, due) for overdue in (True, False)] == ["", ""]
        order.create_shipment({PartId("1"): 2}, by=STAFF, now=LATER)
        order.dispatch("1", by=STAFF, now=LATER)
        await orders.save(order)
        for as_of, overdue, not_overdue in ((due, "", "A"), (due + TICK, "A", "")):
            assert await listed(True, as_of) == overdue
            assert await listed(False, as_of) == not_overdue
        order.write_off(by=STAFF, now=LATER)
        await orders.save(order)
        assert [await listed(overdue, due + TICK) for overdue in (True, False)] == ["", ""]

    async def test_lists_by_the_status_of_disputes(self, orders: OrderRepository) -> None:
        await orders.add(order := a_new_order(number="A"))
        await orders.add(a_new_order(number="B"))
        payment = order.start_payment("tok_ok", capture=True, by=CUSTOMER, now=NOW)
        report = PaymentReport(
            provider_id="pay_1",
            reference=payment.key,
            status=ProviderStatus.CAPTURED,
            amount=Money(payment.amount, "EUR"),
            captured=payment.amount,
            refunded=0,
        )
        # A bank may reverse what it decided: won comes before lost.
        for status in DisputeStatus:
            dispute = ReportedDispute(id="dp_1", amount=1, status=status)
            disputed = replace(report, disputes=(dispute,))
            order.record_payment_report(disputed, payment.payment_id, now=LATER)
            await orders.save(order)

            for wanted in DisputeStatus:
                where = OrderFilter(tenant="shop", dispute_status=[wanted])
                found = await _numbers(orders, where, newest_first=True)
                assert found == ("A" if wanted is status else "")

    async def test_whether_an_order_is_ready_to_ship_follows_whoever_pays_for_it(
        self, orders: OrderRepository
    ) -> None:
        await orders.add(order := a_new_order(number="A"))
        dearer = DraftLine(sku="CUP", name="Cup", quantity=1, unit_price=300)
        steps: tuple[tuple[Callable[[], object], bool], ...] = (
            (lambda: _pay(order, ProviderStatus.AUTHORIZED), True),
            (lambda: _report(order, ProviderStatus.VOIDED), False),
            (lambda: _pay(order, ProviderStatus.CAPTURED), True),
            (lambda: _report(order, ProviderStatus.CAPTURED, charged_back=True), False),
            (lambda: _pay(order, ProviderStatus.AUTHORIZED), True),
            (lambda: _add_line(order, dearer), False),
            (lambda: order.grant_credit(300, "goodwill", by=STAFF, now=LATER), True),
            (lambda: order.void("3", by=STAFF, now=LATER), False),
            (lambda: order.record_operation_failure(f"{order.id}:3:void:1", "no", now=LATER), True),
        )
        for place, (step, is_ready) in enumerate(steps):
            step()
            await orders.save(order)
            found = {
                wanted: await _numbers(
                    orders, OrderFilter(tenant="shop", ready_to_ship=wanted), newest_first=True
                )
                for wanted in (True, False)
            }
            assert found == {is_ready: "A", not is_ready: ""}, place

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


def _pay(order: Order, status: ProviderStatus) -> None:
    """Pay what is still needed, with this outcome."""
    order.start_payment("tok_ok", by=STAFF, now=LATER)
    _report(order, status)


def _report(order: Order, status: ProviderStatus, *, charged_back: bool = False) -> None:
    payment = order.state.ledger.payments[-1]
    report = PaymentReport(
        provider_id=f"pay_{payment.id}",
        reference=f"{order.id}:{payment.id}",
        status=status,
        amount=Money(payment.amount, order.state.currency),
        captured=payment.amount if status is ProviderStatus.CAPTURED else 0,
        refunded=0,
    )
    order.record_payment_report(report, payment.id, charged_back=charged_back, now=LATER)


def _add_line(order: Order, line: DraftLine) -> None:
    order.propose_change(removed={}, added=[line], reason="other", by=STAFF, now=LATER)
    order.apply_change(order.state.changes[-1].id, by=STAFF, now=LATER)
