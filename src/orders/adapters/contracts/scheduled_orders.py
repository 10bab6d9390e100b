"""The part of `OrderRepositoryContract` about `claim_scheduled`."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from orders.adapters.contracts.samples import CUSTOMER, NOW, STAFF, a_new_order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orders.application.ports import OrderRepository
    from orders.domain.identifiers import OrderId

LEASE = timedelta(seconds=30)
TICK = timedelta(milliseconds=1)


class ScheduledOrders:
    """An order whose time has come is claimed once per lease, by one of all workers."""

    async def test_claims_a_due_order_for_the_lease(self, orders: OrderRepository) -> None:
        due = a_new_order()
        await orders.add(due)
        await orders.add(a_new_order(now=NOW + TICK))
        now = due.state.expires_at

        assert await self._claim(orders, now - TICK) == []
        assert await self._claim(orders, now) == [due.id]
        assert await self._claim(orders, now) == []
        assert await self._claim(orders, now + LEASE - TICK) != [due.id]
        assert due.id in await self._claim(orders, now + 2 * LEASE)

    async def test_claims_at_most_the_limit(self, orders: OrderRepository) -> None:
        each = [a_new_order() for _ in range(5)]
        for order in each:
            await orders.add(order)
        now = each[0].state.expires_at

        first = await orders.claim_scheduled(now=now, lease=LEASE, limit=3)
        second = await orders.claim_scheduled(now=now, lease=LEASE, limit=3)

        assert (len(first), len(second)) == (3, 2)
        assert {*first, *second} == {order.id for order in each}

    async def test_concurrent_claims_get_each_order_once(self, orders: OrderRepository) -> None:
        each = [a_new_order() for _ in range(20)]
        await asyncio.gather(*map(orders.add, each))
        now = each[0].state.expires_at

        claims = await asyncio.gather(*(self._claim(orders, now) for _ in range(10)))

        claimed = [order_id for claim in claims for order_id in claim]
        assert sorted(claimed) == sorted(order.id for order in each)

    async def test_claiming_changes_no_version(self, orders: OrderRepository) -> None:
        await orders.add(order := a_new_order())

        await self._claim(orders, order.state.expires_at)

        assert (await orders.get(order.id)).state == order.state
        order.add_note("Still mine to change", by=STAFF, now=NOW)
        await orders.save(order)

    async def test_saving_ends_the_claim(self, orders: OrderRepository) -> None:
        await orders.add(order := a_new_order())
        now = order.state.expires_at
        await self._claim(orders, now)
        order.add_note("Checked", by=STAFF, now=NOW)
        await orders.save(order)

        assert await self._claim(orders, now) == [order.id]

    async def test_does_not_claim_an_order_without_a_next_action(
        self, orders: OrderRepository
    ) -> None:
        await orders.add(order := a_new_order())
        order.cancel("staff", by=STAFF, now=NOW)
        await orders.save(order)

        assert order.state.next_action_at is None
        assert await self._claim(orders, order.state.expires_at + LEASE) == []

    async def test_claims_by_the_time_of_the_last_save(self, orders: OrderRepository) -> None:
        await orders.add(order := a_new_order())
        order.start_payment("tok_ok", by=CUSTOMER, now=NOW)
        await orders.save(order)
        sooner = order.state.next_action_at
        assert sooner is not None

        assert await self._claim(orders, sooner - TICK) == []
        assert await self._claim(orders, sooner) == [order.id]

    async def _claim(self, orders: OrderRepository, now: datetime) -> Sequence[OrderId]:
        return await orders.claim_scheduled(now=now, lease=LEASE, limit=100)
