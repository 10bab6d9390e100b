"""The part of `OrderRepositoryContract` about `get_durable`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from orders.adapters.contracts.samples import NOW, STAFF, a_new_order
from orders.application.errors import DuplicateOrder, StoreUnavailable

if TYPE_CHECKING:
    from orders.application.ports import OrderRepository

OUTAGE_SECONDS = 2.0
"""A call to a lost store raises `StoreUnavailable` within this time."""


class DurableOrders:
    """`get_durable` returns nothing that the store may still lose."""

    @pytest.fixture
    def lone_orders(self) -> OrderRepository:
        """An empty repository. Its store returns what was written, but may still lose it."""
        raise NotImplementedError("override the fixture `lone_orders`")

    async def test_returns_as_durable_what_add_and_save_have_stored(
        self, orders: OrderRepository
    ) -> None:
        await orders.add(order := a_new_order())
        assert (await orders.get_durable(order.id)).state == order.state

        order.add_note("Again", by=STAFF, now=NOW)
        await orders.save(order)

        for at_least in (1, 2):
            safe = await orders.get_durable(order.id, at_least=at_least)
            assert (safe.state, safe.new_events) == (order.state, ())

    async def test_returns_as_durable_no_version_that_is_not_stored(
        self, orders: OrderRepository
    ) -> None:
        await orders.add(order := a_new_order())

        async with asyncio.timeout(OUTAGE_SECONDS):
            with pytest.raises(StoreUnavailable):
                await orders.get_durable(order.id, at_least=2)

    async def test_returns_as_durable_nothing_that_may_still_be_lost(
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
