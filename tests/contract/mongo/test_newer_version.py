"""What a newer version has written stops nothing but itself: cases l-newer and cp-poison.

A service of this version, its API in process, over the database that both versions share.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from orders.adapters.contracts.events.event_samples import logged_events
from orders.adapters.mongo.connection import Database
from orders.adapters.mongo.event_log import MongoEventLog
from orders.adapters.mongo.orders import MongoOrders
from orders.adapters.mongo.outbox import MongoOutbox
from orders.application.publisher_queue import RELAY_LEASE, Relayed
from orders.domain.identifiers import OrderId
from orders.entrypoints.observability import metrics, unreadable
from orders.entrypoints.observability.instrumented_orders import InstrumentedOrderRepository
from tests.support.api import Api, Front, a_body, assert_problem, id_of
from tests.support.shop import Shop

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
NEWER: dict[str, dict[str, Any]] = {
    "schema": {"schema": 3},
    "status": {"status": "teleported"},
    "form": {"lines": {"by": "sku"}},
}
"""How a newer version may have stored an order."""


@pytest.fixture
def shop(database: Database) -> Shop:
    shop = Shop()
    shop.orders.port = InstrumentedOrderRepository(MongoOrders(database))
    shop.container.outbox.override(MongoOutbox(database))
    shop.container.log.override(MongoEventLog(database))
    return shop


@pytest.fixture(scope="module")
def front() -> Front:
    return Front()


@pytest.fixture
async def api(front: Front, shop: Shop) -> AsyncIterator[Api]:
    front.container.override(shop.container)
    api = Api(front, shop)
    yield api
    await api.client.aclose()
    front.container.reset_last_overriding()


@pytest.fixture(params=NEWER)
def newer(request: pytest.FixtureRequest) -> dict[str, Any]:
    return NEWER[request.param]


async def rewrite(database: Database, order_id: OrderId, changes: dict[str, Any]) -> None:
    """Store a part of an order as another version does."""
    told = await database["orders"].update_one({"_id": order_id}, {"$set": changes})
    assert told.modified_count == 1


async def placed(api: Api, count: int, **options: Any) -> list[OrderId]:
    """The ids of orders placed a second apart."""
    ids = []
    for _ in range(count):
        api.shop.clock.advance(SECOND)
        ids.append(id_of(await api.placed(**options)))
    return ids


async def an_order_with_an_event_of_a_newer_version(api: Api, database: Database) -> OrderId:
    """Its second event of three."""
    (order_id,) = await placed(api, 1)
    for reason in ("address", "fraud"):
        await api.done(f"/orders/{order_id}/holds", {"reason": reason})
    await rewrite(database, order_id, {"outbox.1.event.type": "OrderTeleported"})
    return order_id


def got(shop: Shop, order_id: OrderId) -> list[int]:
    return [e.recorded.sequence for e in shop.publisher.published if e.order_id == order_id]


async def turn(shop: Shop) -> Relayed:
    relayed: Relayed = await shop.container.relay_events()(limit=100)
    return relayed


# -- events -------------------------------------------------------------------------------------


async def test_an_unknown_event_holds_up_its_own_order_alone(api: Api, database: Database) -> None:
    strange = await an_order_with_an_event_of_a_newer_version(api, database)
    others = await placed(api, 3)

    relayed = [await turn(api.shop) for _ in range(3)]

    # Nothing overtakes it in its order; it is read once a lease, not in a spin.
    assert got(api.shop, strange) == [1]
    assert [got(api.shop, each) for each in others] == [[1], [1], [1]]
    assert [[e.id for e in each.unreadable] for each in relayed] == [
        [f"{strange}:2"],
        [f"{strange}:2"],
        [],
    ]
    (named,) = await MongoOutbox(database).unreadable(limit=9)
    assert (named.order_id, named.sequence) == (strange, 2)
    assert "OrderTeleported" in named.reason

    # The newer version can relay it.
    await rewrite(database, strange, {"outbox.0.event.type": "OrderHeld"})
    api.shop.clock.advance(RELAY_LEASE)
    await turn(api.shop)
    assert got(api.shop, strange) == [1, 2, 3]
    assert await MongoOutbox(database).unreadable(limit=9) == []


async def test_events_of_an_order_of_a_newer_schema_wait_for_a_newer_relay(
    api: Api, database: Database
) -> None:
    strange, *others = await placed(api, 3)
    await rewrite(database, strange, NEWER["schema"])

    relayed = [await turn(api.shop) for _ in range(2)]

    assert [got(api.shop, each) for each in others] == [[1], [1]]
    assert got(api.shop, strange) == []
    assert [len(each.unreadable) for each in relayed] == [1, 0]


async def test_what_a_lane_cannot_read_holds_up_its_own_order_alone(
    api: Api, database: Database
) -> None:
    """A newer relay has offered it to the others; this one is to send it to the lost one."""
    api.shop.publisher.unavailable = True
    strange, *others = await placed(api, 3)
    await api.shop.relay()
    await rewrite(database, strange, {"outbox.0.event.type": "OrderTeleported"})
    api.shop.publisher.unavailable = False
    (queue,) = (e for e in api.shop.container.relay_events().queues if e.name == "rabbitmq")

    unreadable: list[str] = []
    for _ in range(20):
        api.shop.clock.advance(SECOND)
        relayed = await queue.send_waiting(limit=100)
        unreadable += [event.id for event in relayed.unreadable]

    assert [got(api.shop, each) for each in (strange, *others)] == [[], [1], [1]]
    assert unreadable == [f"{strange}:1"]


async def test_the_feed_goes_on_past_what_it_cannot_show_and_says_so(
    api: Api, database: Database
) -> None:
    await MongoEventLog(database).append(logged_events(tenant="shop")[:5])
    changed = {"$set": {"event.type": "OrderTeleported"}}
    await database["order_events"].update_many({"position": {"$in": [2, 3]}}, changed)

    seen: list[tuple[list[int], object, str]] = []
    after = "0"
    for _ in range(4):
        page = (await api.get("/events", who="root", after=after, limit=2)).json()
        after = page["next_cursor"]
        positions = [int(event["position"]) for event in page["items"]]
        seen.append((positions, page.get("unreadable"), after))

    assert seen == [([1], 1, "2"), ([4], 1, "4"), ([5], None, "5"), ([], None, "5")]


@pytest.mark.parametrize("relayed", [False, True])
async def test_a_timeline_shows_the_rest_and_says_how_much_it_does_not(
    api: Api, database: Database, relayed: bool
) -> None:
    if relayed:
        (order_id,) = await placed(api, 1)
        await api.done(f"/orders/{order_id}/holds", {"reason": "address"})
        await turn(api.shop)
        of_it = {"order_id": order_id, "sequence": 2}
        strange = {"$set": {"event.type": "OrderTeleported"}}
        await database["order_events"].update_one(of_it, strange)
    else:
        order_id = await an_order_with_an_event_of_a_newer_version(api, database)

    page = (await api.get(f"/orders/{order_id}/events", who="root")).json()

    assert [event["sequence"] for event in page["items"]] == ([1] if relayed else [1, 3])
    assert page["unreadable"] == 1
    query = f'{{orderEvents(id: "{order_id}") {{sequence}}}}'
    told = (await api.call("POST", "/graphql", {"query": query}, who="root")).json()
    assert [e["sequence"] for e in told["data"]["orderEvents"]] == ([1] if relayed else [1, 3])


# -- orders -------------------------------------------------------------------------------------


@pytest.mark.parametrize("sort", ["created_at", "-created_at"])
async def test_a_list_shows_the_rest_and_goes_on_past_what_it_cannot_show(
    api: Api, database: Database, newer: dict[str, Any], sort: str
) -> None:
    ids = await placed(api, 6)
    for strange in (ids[1], ids[2], ids[5]):
        await rewrite(database, strange, newer)
    if sort == "-created_at":
        ids.reverse()
    unreadable = {place for place, each in enumerate(ids) if each in await unread(api, ids)}

    seen: list[tuple[list[str], int]] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await api.get("/orders", who="ada", sort=sort, limit=2, **cursor)).json()
        seen.append(([each["id"] for each in page["items"]], page.get("unreadable", 0)))
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}

    assert seen == [
        (
            [str(ids[n]) for n in (first, first + 1) if n not in unreadable],
            sum(n in unreadable for n in (first, first + 1)),
        )
        for first in (0, 2, 4)
    ]


async def unread(api: Api, ids: list[OrderId]) -> list[OrderId]:
    return [e for e in ids if (await api.get(f"/orders/{e}", who="ada")).status_code == 503]


async def test_graphql_lists_the_rest_and_goes_on_past_what_it_cannot_show(
    api: Api, database: Database, newer: dict[str, Any]
) -> None:
    ids = await placed(api, 4)
    for strange in ids[:2]:
        await rewrite(database, strange, newer)
    query = (
        "query ($after: String) {orders(first: 2, sort: CREATED_AT_ASC, after: $after) "
        "{edges {node {id}} unreadable pageInfo {hasNextPage endCursor}}}"
    )

    after, seen = None, []
    for _ in range(2):
        body = {"query": query, "variables": {"after": after}}
        page = (await api.call("POST", "/graphql", body)).json()["data"]["orders"]
        shown = [edge["node"]["id"] for edge in page["edges"]]
        seen.append((shown, page["unreadable"], page["pageInfo"]["hasNextPage"]))
        after = page["pageInfo"]["endCursor"]

    assert seen == [([], 2, True), ([str(each) for each in ids[2:]], 0, False)]


async def test_the_order_itself_is_for_another_replica_to_answer(
    api: Api, database: Database, newer: dict[str, Any]
) -> None:
    order = await api.placed(external_reference="po-7")
    strange = id_of(order)
    paths = ["", "/events", "/actions", "/notes"]
    await rewrite(database, strange, newer)
    before = await database["orders"].find_one({"_id": strange})

    answers = [await api.get(f"/orders/{strange}{path}", who="root") for path in paths]
    answers += [
        await api.get(f"/orders/by-number/{order['number']}", who="root"),
        await api.get("/orders/by-reference/po-7", who="root"),
        await api.post(f"/orders/{strange}/cancel", {"reason": "customer"}, who="root"),
        # The same request again, which finds what it has placed.
        await api.post("/orders", a_body(external_reference="po-7"), key="key-1"),
    ]

    for answer in answers:
        assert_problem(answer, 503, "order-unreadable")
        assert answer.headers["retry-after"] == "1"
    assert await database["orders"].find_one({"_id": strange}) == before


async def test_due_work_goes_on_past_what_it_cannot_read_and_names_it(
    api: Api,
    database: Database,
    newer: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(unreadable, "_reported", set())
    strange, other = await placed(api, 2)
    await rewrite(database, strange, newer)

    with caplog.at_level(logging.ERROR):
        await api.shop.work(after=2 * DAY)

    assert (await MongoOrders(database).get(other)).status == "expired"
    (named,) = (each.message for each in caplog.records)
    assert named.startswith(f"order {strange} cannot be read by this version")


async def test_what_cannot_be_read_is_counted_and_named_once(
    api: Api,
    database: Database,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(unreadable, "_reported", set())

    def counted(kind: str) -> float:
        found = metrics.REGISTRY.get_sample_value("orders_unreadable_total", {"kind": kind})
        return found or 0

    strange, _ = await placed(api, 2)
    await rewrite(database, strange, NEWER["schema"])
    before = counted("order"), counted("event")
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            await api.get("/orders", who="ada")
            await api.get(f"/orders/{strange}", who="ada")
            unreadable.tell_unreadable_events((await turn(api.shop)).unreadable)
            api.shop.clock.advance(RELAY_LEASE)

    assert (counted("order"), counted("event")) == (before[0] + 1, before[1] + 1)
    named = [each.message for each in caplog.records if str(strange) in each.message]
    assert [each.partition(" cannot")[0] for each in named] == [
        f"order {strange}",
        f"event {strange}:1",
    ]
