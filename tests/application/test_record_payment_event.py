"""Messages of the payment service: booked whatever their order and number."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest

from orders.application.errors import ConcurrentUpdate, InvalidWebhook
from orders.application.update_order import TRIES
from orders.domain.lifecycle import OrderPaymentStatus, OrderStatus
from orders.domain.payments import PaymentReport, PaymentStatus, ProviderStatus
from tests.support.orders import NOW
from tests.support.shop import Shop, a_webhook


async def book(shop: Shop, report: PaymentReport, kind: str = "captured") -> bool:
    """Book a message; True if it is about a payment of ours."""
    headers, body = a_webhook(report, kind, at=int(NOW.timestamp()))
    known: bool = await shop.container.record_payment_event()(headers, body)
    return known


async def a_pending_payment(shop: Shop) -> PaymentReport:
    """What the payment service first says of a payment that is then captured at once."""
    order = (await shop.place(method="tok_pending", capture=True)).order
    report = await shop.provider.find(f"{order.id}:1")
    assert report is not None
    return report


@pytest.mark.parametrize("order", [*permutations(range(4))], ids=str)
async def test_the_order_and_number_of_messages_do_not_matter(
    shop: Shop, order: tuple[int, ...]
) -> None:
    pending = await a_pending_payment(shop)
    authorized = replace(pending, status=ProviderStatus.AUTHORIZED)
    captured = replace(pending, status=ProviderStatus.CAPTURED, captured=4_300)
    refunded = replace(captured, refunded=1_000)
    news = [pending, authorized, captured, refunded]

    for index in (*order, *order):
        assert await book(shop, news[index])

    (stored,) = [kept.state for kept in shop.stored._kept.values()]
    assert (stored.totals.captured, stored.totals.refunded) == (4_300, 1_000)
    assert stored.ledger.payments[0].status is PaymentStatus.CAPTURED
    assert stored.ledger.operations == ()
    events = await shop.history(stored.id)
    assert events.count("PaymentCaptured") == 1
    assert stored.status is OrderStatus.CONFIRMED
    assert events.count("OrderConfirmed") == 1


async def test_a_message_that_says_nothing_new_writes_nothing(shop: Shop) -> None:
    report = replace(await a_pending_payment(shop), status=ProviderStatus.AUTHORIZED)
    await book(shop, report)
    (before,) = [kept.state for kept in shop.stored._kept.values()]

    assert await book(shop, report)

    (after,) = [kept.state for kept in shop.stored._kept.values()]
    assert after is before


async def test_a_charge_back_before_the_capture_was_known_books_both(shop: Shop) -> None:
    pending = await a_pending_payment(shop)
    captured = replace(pending, status=ProviderStatus.CAPTURED, captured=4_300)

    await book(shop, captured, "charged_back")
    await book(shop, captured, "captured")
    await book(shop, captured, "charged_back")

    (state,) = [kept.state for kept in shop.stored._kept.values()]
    assert (state.totals.captured, state.totals.charged_back) == (4_300, 4_300)
    assert state.payment_status is OrderPaymentStatus.CHARGED_BACK


async def test_a_lost_race_is_booked_anew_and_then_given_back_to_the_sender(shop: Shop) -> None:
    report = replace(await a_pending_payment(shop), status=ProviderStatus.AUTHORIZED)
    (order_id,) = shop.stored._kept
    saves: list[str] = []
    races = TRIES

    async def interfere(name: str) -> None:
        if name == "save":
            saves.append(name)
            if len(saves) <= races:
                await shop.stored.save(await shop.see(order_id))

    shop.orders.before = interfere
    with pytest.raises(ConcurrentUpdate):
        await book(shop, report)
    assert len(saves) == TRIES
    assert (await shop.see(order_id)).state.payment_status is OrderPaymentStatus.PENDING

    saves.clear()
    races = TRIES - 1
    assert await book(shop, report)
    assert (await shop.see(order_id)).status is OrderStatus.CONFIRMED


async def test_is_about_no_payment_of_ours(shop: Shop) -> None:
    report = await a_pending_payment(shop)
    (before,) = [kept.state for kept in shop.stored._kept.values()]
    head = report.reference.rpartition(":")[0]

    for reference in ("x", f"{head}:2", f"{head}:refund:1", f"{head[::-1]}:1", f"{head}:"):
        assert not await book(shop, replace(report, reference=reference))

    (after,) = [kept.state for kept in shop.stored._kept.values()]
    assert after is before


async def test_reads_nothing_for_a_message_that_is_not_proven(shop: Shop) -> None:
    report = await a_pending_payment(shop)
    headers, body = a_webhook(report, "captured", at=int(NOW.timestamp()))
    shop.stored.unavailable = True

    with pytest.raises(InvalidWebhook):
        await shop.container.record_payment_event()(headers, body + b" ")
