"""The part of `OrderRepositoryContract` about worklists: ready to ship, overdue, disputed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from orders.adapters.contracts.samples import CUSTOMER, LATER, NOW, STAFF, a_new_order
from orders.application.ports import OrderFilter
from orders.domain.identifiers import PartId
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


class Worklists:
    """Lists of what staff have to do follow each change of an order."""

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
