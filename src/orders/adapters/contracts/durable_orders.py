"""What `get_durable` promises: a part of `OrderRepositoryContract`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from orders.adapters.contracts.samples import NOW, STAFF, a_new_order
from orders.application.errors import DuplicateOrder, StoreUnavailable

if TYPE_CHECKING:
    from orders.application.ports import OrderRepository

OUTAGE_SECONDS = 2.0
"""Seconds within which a lost store raises an error."""


class DurableOrders:
    """Nothing is vouched for that the store may still lose."""

    @pytest.fixture
    def lone_orders(self) -> OrderRepository:
        """A repository, empty, whose store keeps what is written where it may be lost."""
        raise NotImplementedError("override the fixture `lone_orders`")

    async def test_vouches_for_all_that_add_and_save_have_stored(
        self, orders: OrderRepository
    ) -> None:
        await orders.add(order := a_new_order())
        assert (await orders.get_durable(order.id)).state == order.state

        order.add_note("Again", by=STAFF, now=NOW)
        await orders.save(order)

        for at_least in (1, 2):
            safe = await orders.get_durable(order.id, at_least=at_least)
            assert (safe.state, safe.new_events) == (order.state, ())

    async def test_vouches_for_no_version_that_is_not_stored(self, orders: OrderRepository) -> None:
        await orders.add(order := a_new_order())

        async with asyncio.timeout(OUTAGE_SECONDS):
            with pytest.raises(StoreUnavailable):
                await orders.get_durable(order.id, at_least=2)

    async def test_vouches_for_nothing_that_could_still_be_lost(
        self, lone_orders: OrderRepository
    ) -> None:
        with pytest.raises(StoreUnavailable):
            await lone_orders.add(order := a_new_order())

        assert (await lone_orders.get(order.id)).state.lines == order.state.lines
        for _ in range(2):
            async with asyncio.timeout(OUTAGE_SECONDS):
                with pytest.raises(StoreUnavailable):
                    await lone_orders.get_durable(order.id)
        with pytest.raises((DuplicateOrder, StoreUnavailable)):
            await lone_orders.add(order)
        assert order.version == 0
