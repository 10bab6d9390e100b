"""What every `OrderRepository` promises. Subclass this suite and provide your adapter:

class TestMyOrders(OrderRepositoryContract):
    @pytest.fixture
    async def orders(self) -> OrderRepository: ...

    @pytest.fixture
    async def lost_orders(self) -> OrderRepository: ...

    @pytest.fixture
    async def lone_orders(self) -> OrderRepository: ...
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from orders.adapters.contracts.changed_orders import FollowsChanges, ListsChanges
from orders.adapters.contracts.durable_orders import OUTAGE_SECONDS, DurableOrders
from orders.adapters.contracts.full_order import an_order_with_everything
from orders.adapters.contracts.order_listing import OrderListing
from orders.adapters.contracts.samples import NOW, STAFF, a_new_order
from orders.adapters.contracts.scheduled_orders import LEASE, ScheduledOrders
from orders.adapters.contracts.worklists import Worklists
from orders.application.errors import (
    ConcurrentUpdate,
    DuplicateOrder,
    OrderNotFound,
    StoreUnavailable,
)
from orders.application.ports import OrderFilter
from orders.domain.identifiers import OrderId
from orders.domain.lifecycle import (
    OrderFulfillmentStatus,
    OrderPaymentStatus,
    OrderReturnStatus,
    OrderStatus,
)
from orders.domain.state import ProcessedRequest

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from orders.application.ports import OrderRepository
    from orders.domain.order.order import Order


class OrderRepositoryContract(
    OrderListing, Worklists, ListsChanges, FollowsChanges, ScheduledOrders, DurableOrders
):
    """The suite. Each test starts with an empty store."""

    @pytest.fixture
    def orders(self) -> OrderRepository:
        """The repository under test, empty."""
        raise NotImplementedError("override the fixture `orders`")

    @pytest.fixture
    def lost_orders(self) -> OrderRepository:
        """A repository whose store does not respond."""
        raise NotImplementedError("override the fixture `lost_orders`")

    # -- storing ----------------------------------------------------------------------------

    @pytest.mark.parametrize("status", OrderStatus)
    async def test_returns_every_field_of_an_order_in_every_status(
        self, orders: OrderRepository, status: OrderStatus
    ) -> None:
        order = an_order_with_everything(status=status)

        await orders.add(order)

        loaded = await orders.get(order.id)
        assert loaded.state == order.state
        assert (loaded.version, loaded.new_events) == (1, ())

    @pytest.mark.parametrize(
        "statuses",
        [
            *({"payment_status": each} for each in OrderPaymentStatus),
            *({"fulfillment_status": each} for each in OrderFulfillmentStatus),
            *({"return_status": each} for each in OrderReturnStatus),
        ],
        ids=lambda statuses: "-".join(statuses.values()),
    )
    async def test_returns_every_derived_status(
        self, orders: OrderRepository, statuses: dict[str, Any]
    ) -> None:
        order = an_order_with_everything(status=OrderStatus.CONFIRMED, **statuses)

        await orders.add(order)

        assert (await orders.get(order.id)).state == order.state

    async def test_returns_an_order_without_optional_fields(self, orders: OrderRepository) -> None:
        order = a_new_order(customer_id=None)

        await orders.add(order)

        loaded = await orders.get(order.id)
        assert loaded.state == order.state
        assert loaded.state.created_at.utcoffset() == timedelta(0)

    async def test_saves_every_field(self, orders: OrderRepository) -> None:
        plain = a_new_order()
        await orders.add(plain)
        full = an_order_with_everything(status=OrderStatus.COMPLETED, order_id=plain.id)
        await orders.add(other := an_order_with_everything(status=OrderStatus.PENDING))

        changed = await orders.get(plain.id)
        _become(changed, full)
        await orders.save(changed)

        loaded = await orders.get(plain.id)
        assert loaded.state == changed.state
        assert loaded.state.ledger == full.state.ledger
        assert (await orders.get(other.id)).state == other.state

    async def test_raises_for_an_order_that_was_never_added(self, orders: OrderRepository) -> None:
        await orders.add(a_new_order())

        for read in (orders.get, orders.get_durable, orders.get_state):
            with pytest.raises(OrderNotFound):
                await read(OrderId(uuid4()))

    async def test_a_change_to_a_loaded_order_is_not_stored_without_a_save(
        self, orders: OrderRepository
    ) -> None:
        await orders.add(order := a_new_order())

        (await orders.get(order.id)).hold("address", by=STAFF, now=NOW)

        assert (await orders.get(order.id)).state.holds == ()

    # -- versions ---------------------------------------------------------------------------

    async def test_adds_at_version_1_and_raises_it_by_one_with_each_save(
        self, orders: OrderRepository
    ) -> None:
        await orders.add(order := a_new_order())
        assert (order.version, order.new_events) == (1, ())

        for version in (2, 3):
            order.add_note("Again", by=STAFF, now=NOW)
            await orders.save(order)
            assert (order.version, order.new_events) == (version, ())
            assert (await orders.get(order.id)).state == order.state

    async def test_refuses_an_id_that_is_stored_and_keeps_the_stored_order(
        self, orders: OrderRepository
    ) -> None:
        await orders.add(first := a_new_order())
        second = a_new_order(order_id=first.id, number="another", customer_id="else")

        with pytest.raises(DuplicateOrder):
            await orders.add(second)

        assert second.version == 0
        assert (await orders.get(first.id)).state == first.state

    async def test_refuses_a_number_that_the_tenant_has_used(self, orders: OrderRepository) -> None:
        await orders.add(first := a_new_order())
        second = a_new_order(number=first.state.number)

        with pytest.raises(ConcurrentUpdate):
            await orders.add(second)

        with pytest.raises(OrderNotFound):
            await orders.get(second.id)
        await orders.add(a_new_order(number=first.state.number, tenant="other"))

    async def test_refuses_to_save_over_another_version(self, orders: OrderRepository) -> None:
        await orders.add(a_new_order(order_id=(order_id := uuid4())))
        mine, theirs = [await orders.get(OrderId(order_id)) for _ in range(2)]
        theirs.hold("theirs", by=STAFF, now=NOW)
        await orders.save(theirs)
        mine.hold("mine", by=STAFF, now=NOW)

        with pytest.raises(ConcurrentUpdate):
            await orders.save(mine)

        assert mine.version == 1
        assert (await orders.get(mine.id)).state == theirs.state

    async def test_refuses_to_save_an_order_that_was_never_added(
        self, orders: OrderRepository
    ) -> None:
        with pytest.raises(ConcurrentUpdate):
            await orders.save(order := a_new_order())

        with pytest.raises(OrderNotFound):
            await orders.get(order.id)

    async def test_of_50_concurrent_adds_of_one_id_one_succeeds(
        self, orders: OrderRepository
    ) -> None:
        order_id = uuid4()
        each = [a_new_order(order_id=order_id, number=f"N-{n}") for n in range(50)]

        outcomes = await asyncio.gather(*map(orders.add, each), return_exceptions=True)

        assert [type(o) for o in outcomes].count(DuplicateOrder) == 49
        winner = each[outcomes.index(None)]
        assert (await orders.get(winner.id)).state == winner.state

    async def test_of_50_concurrent_saves_of_one_version_one_succeeds(
        self, orders: OrderRepository
    ) -> None:
        await orders.add(order := a_new_order())
        each = [await orders.get(order.id) for _ in range(50)]
        for loaded in each:
            loaded.hold("all-alike", by=STAFF, now=NOW)

        outcomes = await asyncio.gather(*map(orders.save, each), return_exceptions=True)

        assert [type(o) for o in outcomes].count(ConcurrentUpdate) == 49
        winner = each[outcomes.index(None)]
        assert (await orders.get(order.id)).state == winner.state
        assert winner.version == 2

    async def test_loses_no_change_of_50_writers_that_retry(self, orders: OrderRepository) -> None:
        await orders.add(order := a_new_order())

        await asyncio.gather(*(_hold(orders, order.id, f"hold-{n}") for n in range(50)))

        loaded = await orders.get(order.id)
        assert {hold.reason for hold in loaded.state.holds} == {f"hold-{n}" for n in range(50)}
        assert (loaded.version, loaded.state.sequence) == (51, 51)

    async def test_stores_processed_requests(self, orders: OrderRepository) -> None:
        await orders.add(order := a_new_order())
        request = ProcessedRequest(key="a" * 32, fingerprint="b" * 64, answered_at=NOW)
        order.record_request(request)
        await orders.save(order)

        assert (await orders.get(order.id)).find_request("a" * 32) == request

    # -- outages ----------------------------------------------------------------------------

    async def test_raises_in_time_if_the_store_does_not_respond(
        self, lost_orders: OrderRepository
    ) -> None:
        lost = lost_orders
        everything = OrderFilter(tenant="shop")
        calls: list[Awaitable[object]] = [
            lost.add(a_new_order()),
            lost.get(OrderId(uuid4())),
            lost.get_durable(OrderId(uuid4())),
            lost.get_state(OrderId(uuid4())),
            lost.save(a_new_order()),
            lost.find_by_number("shop", "A"),
            lost.list(everything, newest_first=True, after=None, limit=1),
            lost.claim_scheduled(now=NOW, lease=LEASE, limit=1),
        ]

        async with asyncio.timeout(OUTAGE_SECONDS):
            outcomes = await asyncio.gather(*calls, return_exceptions=True)

        assert [type(outcome) for outcome in outcomes] == [StoreUnavailable] * len(calls)


async def _hold(orders: OrderRepository, order_id: UUID, reason: str) -> None:
    while True:
        order = await orders.get(OrderId(order_id))
        order.hold(reason, by=STAFF, now=NOW)
        try:
            return await orders.save(order)
        except ConcurrentUpdate:
            continue


def _become(order: Order, other: Order) -> None:
    """Give an order the state of another, except for the fields that never change."""
    fields = ("tenant", "number", "placed_by", "customer_id", "currency", "created_at", "version")
    fixed = {name: getattr(order.state, name) for name in fields}
    order._core.state = replace(other.state, **fixed)  # noqa: SLF001 - no command sets every field
