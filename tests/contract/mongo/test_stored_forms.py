"""Stored form 1 and form 2 side by side: an old process, new processes, and the migration."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Self
from uuid import UUID, uuid4
from zlib import crc32

import bson
import pytest
from bson.json_util import RELAXED_JSON_OPTIONS, loads
from pymongo import MongoClient

from orders.adapters.contracts.events.event_outbox import TRACE, EventOutboxContract
from orders.adapters.contracts.full_order import an_order_with_everything
from orders.adapters.contracts.order_repository import OrderRepositoryContract
from orders.adapters.contracts.samples import LATER, NOW, STAFF, a_new_order
from orders.adapters.in_memory.stubs import FixedTraceContext
from orders.adapters.mongo import form_migration
from orders.adapters.mongo.backlog import MongoBacklog
from orders.adapters.mongo.connection import Collection, Database, open_mongo
from orders.adapters.mongo.documents import (
    CODEC,
    ORDERS,
    Document,
    all_events_in,
    to_event_document,
    to_state,
)
from orders.adapters.mongo.form_migration import OLD_INDEXES, OldFormLeft, change_form
from orders.adapters.mongo.migration import migrate
from orders.adapters.mongo.orders import MongoOrders
from orders.adapters.mongo.outbox import MongoOutbox
from orders.adapters.mongo.stored_forms import OLD_NAMES, MixedOrders, StoredForm
from orders.application.errors import ConcurrentUpdate, UnreadableOrder
from orders.application.ports import OrderFilter
from orders.domain.identifiers import OrderId
from orders.domain.lifecycle import OrderStatus
from orders.domain.order.order import Order
from orders.domain.order.storing import restore
from tests.support.database.failing_database import NO_MAJORITY, FailPoint
from tests.support.database.faulty_proxy import ForgetfulProxy
from tests.support.database.old_build import (
    AT_ONCE,
    NEVER,
    OldOrders,
    OldOutbox,
    in_form_of,
    old_document,
)
from tests.support.database.query_plans import plan_of
from tests.support.orders import an_order_that_is

ONE, BOTH, TWO = StoredForm
LEASE = timedelta(seconds=30)
GOLDEN = Path(__file__).parent / "golden"
ORDER_ID = UUID("018e0000-0000-8000-8000-0123456789ab")
_JSON = RELAXED_JSON_OPTIONS.with_options(
    tz_aware=True, tzinfo=CODEC.tzinfo, uuid_representation=CODEC.uuid_representation
)


@pytest.fixture
def own_name(database_uri: str) -> Iterator[str]:
    """The name of a database without indexes: these tests make and drop them."""
    name = f"test_{uuid4().hex}"
    yield name
    client: MongoClient[Document]
    with closing(MongoClient(database_uri)) as client:
        client.drop_database(name)


@pytest.fixture
async def own(database_uri: str, own_name: str) -> AsyncIterator[Database]:
    async with open_mongo(database_uri, database=own_name, timeout_seconds=30) as opened:
        await opened[ORDERS].create_indexes([*OLD_INDEXES])
        yield opened


@pytest.fixture
def bring_to(database_uri: str, own_name: str) -> Any:
    """`orders migrate` with this value of `ORDERS_STORED_FORM`; returns what it reports."""

    async def run(form: StoredForm) -> list[str]:
        lines: list[str] = []
        await migrate(database_uri, database=own_name, stored_form=form, report=lines.append)
        return lines

    return run


async def stored(database: Database) -> dict[UUID, Document]:
    return {each["_id"]: each async for each in database[ORDERS].find()}


def old_names_in(document: Document) -> set[str]:
    names = {*document} & {*OLD_NAMES.values()}
    names |= {"ledger.calls"} & {f"ledger.{name}" for name in document["ledger"]}
    operations = document["ledger"].get("operations", [])
    return names | {f"operation.{name}" for each in operations for name in each if name == "due_at"}


async def fill(database: Database) -> list[OrderId]:
    """Orders of every status, stored by the old release, in every state of its work queues."""
    orders, outbox = OldOrders(database), OldOutbox(database)
    ids = []
    for number, status in enumerate([*OrderStatus] * 3):
        order = an_order_that_is(status)
        copy = restore(replace(order.state, id=OrderId(uuid4()), number=f"N-{number}", version=0))
        copy.add_note("New", by=STAFF, now=LATER)
        await orders.add(copy)
        ids.append(copy.id)
    everything = an_order_with_everything(status=OrderStatus.CONFIRMED)
    await orders.add(everything)
    kept, parked, *_ = await outbox.claim(now=NOW, lease=LEASE, limit=4)
    lag = {"at": NOW, "confirmed": 0, "refusals": 2}
    last = {each["_id"]: each["sequence"] for each in (await stored(database)).values()}
    await outbox.keep(kept, last[kept], {"kafka": lag})
    refused = lag | {"at": NEVER + LEASE, "reason": "too-large", "parked_at": NOW}
    await outbox.keep(parked, last[parked], {"rabbitmq": refused, "kafka": lag})
    await orders.claim_due(now=LATER + timedelta(days=9), lease=LEASE, limit=3)
    return [*ids, everything.id]


# -- the old release --------------------------------------------------------------------------


def test_the_old_release_stores_the_golden_document_of_form_1() -> None:
    first: Document = loads(
        (GOLDEN / "order-document-v2-first.json").read_text(), json_options=_JSON
    )
    events = all_events_in(first).events
    document = old_document(restore(replace(to_state(first), version=0)))
    document["outbox"] = [to_event_document(e.recorded, e.traceparent) for e in events]
    document["relay"] = {"at": AT_ONCE}
    as_stored = bson.decode(bson.encode(document, codec_options=CODEC), codec_options=CODEC)

    text = (GOLDEN / "order-document-v1.json").read_text("utf-8")

    golden = loads(text, json_options=_JSON)
    assert in_form_of(golden, as_stored) == golden


async def test_a_new_order_in_form_1_is_what_the_old_release_would_have_stored(
    database: Database,
) -> None:
    """Else a process of the old release could not serve it."""
    order = an_order_with_everything(status=OrderStatus.CONFIRMED)
    await OldOrders(database).add(order)
    by_old = await database[ORDERS].find_one_and_delete({"_id": order.id})
    assert by_old is not None

    await MongoOrders(database, stored_form=ONE).add(restore(replace(order.state, version=0)))

    by_new = await database[ORDERS].find_one({"_id": order.id})
    assert by_new is not None
    # The old release neither searches nor removes what lists are searched by since.
    since = {"dispute_status": None, "overdue_from": None}
    assert by_new | {"write": None} | since == by_old | {"write": None} | since


@pytest.mark.parametrize("form", [ONE, BOTH])
async def test_an_old_and_a_new_process_change_each_others_orders(
    database: Database, form: StoredForm
) -> None:
    old, new = OldOrders(database), MongoOrders(database, stored_form=form)
    await old.add(order := a_new_order())

    for number in range(4):
        writer: Any = (old, new)[number % 2]
        loaded = await writer.get(order.id)
        loaded.add_note(f"Note {number}", by=STAFF, now=LATER)
        await writer.save(loaded)

    stale = await old.get(order.id)
    current = await new.get(order.id)
    current.add_note("Wins", by=STAFF, now=LATER)
    await new.save(current)
    stale.add_note("Loses", by=STAFF, now=LATER)
    with pytest.raises(ConcurrentUpdate):
        await old.save(stale)
    texts = [note.text for note in (await new.get_state(order.id)).notes]
    assert texts == ["Note 0", "Note 1", "Note 2", "Note 3", "Wins"]
    waiting = await MongoOutbox(database, stored_form=form).waiting_of(order.id)
    assert [each.recorded.sequence for each in waiting.events] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("form", [ONE, BOTH])
async def test_an_old_and_a_new_process_never_claim_the_same_order(
    database: Database, form: StoredForm
) -> None:
    old = OldOrders(database), OldOutbox(database)
    new = MongoOrders(database, stored_form=form), MongoOutbox(database, stored_form=form)
    for _ in range(10):
        await old[0].add(a_new_order())
        await MongoOrders(database, stored_form=ONE).add(a_new_order())
    due: Any = {"now": NOW + timedelta(days=2), "lease": LEASE, "limit": 6}
    at_once: Any = {"now": NOW, "lease": LEASE, "limit": 6}

    worked: list[OrderId] = []
    relayed: list[OrderId] = []
    while len(worked) + len(relayed) < 40:
        by_old, by_new = await asyncio.gather(
            old[0].claim_due(**due), new[0].claim_scheduled(**due)
        )
        old_relay, new_relay = await asyncio.gather(
            old[1].claim(**at_once), new[1].claim(**at_once)
        )
        assert by_old or by_new or old_relay or new_relay, "some are never claimed"
        worked += [*by_old, *by_new]
        relayed += [*old_relay, *(each.order_id for each in new_relay)]

    ids = sorted(await stored(database))
    assert sorted(worked) == ids
    assert sorted(relayed) == ids


async def test_a_list_holds_the_orders_of_both_forms_in_order(database: Database) -> None:
    ids = []
    for number in range(9):
        order = a_new_order(now=NOW + timedelta(seconds=number))
        form = (ONE, BOTH, TWO)[number % 3]
        await MongoOrders(database, stored_form=form).add(order)
        ids.append(order.id)
    orders, listed, after = MongoOrders(database, stored_form=ONE), list[OrderId](), None
    for _ in range(3):
        page = await orders.list(
            OrderFilter(tenant="shop", outstanding=True), newest_first=True, after=after, limit=3
        )
        listed += [each.id for each in page.orders]
        after = page.next

    assert listed == ids[::-1]
    assert after is None


# -- a process during the migration: all promises of the ports -----------------------------------


class Migrating:
    """A collection whose documents all change their form before every third command.

    Documents are stored in one form and changed to the other, so each changes once.
    """

    def __init__(self, collection: Collection, to: int, count: list[int] | None = None) -> None:
        self._collection = collection
        self._to = to
        self._count = [0] if count is None else count

    def with_options(self, **options: Any) -> Self:
        return type(self)(self._collection.with_options(**options), self._to, self._count)

    async def step(self) -> None:
        self._count[0] += 1
        if self._count[0] % 3 == 0:
            await change_form(self._collection, to=self._to)

    async def insert_many(self, *arguments: Any) -> Any:
        await self.step()
        return await self._collection.insert_many(*arguments)

    async def find_one(self, *arguments: Any) -> Any:
        await self.step()
        return await self._collection.find_one(*arguments)

    async def update_one(self, *arguments: Any) -> Any:
        await self.step()
        return await self._collection.update_one(*arguments)

    async def count_documents(self, *arguments: Any, **options: Any) -> Any:
        await self.step()
        return await self._collection.count_documents(*arguments, **options)

    def find(self, *arguments: Any, **options: Any) -> _MigratingCursor:
        return _MigratingCursor(self, self._collection.find(*arguments, **options))


class _MigratingCursor:
    def __init__(self, orders: Migrating, cursor: Any) -> None:
        self._orders = orders
        self._cursor = cursor

    async def to_list(self) -> Any:
        await self._orders.step()
        return await self._cursor.to_list()


@pytest.fixture
def migrating(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> StoredForm:
    """Every process works on orders that change their form meanwhile; half of the tests forward."""
    is_forward = crc32(request.node.name.encode()) % 2
    form, to = (ONE, 2) if is_forward else (BOTH, 1)
    count = [0]

    def orders_in(database: Database, form: StoredForm) -> Any:
        orders: Any = Migrating(database[ORDERS], to, count)
        return MixedOrders(orders, form)

    for module in ("orders", "outbox", "backlog"):
        monkeypatch.setattr(f"orders.adapters.mongo.{module}.orders_in", orders_in)
    return form


class TestOrdersDuringTheMigration(OrderRepositoryContract):
    @pytest.fixture
    def orders(self, database: Database, migrating: StoredForm) -> MongoOrders:
        return MongoOrders(database, stored_form=migrating)

    @pytest.fixture
    def lost_orders(self, lost_database: Database) -> MongoOrders:
        return MongoOrders(lost_database, stored_form=BOTH)

    @pytest.fixture
    async def lone_orders(
        self, proxy: ForgetfulProxy, point: FailPoint, database_name: str
    ) -> AsyncIterator[MongoOrders]:
        async with open_mongo(proxy.uri, database=database_name) as database:
            proxy.hide_from_majority()
            point.fail("insert", "update", writeConcernError=NO_MAJORITY)
            yield MongoOrders(database, stored_form=BOTH)


class TestOutboxDuringTheMigration(EventOutboxContract):
    @pytest.fixture
    def orders(self, database: Database, migrating: StoredForm) -> MongoOrders:
        return MongoOrders(database, trace_context=FixedTraceContext(TRACE), stored_form=migrating)

    @pytest.fixture
    def outbox(self, database: Database, migrating: StoredForm) -> MongoOutbox:
        return MongoOutbox(database, stored_form=migrating)

    @pytest.fixture
    def lost_outbox(self, lost_database: Database) -> MongoOutbox:
        return MongoOutbox(lost_database, stored_form=BOTH)


# -- the migration ----------------------------------------------------------------------------


async def test_forward_and_back_loses_nothing(own: Database, bring_to: Any) -> None:
    ids = await fill(own)
    before = await stored(own)
    states = {each: (await OldOrders(own).get(each)).state for each in ids}

    assert await bring_to(BOTH) == [f"{len(ids)} orders changed to form 2, 0 left in form 1"]

    after = await stored(own)
    assert {each["schema"] for each in after.values()} == {2}
    assert [old_names_in(each) for each in after.values()] == [set()] * len(ids)
    assert {each: await MongoOrders(own).get_state(each) for each in ids} == {
        each: replace(state, requests=()) for each, state in states.items()
    }

    assert await bring_to(ONE) == [f"{len(ids)} orders changed to form 1, 0 left in form 2"]

    assert await stored(own) == before


async def test_what_waits_for_work_waits_after_the_migration(own: Database, bring_to: Any) -> None:
    await fill(own)
    mixed = MongoBacklog(own, stored_form=BOTH)
    before = await mixed.measure(now=LATER)
    parked = await MongoOutbox(own, stored_form=BOTH).parked(limit=9)
    assert (before.new.waiting_orders, len(parked)) == (len(OrderStatus) * 3 - 2, 1)

    await bring_to(BOTH)

    assert await mixed.measure(now=LATER) == before
    assert await MongoBacklog(own).measure(now=LATER) == before
    assert await MongoOutbox(own).parked(limit=9) == parked


async def test_a_claim_lasts_until_its_lease_ends_whatever_the_form(
    own: Database, bring_to: Any
) -> None:
    await OldOrders(own).add(order := a_new_order())
    assert await OldOutbox(own).claim(now=NOW, lease=LEASE, limit=9) == {order.id: [1]}

    await bring_to(BOTH)

    outbox = MongoOutbox(own)
    assert await outbox.claim(now=NOW, lease=LEASE, limit=9) == []
    (again,) = await outbox.claim(now=NOW + LEASE, lease=LEASE, limit=9)
    assert again.order_id == order.id


async def test_events_that_an_old_relay_was_publishing_are_not_published_again(
    own: Database, bring_to: Any
) -> None:
    """It claimed two orders, their form changed, one got a new event, and it went on."""
    orders, outbox = OldOrders(own), MongoOutbox(own, stored_form=BOTH)
    await orders.add(first := a_new_order())
    await orders.add(second := a_new_order())
    claimed = await OldOutbox(own).claim(now=NOW, lease=LEASE, limit=9)
    assert [*claimed.values()] == [[1], [1]]
    await bring_to(BOTH)
    changed = await MongoOrders(own, stored_form=BOTH).get(second.id)
    changed.add_note("Meanwhile", by=STAFF, now=LATER)
    await MongoOrders(own, stored_form=BOTH).save(changed)

    await OldOutbox(own).remove([first.id, second.id], 1)
    relayed = [
        (each.order_id, [event.recorded.sequence for event in each.events])
        for each in await outbox.claim(now=NOW + LEASE, lease=LEASE, limit=9)
    ]

    assert relayed == [(second.id, [2])]
    await outbox.remove({second.id: 2})
    await bring_to(BOTH)
    assert [old_names_in(each) for each in (await stored(own)).values()] == [set(), set()]
    assert await outbox.claim(now=NOW + 3 * LEASE, lease=LEASE, limit=9) == []


async def test_an_old_process_that_was_left_running_changes_no_order_of_form_2(
    own: Database, bring_to: Any
) -> None:
    old = OldOrders(own)
    await old.add(order := a_new_order())
    read_before = await old.get(order.id)
    await bring_to(BOTH)
    before = await stored(own)

    read_before.add_note("Too late", by=STAFF, now=LATER)
    with pytest.raises(ConcurrentUpdate):
        await old.save(read_before)
    with pytest.raises(UnreadableOrder):
        await old.get(order.id)
    due: Any = {"now": NOW + timedelta(days=2), "lease": LEASE, "limit": 9}
    assert await old.claim_due(**due) == []
    assert await OldOutbox(own).claim(**due) == {}
    assert await stored(own) == before

    # What it stores itself is served by the others, and found by the next run.
    await old.add(late := a_new_order())
    assert (await MongoOrders(own, stored_form=BOTH).get(late.id)).id == late.id
    assert await bring_to(BOTH) == ["1 orders changed to form 2, 0 left in form 1"]


async def test_an_interrupted_migration_is_resumed_in_either_direction(
    own: Database, bring_to: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await fill(own)
    before = await stored(own)
    monkeypatch.setattr(form_migration, "_BATCH", 4)
    change, batches = form_migration._change_batch, 0

    async def dies(*arguments: Any, **options: Any) -> int:
        nonlocal batches
        batches -= 1
        if batches < 0:
            raise ConnectionError("killed")
        return await change(*arguments, **options)

    monkeypatch.setattr(form_migration, "_change_batch", dies)
    for form, batches in ((BOTH, 2), (ONE, 1), (BOTH, 1), (BOTH, 2)):  # noqa: B007 - `dies` reads it
        with pytest.raises(ConnectionError):
            await bring_to(form)
        forms = [each["schema"] for each in (await stored(own)).values()]
        assert {*forms} == {1, 2}
        states = [await MongoOrders(own, stored_form=form).get_state(each) for each in ids]
        assert len(states) == len(ids)
    monkeypatch.setattr(form_migration, "_change_batch", change)

    await bring_to(BOTH)
    assert {each["schema"] for each in (await stored(own)).values()} == {2}
    await bring_to(ONE)
    assert await stored(own) == before


class Meanwhile:
    """A collection in which something happens before the first batch is changed."""

    def __init__(self, collection: Collection, happen: Callable[[], Awaitable[None]]) -> None:
        self._collection = collection
        self._happen: Callable[[], Awaitable[None]] | None = happen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._collection, name)

    async def bulk_write(self, *arguments: Any, **options: Any) -> Any:
        if self._happen is not None:
            happen, self._happen = self._happen, None
            await happen()
        return await self._collection.bulk_write(*arguments, **options)


async def test_an_order_that_is_saved_while_its_form_changes_keeps_the_change(
    database: Database,
) -> None:
    """An old and a new process save between what the migration reads and what it writes."""
    writers: Sequence[Any] = (MongoOrders(database, stored_form=BOTH), OldOrders(database))
    ids = []
    for _ in writers:
        order = a_new_order()
        order.start_payment("tok_ok", by=STAFF, now=NOW)
        await OldOrders(database).add(order)
        ids.append(order.id)
    saved: list[Order] = []

    async def save() -> None:
        for writer, order_id in zip(writers, ids, strict=True):
            order = await writer.get(order_id)
            (operation,) = order.state.ledger.operations
            order.record_unknown_outcome(operation.key, now=LATER)
            await writer.save(order)
            saved.append(order)

    orders: Any = Meanwhile(database[ORDERS], save)
    await change_form(orders, to=2)

    assert len(saved) == 2
    for order in saved:
        assert (await MongoOrders(database).get(order.id)).state == order.state


@pytest.mark.parametrize("form", [BOTH, ONE])
async def test_two_migrations_at_once_do_what_one_does(
    own: Database, bring_to: Any, form: StoredForm
) -> None:
    await fill(own)
    if form is ONE:
        await bring_to(BOTH)
    to = 2 if form is BOTH else 1

    await asyncio.gather(*(change_form(own[ORDERS], to=to) for _ in range(2)))

    documents = [*(await stored(own)).values()]
    assert {each["schema"] for each in documents} == {to}
    names = [old_names_in(each) for each in documents]
    assert all(names) if to == 1 else not any(names)


async def test_a_batch_is_bounded_and_the_progress_is_reported(
    own: Database, bring_to: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await own[ORDERS].insert_many([old_document(a_new_order()) | {"write": 1} for _ in range(25)])
    monkeypatch.setattr(form_migration, "_BATCH", 10)
    monkeypatch.setattr(form_migration, "_REPORT_SECONDS", 0.0)
    sizes: list[int] = []
    change = form_migration._change_batch

    async def counted(orders: Collection, ids: Sequence[object], **options: Any) -> int:
        sizes.append(len(ids))
        return await change(orders, ids, **options)

    monkeypatch.setattr(form_migration, "_change_batch", counted)
    lines = await bring_to(BOTH)

    assert sizes == [10, 10, 5]
    assert lines[:3] == [f"{n} of about 25 orders" for n in (10, 20, 25)]
    assert lines[-1] == "25 orders changed to form 2, 0 left in form 1"


# -- indexes ----------------------------------------------------------------------------------


async def test_both_forms_have_their_indexes_until_only_form_2_is_left(
    own: Database, bring_to: Any
) -> None:
    await fill(own)
    old_names = {str(index.document["name"]) for index in OLD_INDEXES}

    await bring_to(ONE)
    during = {*await own[ORDERS].index_information()}
    assert old_names < during
    with pytest.raises(OldFormLeft, match=r"\d+ orders are stored in form 1"):
        await bring_to(TWO)
    await bring_to(BOTH)
    assert {*await own[ORDERS].index_information()} == during
    # Processes with `both` still serve when the chart's hook runs with `2`.
    assert "run this again" in (await bring_to(TWO))[-1]
    assert {*await own[ORDERS].index_information()} == during
    await asyncio.gather(*(bring_to(TWO) for _ in range(4)))
    assert {*await own[ORDERS].index_information()} == during - old_names
    await bring_to(TWO)
    await bring_to(ONE)
    assert {*await own[ORDERS].index_information()} == during


async def test_a_backup_of_form_1_that_was_restored_without_indexes_is_refused(
    own: Database, bring_to: Any
) -> None:
    await fill(own)
    await own[ORDERS].drop_indexes()

    with pytest.raises(OldFormLeft):
        await bring_to(TWO)


async def test_an_interrupted_drop_of_the_old_indexes_is_continued(
    own: Database, bring_to: Any
) -> None:
    await bring_to(BOTH)
    await own[ORDERS].drop_index("wake")

    await bring_to(TWO)
    await bring_to(TWO)

    assert not {"listed", "relay"} & {*await own[ORDERS].index_information()}


async def test_no_query_of_either_form_scans_the_collection(own: Database, bring_to: Any) -> None:
    await bring_to(ONE)
    asked: list[tuple[Document, Any]] = []
    find = own[ORDERS].find

    class Noted:
        def find(self, query: Document, projection: Any = None, **options: Any) -> Any:
            asked.append((query, options.get("sort")))
            return find(query, projection, **options)

    orders = MixedOrders(Noted(), ONE)  # type: ignore[arg-type]
    bounds: Sequence[tuple[Document, str]] = [
        ({"tenant": "shop"}, "sort_key"),
        ({"tenant": "shop", "has_outstanding": True}, "sort_key"),
        ({"tenant": "shop", "owner": "ada", "sort_key": {"$lt": "9"}}, "sort_key"),
        ({"work_claim.at": {"$lte": NOW}}, "work_claim.at"),
        ({"outbox_claim.at": {"$lte": NOW}}, "outbox_claim.at"),
        ({"publisher_lags.kafka.at": {"$lte": NOW}}, "publisher_lags.kafka.at"),
    ]
    for query, field in bounds:
        await orders.find(query, {"_id": 1}, sort=[(field, -1)], limit=9).to_list()

    assert len(asked) == 3 * len(bounds)
    information = await own[ORDERS].index_information()
    by_name = {name: dict(index["key"]) for name, index in information.items()}
    for query, sort in asked:
        plan = await plan_of(own, query, sort)
        assert not plan.is_scan, query
        field = sort[0][0]
        if used := plan.indexes & {*by_name}:
            assert all(field in by_name[name] for name in used), (query, used)
        assert field in query, "it would scan the documents of the other form in this index"
