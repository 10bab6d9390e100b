"""Whatever ends the process between any two steps: a worker and a repeated request finish the
work, to the same end, and no money moves twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import product
from typing import Any

import pytest

from orders.application.access import Operation
from orders.application.errors import RequestInProgress
from orders.domain.identifiers import derive_order_id
from orders.domain.order.order import Order
from tests.support.shop import TENANT, Interrupted, Shop

STEPS = {"add", "save", "authorize", "capture", "void", "refund"}
"""What writes: to the store, or to the payment service's books."""
ORDER = derive_order_id(tenant=TENANT, subject="sue", request_key="place")

Request = Callable[[Shop], Awaitable[object]]


def placing(method: str | None = None, *, capture: bool = False) -> Request:
    return lambda shop: shop.place(key="place", method=method, capture=capture)


def telling(operation: Operation, tell: Callable[..., object]) -> Request:
    return lambda shop: shop.change(ORDER, operation, tell, key="tell")


cancelling = telling(Operation.CANCEL, lambda order, **who: order.cancel("customer", **who))
paying = telling(Operation.PAY, lambda order, **who: order.start_payment("tok_ok", **who))
capturing = telling(Operation.CAPTURE, lambda order, **who: order.capture("1", **who))
voiding = telling(Operation.VOID, lambda order, **who: order.void("1", **who))


def refunding(order: Order, **who: Any) -> None:
    """Units are called off first, so that there is something to give back."""
    order.cancel_items({order.state.lines[0].id: 1}, "inventory", **who)
    order.refund(reason="inventory", **who)


SCENARIOS: dict[str, tuple[Request | None, Request]] = {
    "place": (None, placing()),
    "place and authorize": (None, placing("tok_ok")),
    "place and capture": (None, placing("tok_ok", capture=True)),
    "place, declined": (None, placing("tok_declined")),
    "place, answer lost": (None, placing("tok_timeout_booked")),
    "place, call lost": (None, placing("tok_timeout_unbooked")),
    "place, two calls lost": (None, placing("tok_flaky", capture=True)),
    "pay": (placing(), paying),
    "capture": (placing("tok_ok"), capturing),
    "void": (placing("tok_ok"), voiding),
    "cancel unpaid": (placing(), cancelling),
    "cancel authorized": (placing("tok_ok"), cancelling),
    "cancel captured": (placing("tok_ok", capture=True), cancelling),
    "cancel, refund refused": (placing("tok_refund_fails", capture=True), cancelling),
    "refund": (placing("tok_ok", capture=True), telling(Operation.REFUND, refunding)),
}


class Crashes:
    """Ends the process at the n-th moment: before or after one of its steps."""

    def __init__(self, shop: Shop, moment: int | None) -> None:
        self.moments = 0
        self._moment = moment
        for port in (shop.orders, shop.payments):
            port.before = port.after = self._pass

    async def _pass(self, name: str) -> None:
        if name in STEPS:
            self.moments += 1
            if self.moments == self._moment:
                raise Interrupted


async def run(shop: Shop, request: Request, *, crash_at: int | None) -> int:
    """Send a request; returns how many moments there were to crash at."""
    crashes = Crashes(shop, crash_at)
    try:
        await request(shop)
    except Interrupted:
        assert crash_at is not None
    except RequestInProgress:
        assert crash_at is None
    return crashes.moments


async def outcome(shop: Shop) -> tuple[object, ...]:
    """How the order stands, here and at the payment service."""
    order = await shop.see(ORDER)
    state = order.state
    assert state.ledger.operations == ()
    events = [event.recorded for event in (await shop.stored.waiting_of(ORDER)).events]
    assert [event.sequence for event in events] == list(range(1, state.sequence + 1))
    accounts = [account.report for account in shop.provider._accounts.values()]
    assert len(accounts) == len(state.ledger.payments)
    assert sum(report.captured for report in accounts) == state.totals.captured
    assert sum(report.refunded for report in accounts) == state.totals.refunded
    return (
        state.status,
        state.payment_status,
        state.totals,
        [type(event.event).__name__ for event in events],
        accounts,
        [refund.status for refund in state.ledger.refunds],
    )


async def undisturbed(name: str) -> tuple[int, tuple[object, ...]]:
    """How many moments a scenario has, and how it ends when nothing goes wrong."""
    shop = Shop()
    before, request = SCENARIOS[name]
    if before is not None:
        await before(shop)
    moments = await run(shop, request, crash_at=None)
    await shop.work(rounds=4)
    return moments, await outcome(shop)


@pytest.mark.parametrize("retry", ["at once", "later", "never"])
@pytest.mark.parametrize("name", SCENARIOS)
async def test_ends_as_if_nothing_had_happened(name: str, retry: str) -> None:
    moments, expected = await undisturbed(name)
    assert moments >= 2
    before, request = SCENARIOS[name]

    for moment in range(1, moments + 1):
        shop = Shop()
        if before is not None:
            await before(shop)
        await run(shop, request, crash_at=moment)
        if retry == "at once" or (moment == 1 and retry == "never"):
            # What ended before its first write was never asked for, unless it is asked again.
            await run(shop, request, crash_at=None)
        await shop.work(rounds=4)
        if retry == "later":
            await run(shop, request, crash_at=None)
            await shop.work(rounds=4)
        assert await outcome(shop) == expected, f"after a crash at moment {moment}"


@pytest.mark.parametrize("name", SCENARIOS)
async def test_a_crash_during_the_recovery_from_a_crash_changes_nothing_either(name: str) -> None:
    moments, expected = await undisturbed(name)
    before, request = SCENARIOS[name]

    for first, second in product(range(2, moments + 1), range(1, 7)):
        shop = Shop()
        if before is not None:
            await before(shop)
        await run(shop, request, crash_at=first)
        await run(shop, lambda shop: shop.work(), crash_at=second)
        Crashes(shop, None)
        await shop.work(rounds=4)
        assert await outcome(shop) == expected, f"after crashes at {first} and {second}"


async def test_never_asks_with_a_second_key_however_often_it_dies(shop: Shop) -> None:
    await run(shop, placing("tok_ok"), crash_at=4)

    for _ in range(5):
        await run(shop, lambda shop: shop.work(), crash_at=1)
    await run(shop, lambda shop: shop.work(rounds=2), crash_at=None)

    assert shop.provider.calls.keys() == {f"{ORDER}:1"}
    assert (await shop.see(ORDER)).status == "confirmed"


async def test_a_worker_looks_up_before_it_asks_again(shop: Shop) -> None:
    asked: list[str] = []

    async def note(name: str) -> None:
        asked.append(name)

    await run(shop, placing("tok_ok"), crash_at=4)
    shop.payments.before, shop.payments.after = note, None
    await shop.work()

    assert asked == ["find"]
    assert shop.provider.calls == {f"{ORDER}:1": 1}


async def test_nobody_else_touches_a_call_while_its_request_may_still_run(shop: Shop) -> None:
    await run(shop, placing("tok_ok"), crash_at=2)
    assert await shop.container.process_scheduled_work().claim(limit=10) == []

    with pytest.raises(RequestInProgress) as refusal:
        await shop.place(key="place", method="tok_ok")

    assert refusal.value.retry_after_seconds == 1
    assert shop.provider.calls == {}
