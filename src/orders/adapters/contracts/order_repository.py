"""What every `OrderRepository` promises. Subclass it and say how to make yours:

class TestMyOrders(OrderRepositoryContract):
    @pytest.fixture
    async def orders(self) -> OrderRepository: ...

    @pytest.fixture
    async def lost_orders(self) -> OrderRepository: ...
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from orders.adapters.contracts.samples import (
    CUSTOMER,
    LATER,
    NOW,
    STAFF,
    a_new_order,
    an_order_with_everything,
)
from orders.application.errors import (
    ConcurrentUpdate,
    DuplicateOrder,
    OrderNotFound,
    StoreUnavailable,
)
from orders.application.ports import OrderFilter, Position
from orders.domain.identifiers import OrderId
from orders.domain.lifecycle import (
    FulfillmentProgress,
    OrderStatus,
    PaymentProgress,
    ReturnProgress,
)
from orders.domain.state import AnsweredRequest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from orders.application.ports import OrderRepository
    from orders.domain.order import Order

LEASE = timedelta(seconds=30)
TICK = timedelta(milliseconds=1)
OUTAGE_SECONDS = 2.0
"""A lost store is told within this."""


class OrderRepositoryContract:
    """The suite. Each test starts with an empty store."""

    @pytest.fixture
    def orders(self) -> OrderRepository:
        """The repository under test, empty."""
        raise NotImplementedError("override the fixture `orders`")

    @pytest.fixture
    def lost_orders(self) -> OrderRepository:
        """A repository whose store does not answer."""
        raise NotImplementedError("override the fixture `lost_orders`")

    # -- keeping ----------------------------------------------------------------------------

    @pytest.mark.parametrize("status", OrderStatus)
    async def test_gives_back_every_field_of_an_order_in_every_status(
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
            *({"payment_status": each} for each in PaymentProgress),
            *({"fulfillment_status": each} for each in FulfillmentProgress),
            *({"return_status": each} for each in ReturnProgress),
        ],
        ids=lambda statuses: "-".join(statuses.values()),
    )
    async def test_gives_back_every_derived_status(
        self, orders: OrderRepository, statuses: dict[str, Any]
    ) -> None:
        order = an_order_with_everything(status=OrderStatus.CONFIRMED, **statuses)

        await orders.add(order)

        assert (await orders.get(order.id)).state == order.state

    async def test_gives_back_an_order_with_nothing_it_can_be_without(
        self, orders: OrderRepository
    ) -> None:
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

    async def test_knows_no_order_that_was_never_added(self, orders: OrderRepository) -> None:
        await orders.add(a_new_order())

        with pytest.raises(OrderNotFound):
            await orders.get(OrderId(uuid4()))

    async def test_what_is_handed_out_is_nobody_elses(self, orders: OrderRepository) -> None:
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

    async def test_refuses_an_id_that_is_stored_and_leaves_that_order(
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

    async def test_refuses_to_save_over_a_version_it_was_not_made_from(
        self, orders: OrderRepository
    ) -> None:
        await orders.add(a_new_order(order_id=(order_id := uuid4())))
        mine, theirs = [await orders.get(OrderId(order_id)) for _ in range(2)]
        theirs.hold("theirs", by=STAFF, now=NOW)
        await orders.save(theirs)
        mine.hold("mine", by=STAFF, now=NOW)

        with pytest.raises(ConcurrentUpdate):
            await orders.save(mine)

        assert mine.version == 1
        assert (await orders.get(mine.id)).state == theirs.state

    async def test_saves_no_order_that_was_never_added(self, orders: OrderRepository) -> None:
        with pytest.raises(ConcurrentUpdate):
            await orders.save(order := a_new_order())

        with pytest.raises(OrderNotFound):
            await orders.get(order.id)

    async def test_of_50_that_add_one_id_exactly_one_does(self, orders: OrderRepository) -> None:
        order_id = uuid4()
        each = [a_new_order(order_id=order_id, number=f"N-{n}") for n in range(50)]

        outcomes = await asyncio.gather(*map(orders.add, each), return_exceptions=True)

        assert [type(o) for o in outcomes].count(DuplicateOrder) == 49
        winner = each[outcomes.index(None)]
        assert (await orders.get(winner.id)).state == winner.state

    async def test_of_50_that_save_one_version_exactly_one_does(
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

    async def test_loses_no_change_of_50_that_repeat_until_they_win(
        self, orders: OrderRepository
    ) -> None:
        await orders.add(order := a_new_order())

        await asyncio.gather(*(_hold(orders, order.id, f"hold-{n}") for n in range(50)))

        loaded = await orders.get(order.id)
        assert {hold.reason for hold in loaded.state.holds} == {f"hold-{n}" for n in range(50)}
        assert (loaded.version, loaded.state.sequence) == (51, 51)

    async def test_keeps_the_requests_it_has_answered(self, orders: OrderRepository) -> None:
        await orders.add(order := a_new_order())
        request = AnsweredRequest(key="a" * 32, fingerprint="b" * 64, answered_at=NOW)
        order.remember(request)
        await orders.save(order)

        assert (await orders.get(order.id)).answered("a" * 32) == request

    # -- finding ----------------------------------------------------------------------------

    async def test_finds_an_order_by_its_tenants_number(self, orders: OrderRepository) -> None:
        await orders.add(order := a_new_order(number="SAME"))
        await orders.add(a_new_order(number="SAME", tenant="other"))

        found = await orders.find_by_number("shop", "SAME")

        assert found.state == order.state
        for tenant, number in (("shop", "NONE"), ("nobody", "SAME")):
            with pytest.raises(OrderNotFound):
                await orders.find_by_number(tenant, number)

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
            ({"payment_status": [PaymentProgress.NOT_REQUIRED]}, "BC"),
            ({"fulfillment_status": [FulfillmentProgress.CANCELLED]}, "B"),
            ({"return_status": [ReturnProgress.NONE]}, "ABCDE"),
            ({"return_status": [ReturnProgress.RETURNED]}, ""),
            ({"number": "D"}, "D"),
            ({"external_reference": "po-1"}, "AE"),
            ({"outstanding": True}, "ADE"),
            ({"outstanding": False}, "BC"),
            ({"created_from": NOW + TICK}, "BCDE"),
            ({"created_before": NOW + TICK}, "A"),
            ({"created_from": NOW + TICK, "created_before": NOW + 3 * TICK}, "BC"),
            ({"created_from": NOW + TICK / 2, "created_before": NOW + TICK / 2}, ""),
            ({"owner": "customer-1", "status": [OrderStatus.PENDING], "outstanding": True}, "AD"),
        ],
        ids=str,
    )
    async def test_lists_the_orders_that_fit(
        self, orders: OrderRepository, condition: dict[str, Any], numbers: str
    ) -> None:
        await _five_orders(orders)
        where = OrderFilter(tenant="shop", **condition)

        assert await _numbers(orders, where, newest_first=False) == numbers
        assert await _numbers(orders, where, newest_first=True) == numbers[::-1]

    async def test_lists_nothing_of_other_tenants(self, orders: OrderRepository) -> None:
        await orders.add(a_new_order(tenant="other"))

        assert await _numbers(orders, OrderFilter(tenant="shop"), newest_first=True) == ""

    async def test_lists_whole_orders(self, orders: OrderRepository) -> None:
        await orders.add(order := an_order_with_everything(status=OrderStatus.CONFIRMED))

        (listed,) = await orders.list(
            OrderFilter(tenant="shop"), newest_first=True, after=None, limit=10
        )

        assert listed.state == order.state

    async def test_lists_by_what_an_order_has_become(self, orders: OrderRepository) -> None:
        await orders.add(order := a_new_order(number="A"))
        order.cancel("staff", by=STAFF, now=LATER)
        await orders.save(order)

        for condition, numbers in (
            ({"status": [OrderStatus.PENDING]}, ""),
            ({"status": [OrderStatus.CANCELLED]}, "A"),
            ({"outstanding": True}, ""),
            ({"outstanding": False}, "A"),
        ):
            where = OrderFilter(tenant="shop", **condition)  # type: ignore[arg-type]
            assert await _numbers(orders, where, newest_first=True) == numbers

    @pytest.mark.parametrize("newest_first", [True, False])
    async def test_shows_each_order_on_one_page_while_new_ones_come(
        self, orders: OrderRepository, newest_first: bool
    ) -> None:
        # Four of one millisecond, so that the id decides, and more than one page of others.
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
            if not found:
                break
            seen += [(order.state.created_at, order.id) for order in found]
            last = found[-1].state
            after = Position(at=last.created_at, order_id=last.id)
            await orders.add(a_new_order(now=(LATER if newest_first else NOW) + page * TICK))

        assert len(seen) == len({*seen})
        assert [place for place in seen if place in expected] == expected
        assert seen == sorted(seen, reverse=newest_first)

    # -- due work ---------------------------------------------------------------------------

    async def test_claims_what_is_due_for_the_lease(self, orders: OrderRepository) -> None:
        due = a_new_order()
        await orders.add(due)
        await orders.add(a_new_order(now=NOW + TICK))
        now = due.state.expires_at

        assert await self._claim(orders, now - TICK) == []
        assert await self._claim(orders, now) == [due.id]
        assert await self._claim(orders, now) == []
        assert await self._claim(orders, now + LEASE - TICK) != [due.id]
        assert due.id in await self._claim(orders, now + 2 * LEASE)

    async def test_claims_at_most_as_many_as_asked_for(self, orders: OrderRepository) -> None:
        each = [a_new_order() for _ in range(5)]
        for order in each:
            await orders.add(order)
        now = each[0].state.expires_at

        first = await orders.claim_due(now=now, lease=LEASE, limit=3)
        second = await orders.claim_due(now=now, lease=LEASE, limit=3)

        assert (len(first), len(second)) == (3, 2)
        assert {*first, *second} == {order.id for order in each}

    async def test_gives_each_order_to_one_of_many_that_claim(
        self, orders: OrderRepository
    ) -> None:
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
        order.add_note("Looked at", by=STAFF, now=NOW)
        await orders.save(order)

        assert await self._claim(orders, now) == [order.id]

    async def test_claims_nothing_that_time_no_longer_asks_for(
        self, orders: OrderRepository
    ) -> None:
        await orders.add(order := a_new_order())
        order.cancel("staff", by=STAFF, now=NOW)
        await orders.save(order)

        assert order.state.due_at is None
        assert await self._claim(orders, order.state.expires_at + LEASE) == []

    async def test_claims_by_the_time_that_was_saved_last(self, orders: OrderRepository) -> None:
        await orders.add(order := a_new_order())
        order.start_payment("tok_ok", by=CUSTOMER, now=NOW)
        await orders.save(order)
        sooner = order.state.due_at
        assert sooner is not None

        assert await self._claim(orders, sooner - TICK) == []
        assert await self._claim(orders, sooner) == [order.id]

    async def _claim(self, orders: OrderRepository, now: Any) -> Sequence[OrderId]:
        return await orders.claim_due(now=now, lease=LEASE, limit=100)

    # -- loss -------------------------------------------------------------------------------

    async def test_says_in_time_that_the_store_does_not_answer(
        self, lost_orders: OrderRepository
    ) -> None:
        lost = lost_orders
        everything = OrderFilter(tenant="shop")
        calls: list[Awaitable[object]] = [
            lost.add(a_new_order()),
            lost.get(OrderId(uuid4())),
            lost.save(a_new_order()),
            lost.find_by_number("shop", "A"),
            lost.list(everything, newest_first=True, after=None, limit=1),
            lost.claim_due(now=NOW, lease=LEASE, limit=1),
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
    """Give an order another's state, keeping what never changes, as many commands would."""
    never = ("tenant", "number", "placed_by", "customer_id", "currency", "created_at", "version")
    kept = {name: getattr(order.state, name) for name in never}
    order._state = type(order.state)(  # noqa: SLF001 - no command sets every field
        **{name: getattr(other.state, name) for name in other.state.__slots__} | kept
    )


async def _five_orders(orders: OrderRepository) -> None:
    """A plain; B cancelled; C free; D a guest's; E of another customer. A millisecond apart."""
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
    return "".join(order.state.number for order in found)
