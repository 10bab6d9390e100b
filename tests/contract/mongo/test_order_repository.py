"""Orders in memory and in MongoDB keep what `OrderRepository` promises."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import closing, nullcontext
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from beanie import init_beanie
from pymongo import MongoClient

from orders.adapters.contracts.order_repository import OrderRepositoryContract
from orders.adapters.contracts.samples import NOW, STAFF, a_new_order
from orders.adapters.in_memory import InMemoryOrders
from orders.adapters.mongo.connection import Database, open_mongo
from orders.adapters.mongo.documents import CODEC, ORDERS, Document, to_document
from orders.adapters.mongo.listing import changed_queries, list_query
from orders.adapters.mongo.migration import migrate
from orders.adapters.mongo.orders import MongoOrders, probe
from orders.adapters.mongo.schema import OrderDocument, models_for
from orders.application.errors import ConcurrentUpdate, DuplicateOrder, StoreUnavailable
from orders.application.ports import OrderFilter, Position
from orders.domain.lifecycle import (
    OrderFulfillmentStatus,
    OrderPaymentStatus,
    OrderReturnStatus,
    OrderStatus,
)
from orders.domain.payments import DisputeStatus
from tests.support.database.database_commands import RoundTrips
from tests.support.database.failing_database import NO_MAJORITY, FailPoint
from tests.support.database.faulty_proxy import ForgetfulProxy
from tests.support.database.query_plans import LIMIT, plan_of
from tests.support.database.uris import with_option


class TestInMemoryOrders(OrderRepositoryContract):
    @pytest.fixture
    def orders(self) -> InMemoryOrders:
        return InMemoryOrders()

    @pytest.fixture
    def lost_orders(self) -> InMemoryOrders:
        orders = InMemoryOrders()
        orders.unavailable = True
        return orders

    @pytest.fixture
    def lone_orders(self) -> InMemoryOrders:
        orders = InMemoryOrders()
        orders.lose_majority()
        return orders


class TestMongoOrders(OrderRepositoryContract):
    @pytest.fixture
    def orders(self, database: Database) -> MongoOrders:
        return MongoOrders(database)

    @pytest.fixture
    def lost_orders(self, lost_database: Database) -> MongoOrders:
        return MongoOrders(lost_database)

    @pytest.fixture
    def lone_orders(self, far: MongoOrders, proxy: ForgetfulProxy, point: FailPoint) -> MongoOrders:
        proxy.hide_from_majority()
        point.fail("insert", "update", writeConcernError=NO_MAJORITY)
        return far


# -- round trips ------------------------------------------------------------------------------


async def test_adding_reading_and_saving_are_one_round_trip_each(
    database_uri: str, database_name: str
) -> None:
    trips = RoundTrips()
    async with open_mongo(database_uri, database=database_name, listeners=[trips]) as database:
        orders = MongoOrders(database)
        await orders.add(order := a_new_order())
        loaded = await orders.get(order.id)
        loaded.hold("address", by=STAFF, now=NOW)
        await orders.save(loaded)
        await orders.get_state(order.id)
        await orders.find_by_number(order.state.tenant, order.state.number)
        await orders.get_durable(order.id, at_least=2)

    assert trips.sent == ["insert", "find", "update", "find", "find", "find"]


async def test_listing_is_one_round_trip_and_claiming_is_three(
    database_uri: str, database_name: str
) -> None:
    trips = RoundTrips()
    async with open_mongo(
        database_uri, database=database_name, timeout_seconds=30, listeners=[trips]
    ) as database:
        orders = MongoOrders(database)
        # More than the first batch holds, where nobody asks for more.
        each = [a_new_order() for _ in range(120)]
        await asyncio.gather(*map(orders.add, each))
        trips.sent.clear()
        await orders.list(OrderFilter(tenant="shop"), newest_first=True, after=None, limit=20)
        later = each[0].state.expires_at
        claimed = await orders.claim_scheduled(now=later, lease=timedelta(seconds=1), limit=110)
        assert len(claimed) == 110

    assert trips.sent == ["find", "find", "update", "find"]


async def test_a_save_sends_only_what_has_changed(database: Database) -> None:
    orders = MongoOrders(database)
    await orders.add(order := a_new_order())
    # What another version of the service has added must outlive a save of this one.
    raw = database["orders"]
    await raw.update_one({"_id": order.id}, {"$set": {"gift_wrap": True, "lines.0.engraved": "Z"}})

    order.hold("address", by=STAFF, now=NOW)
    await orders.save(order)

    stored = await raw.find_one({"_id": order.id})
    assert stored is not None
    assert (stored["gift_wrap"], stored["lines"][0]["engraved"]) == (True, "Z")
    assert len(stored["holds"]) == 1


# -- plans ------------------------------------------------------------------------------------

EVERY_FILTER: Mapping[str, Mapping[str, Any]] = {
    "all": {},
    "owner": {"owner": "c"},
    "customer": {"customer_id": "c"},
    "status": {"status": [OrderStatus.PENDING]},
    "payment_status": {"payment_status": [OrderPaymentStatus.UNPAID]},
    "fulfillment_status": {"fulfillment_status": [OrderFulfillmentStatus.UNFULFILLED]},
    "return_status": {"return_status": [OrderReturnStatus.REQUESTED]},
    "dispute_status": {"dispute_status": [DisputeStatus.OPEN]},
    "disputed": {"dispute_status": [DisputeStatus.OPEN, DisputeStatus.LOST]},
    "number": {"number": "N"},
    "reference": {"external_reference": "po-1"},
    "from": {"created_from": NOW},
    "before": {"created_before": NOW},
    "owing": {"outstanding": True},
    "settled": {"outstanding": False},
    "ready": {"ready_to_ship": True},
    "overdue": {"overdue": True, "as_of": NOW},
    "not overdue": {"overdue": False, "as_of": NOW},
    "not ready": {"ready_to_ship": False},
}


@pytest.fixture(scope="module")
def filled(database_uri: str) -> Iterator[str]:
    """A database with more orders than a page has: some engines use no index where few are."""
    name = f"test_{uuid4().hex}"
    asyncio.run(migrate(database_uri, database=name))
    documents = [to_document(a_new_order(), traceparent=None) for _ in range(3 * LIMIT)]
    client: MongoClient[Document]
    with closing(MongoClient(database_uri)) as client:
        orders: Any = client.get_database(name, codec_options=CODEC)[ORDERS]
        orders.insert_many(documents)
        yield name
        client.drop_database(name)


@pytest.fixture
async def many(database_uri: str, filled: str) -> AsyncIterator[Database]:
    async with open_mongo(database_uri, database=filled, timeout_seconds=30) as opened:
        yield opened


def test_every_filter_has_its_plan_tested() -> None:
    tested = {name for condition in EVERY_FILTER.values() for name in condition}
    # Nobody lists by `placed_by` alone: it picks from the few orders that have one reference.
    assert tested == {*OrderFilter.__dataclass_fields__} - {"tenant", "placed_by"}


FIRST_PAGES = [pytest.param(each, None, id=name) for name, each in EVERY_FILTER.items()]
LATER_PAGES = [
    pytest.param(each, Position(at=NOW, order_id=a_new_order().id), id=f"{name}-later")
    for name, each in EVERY_FILTER.items()
    # One order has a number: its list has one page.
    if name != "number"
]


@pytest.mark.parametrize(("condition", "after"), [*FIRST_PAGES, *LATER_PAGES])
async def test_no_list_scans_the_collection(
    many: Database, condition: Mapping[str, Any], after: Position | None
) -> None:
    query = list_query(OrderFilter(tenant="shop", **condition), newest_first=True, after=after)

    plan = await plan_of(many, query, [("sort_key", -1)])

    if plan.is_scan and sum(isinstance(each, dict) for each in query.values()) > 1:
        engine = (await many.command("hello")).get("setName")
        if engine == "secantus":
            pytest.skip("SecantusDB uses no index for ranges of two fields; MongoDB does")
    assert not plan.is_scan
    assert (plan.examined or 0) <= await many[ORDERS].count_documents(query)
    declared = {str(index.document["name"]) for index in OrderDocument.Settings.indexes}
    if used := plan.indexes & declared:
        assert used <= {"number", "sort_key"} | {f"list_by_{name}" for name in query}
        if {*query} - {"tenant", "sort_key", "number"}:
            assert used != {"sort_key"}, "the filter's own index is not used"


@pytest.mark.parametrize("after", [None, Position(at=NOW, order_id=a_new_order().id)])
async def test_no_list_of_changes_scans_the_collection(
    many: Database, after: Position | None
) -> None:
    for query in changed_queries(OrderFilter(tenant="shop"), updated_from=NOW, after=after):
        plan = await plan_of(many, query, [("updated_at", 1), ("_id", 1)])

        assert not plan.is_scan
        assert (plan.examined or 0) <= await many[ORDERS].count_documents(query)
        declared = {str(index.document["name"]) for index in OrderDocument.Settings.indexes}
        assert plan.indexes & declared <= {"list_by_update"}


@pytest.mark.parametrize("queue", ["outbox_claim", "work_claim"])
async def test_no_work_queue_scans_the_collection(many: Database, queue: str) -> None:
    is_due = {f"{queue}.at": {"$lte": NOW}}

    plan = await plan_of(many, is_due, [(f"{queue}.at", 1)])

    assert not plan.is_scan
    assert (plan.examined or 0) <= await many[ORDERS].count_documents(is_due)
    declared = {str(index.document["name"]) for index in OrderDocument.Settings.indexes}
    assert plan.indexes & declared <= {queue}


async def test_a_work_queues_index_holds_only_what_waits(database: Database) -> None:
    information = await database["orders"].index_information()

    assert {name for name, index in information.items() if index.get("sparse")} == {
        "publisher_lag_kafka",
        "publisher_lag_rabbitmq",
        "outbox_claim",
        "work_claim",
    }


async def test_migrating_again_changes_nothing(database_uri: str, database: Database) -> None:
    before = await database["orders"].index_information()
    declared = {str(index.document["name"]) for index in OrderDocument.Settings.indexes}

    await asyncio.gather(*(migrate(database_uri, database=database.name) for _ in range(2)))

    assert {*before} == declared | {"_id_"}
    assert await database["orders"].index_information() == before


async def test_sharded_orders_have_no_unique_index_that_a_cluster_would_refuse(
    database_uri: str,
) -> None:
    """It wants unique indexes to begin with the shard key."""
    async with open_mongo(database_uri, database=f"test_{uuid4().hex}", timeout_seconds=30) as made:
        await init_beanie(database=made, document_models=models_for(is_sharded=True))
        information = await made[ORDERS].index_information()
        await made.client.drop_database(made.name)

    declared = {str(index.document["name"]) for index in OrderDocument.Settings.indexes}
    assert {*information} == declared | {"_id_"}
    assert not any(index.get("unique") for index in information.values())


# -- lost answers and lost servers -----------------------------------------------------------


@pytest.fixture
async def far(proxy: ForgetfulProxy, database_name: str) -> AsyncIterator[MongoOrders]:
    """Orders at the other end of the proxy."""
    async with open_mongo(proxy.uri, database=database_name) as database:
        yield MongoOrders(database)


async def test_an_add_whose_answer_was_lost_is_known_as_ours(
    far: MongoOrders, proxy: ForgetfulProxy, retries_writes: bool
) -> None:
    proxy.lose_next_answers("insert")
    order = a_new_order()

    with nullcontext() if retries_writes else pytest.raises(StoreUnavailable):
        await far.add(order)

    assert (proxy.lost, order.version) == (1, int(retries_writes))
    stored = await far.get(order.id)
    assert stored.state == replace(order.state, version=1)


async def test_a_save_whose_answer_was_lost_is_known_as_ours(
    far: MongoOrders, proxy: ForgetfulProxy, retries_writes: bool
) -> None:
    await far.add(order := a_new_order())
    order.hold("address", by=STAFF, now=NOW)
    proxy.lose_next_answers("update")

    with nullcontext() if retries_writes else pytest.raises(StoreUnavailable):
        await far.save(order)

    assert (proxy.lost, order.version) == (1, 1 + retries_writes)
    assert (await far.get(order.id)).state == replace(order.state, version=2)


async def test_a_repeated_write_that_had_happened_is_refused_and_done_once(
    proxy: ForgetfulProxy, database_name: str
) -> None:
    uri = with_option(proxy.uri, "retryWrites=false")
    async with open_mongo(uri, database=database_name) as database:
        orders = MongoOrders(database)
        proxy.lose_next_answers("insert")
        with pytest.raises(StoreUnavailable):
            await orders.add(order := a_new_order())
        with pytest.raises(DuplicateOrder):
            await orders.add(order)

        order = await orders.get(order.id)
        order.hold("address", by=STAFF, now=NOW)
        proxy.lose_next_answers("update")
        with pytest.raises(StoreUnavailable):
            await orders.save(order)
        with pytest.raises(ConcurrentUpdate):
            await orders.save(order)

        assert len((await orders.get(order.id)).state.holds) == 1


async def test_heals_by_itself_when_the_database_comes_back(
    proxy: ForgetfulProxy, database_name: str
) -> None:
    async with open_mongo(proxy.uri, database=database_name) as database:
        orders = MongoOrders(database)
        await orders.add(order := a_new_order())
        await probe(database)

        await proxy.cut()
        async with asyncio.timeout(2):
            with pytest.raises(StoreUnavailable):
                await orders.get(order.id)
        async with asyncio.timeout(2):
            with pytest.raises(StoreUnavailable):
                await probe(database)

        await proxy.restore()
        assert (await orders.get(order.id)).state == order.state
        await probe(database)
