"""The part of `OrderRepositoryContract` about `list_changed`, and the promise of `ReadOrders` that
depends on it: whoever follows all changes misses none.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from orders.adapters.contracts.samples import (
    LATER,
    NOW,
    STAFF,
    a_new_order,
)
from orders.application.access import Caller, Role, Scope
from orders.application.errors import ConcurrentUpdate
from orders.application.ports import OrderFilter, Position
from orders.application.read_orders import ReadOrders
from orders.domain.identifiers import OrderId
from orders.domain.lifecycle import OrderStatus
from orders.domain.order.order import Order
from orders.domain.state import OrderState
from orders.domain.validation import OrderLimits

if TYPE_CHECKING:
    from orders.application.ports import OrderRepository

TICK = timedelta(milliseconds=1)
SETTLED_AFTER = timedelta(seconds=4)
"""More than all the time that passes in a test, and the difference of its clocks."""
READER = Caller(
    subject="sync", tenant="shop", roles=frozenset({Role.AUDITOR}), scopes=frozenset({Scope.READ})
)
SHOP = OrderFilter(tenant="shop")


class ListsChanges:
    """Orders are listed by the time of their last change."""

    async def test_lists_orders_by_their_last_change(self, orders: OrderRepository) -> None:
        each = [a_new_order(number=number, now=NOW) for number in "ABC"]
        await asyncio.gather(*map(orders.add, each))
        for place, number in enumerate("BAC"):
            await _change(orders, each["ABC".index(number)].id, NOW + (place + 1) * TICK)

        assert await _numbers(orders) == "BAC"
        assert await _numbers(orders, updated_from=NOW + 2 * TICK) == "AC"
        assert await _numbers(orders, updated_from=NOW + 3 * TICK / 2) == "AC"
        assert await _numbers(orders, updated_from=NOW + 4 * TICK) == ""
        await _change(orders, each[1].id, LATER)
        assert await _numbers(orders) == "ACB"
        assert await _numbers(orders, updated_from=LATER) == "B"

    @pytest.mark.parametrize(
        ("condition", "numbers"),
        [
            ({"status": [OrderStatus.CANCELLED]}, "B"),
            ({"status": [OrderStatus.PENDING]}, "AC"),
            ({"customer_id": "customer-2"}, "C"),
            ({"owner": "customer-1", "status": [OrderStatus.PENDING]}, "A"),
            ({"created_from": NOW + TICK}, "BC"),
            ({"created_before": NOW + TICK, "outstanding": True}, "A"),
        ],
        ids=str,
    )
    async def test_lists_changes_of_the_orders_that_match_the_filter(
        self, orders: OrderRepository, condition: dict[str, Any], numbers: str
    ) -> None:
        each = [
            a_new_order(number="A"),
            a_new_order(number="B", now=NOW + TICK),
            a_new_order(number="C", now=NOW + 2 * TICK, customer_id="customer-2"),
        ]
        each[1].cancel("staff", by=STAFF, now=NOW + TICK)
        await asyncio.gather(*map(orders.add, [*each, a_new_order(tenant="other")]))

        assert await _numbers(orders, OrderFilter(tenant="shop", **condition)) == numbers

    @pytest.mark.parametrize("year", [1, 1969, 2300, 9999])
    async def test_any_time_may_be_asked_from(self, orders: OrderRepository, year: int) -> None:
        await orders.add(a_new_order(number="A"))
        at = datetime(year, 1, 1, tzinfo=timezone(timedelta(hours=14 if year == 1 else -14)))

        assert await _numbers(orders, updated_from=at) == ("A" if year < 2000 else "")

    async def test_orders_that_changed_at_the_same_time_are_each_on_one_page(
        self, orders: OrderRepository
    ) -> None:
        each = [a_new_order(now=NOW + (number // 5) * TICK) for number in range(15)]
        await asyncio.gather(*map(orders.add, each))
        expected = sorted((order.state.updated_at, order.id) for order in each)

        seen = [(order.updated_at, order.id) async for order in _walked(orders, limit=2)]

        assert seen == expected

    async def test_a_position_never_widens_the_time(self, orders: OrderRepository) -> None:
        each = [a_new_order(number=n, now=NOW + "ABC".index(n) * TICK) for n in "ABC"]
        await asyncio.gather(*map(orders.add, each))
        early = Position(at=NOW - TICK, order_id=each[2].id)

        page = await orders.list_changed(SHOP, updated_from=NOW + TICK, after=early, limit=9)

        assert [order.number for order in page.orders] == ["B", "C"]

    async def test_an_order_that_changes_meanwhile_is_there_again(
        self, orders: OrderRepository
    ) -> None:
        each = [a_new_order(number=n, now=NOW + "ABC".index(n) * TICK) for n in "ABC"]
        await asyncio.gather(*map(orders.add, each))

        seen = []
        async for order in _walked(orders, limit=1):
            seen.append((order.number, order.version))
            if len(seen) == 1:
                await _change(orders, each[0].id, LATER)

        assert seen == [("A", 1), ("B", 1), ("C", 1), ("A", 2)]


class FollowsChanges:
    """Whoever lists from `next_updated_from` each time gets every change at least once."""

    async def test_a_change_that_is_stored_late_is_not_missed(
        self, orders: OrderRepository
    ) -> None:
        """A process decides a change first and stores it last; its clock is behind besides."""
        each = [a_new_order(number=number) for number in "AB"]
        await asyncio.gather(*map(orders.add, each))
        slow = await orders.get(each[0].id)
        slow.add_note("late", by=STAFF, now=NOW + timedelta(seconds=9))
        await _change(orders, each[1].id, NOW + timedelta(seconds=10))
        reader = Follower(orders, lambda: NOW + timedelta(seconds=10))
        await reader.follow()
        assert reader.versions == {each[0].id: 1, each[1].id: 2}

        await orders.save(slow)
        await reader.follow()

        assert reader.versions == {each[0].id: 2, each[1].id: 2}

    async def test_what_is_stored_late_between_two_pages_is_not_missed(
        self, orders: OrderRepository
    ) -> None:
        """The pages after the one that it belongs on are read later: that must not count."""
        at = NOW
        each = [a_new_order(number=n, now=NOW + "ABCD".index(n) * TICK) for n in "ABCD"]
        await asyncio.gather(*map(orders.add, each[1:]))
        reader = Follower(orders, lambda: at, limit=1)
        async for page in reader.pages():
            if page == 2:
                await orders.add(each[0])
                at = NOW + 2 * SETTLED_AFTER
        assert each[0].id not in reader.versions

        await reader.follow()

        assert reader.versions.keys() == {order.id for order in each}

    async def test_every_change_is_seen_while_many_write_by_clocks_that_differ(
        self, orders: OrderRepository
    ) -> None:
        each = [a_new_order(now=NOW - timedelta(seconds=1)) for _ in range(6)]
        await asyncio.gather(*map(orders.add, each))
        clocks, is_done = Clocks(), asyncio.Event()
        reader = Follower(orders, clocks.read, limit=3)

        async def read() -> None:
            while not is_done.is_set():
                await reader.follow()
                await asyncio.sleep(0)

        reading = asyncio.create_task(read())
        await asyncio.gather(*(_write(orders, each, first, clocks) for first in range(4)))
        is_done.set()
        await reading
        await reader.follow()

        stored = [await orders.get_state(order.id) for order in each]
        assert sum(state.version for state in stored) > 2 * len(each)
        assert reader.versions == {state.id: state.version for state in stored}


class Clocks:
    """The clocks of several processes: each reading is another one's, up to 1 s apart."""

    def __init__(self) -> None:
        self.now = NOW
        self._differ = itertools.cycle((-500, 300, 0, 500, -200))

    def read(self) -> datetime:
        """The time, as one of the processes has it."""
        return self.now + next(self._differ) * TICK


async def _write(
    orders: OrderRepository, each: Sequence[Order], first: int, clocks: Clocks
) -> None:
    """Change orders in turn, 12 times. The time goes on between a decision and its storing."""
    for turn in range(12):
        order = await orders.get(each[(first + turn) % len(each)].id)
        order.add_note("changed", by=STAFF, now=clocks.read())
        for _ in range((first + turn) % 4):
            await orders.get_state(order.id)
            await asyncio.sleep(0)
        clocks.now += 50 * TICK
        with contextlib.suppress(ConcurrentUpdate):
            await orders.save(order)


class Follower:
    """Keeps a copy of all orders, as another system does: it keeps the newest version of each."""

    def __init__(
        self, orders: OrderRepository, now: Callable[[], datetime], *, limit: int = 100
    ) -> None:
        nothing: Any = None
        self._read = ReadOrders(
            orders, nothing, nothing, now, OrderLimits(), settled_after=SETTLED_AFTER
        )
        self._limit = limit
        self._from: datetime | None = None
        self.versions: dict[OrderId, int] = {}

    async def follow(self) -> None:
        """List all changes since the last time."""
        async for _ in self.pages():
            pass

    async def pages(self) -> AsyncIterator[int]:
        """Follow page by page; the number of each once it was read."""
        after, since, number = None, None, 0
        while number == 0 or after is not None:
            changed = await self._read.list_changed(
                SHOP, updated_from=self._from, after=after, limit=self._limit, caller=READER
            )
            # That of the first page, as cursors keep it.
            since = since or changed.next_updated_from
            for order in changed.page.orders:
                self.versions[order.id] = max(order.version, self.versions.get(order.id, 0))
            after, number = changed.page.next, number + 1
            yield number
        self._from = since


async def _change(orders: OrderRepository, order_id: OrderId, now: datetime) -> Order:
    order = await orders.get(order_id)
    order.add_note("changed", by=STAFF, now=now)
    await orders.save(order)
    return order


async def _walked(orders: OrderRepository, *, limit: int) -> AsyncIterator[OrderState]:
    after: Position | None = None
    while True:
        page = await orders.list_changed(SHOP, updated_from=None, after=after, limit=limit)
        for order in page.orders:
            yield order
        if page.next is None:
            return
        after = page.next


async def _numbers(
    orders: OrderRepository, where: OrderFilter = SHOP, *, updated_from: datetime | None = None
) -> str:
    page = await orders.list_changed(where, updated_from=updated_from, after=None, limit=10)
    return "".join(order.number for order in page.orders)
