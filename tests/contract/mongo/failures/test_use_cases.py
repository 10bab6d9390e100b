"""Whatever the database answers, to whichever call of a use case: 503, and nothing is done twice.

The API in process, over a database whose n-th command fails from some n on. The client then sends
the same request again, as it is told to.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, NamedTuple

import httpx
import pytest

from orders.adapters.mongo.connection import Database, open_mongo
from orders.adapters.mongo.documents import ORDER_EVENTS, ORDERS
from orders.adapters.mongo.event_log import MongoEventLog
from orders.adapters.mongo.orders import MongoOrders
from orders.adapters.mongo.outbox import MongoOutbox
from orders.application.errors import StoreUnavailable
from orders.application.publisher_queue import RELAY_LEASE
from orders.domain.actions import Action
from orders.domain.lifecycle import TRANSITIONS, OrderStatus
from orders.domain.order.order import Order
from tests.support.api import Api, Front, a_body, assert_problem
from tests.support.api_commands import IDS, carry_out
from tests.support.database.database_commands import RoundTrips
from tests.support.database.failing_database import NO_MAJORITY, FailPoint
from tests.support.orders import a_placed_order, an_order_ready_for
from tests.support.shop import Shop

COMMANDS: Final = ("find", "insert", "update", "aggregate", "getMore")
WRITES: Final = ("insert", "update")
REFUSED: Final[Mapping[str, Any]] = {"errorCode": 13}
BELOW_MAJORITY: Final[Mapping[str, Any]] = {"writeConcernError": NO_MAJORITY}
"""The write was carried out, but may be lost: also beside a duplicate, when it is sent again."""
CLOSED: Final[Mapping[str, Any]] = {"closeConnection": True}
TRY_AGAIN: Final = (13, 18, 43, 64, 100, 133, 134, 146, 189, 462, 8000, 11601, 14031)
DAY = timedelta(days=1)

Send = Callable[[], Awaitable[httpx.Response]]


@dataclass(frozen=True)
class Case:
    """A request, and what must be there before."""

    prepare: Callable[[Api, MongoOrders], Awaitable[Send]]


# -- the requests -----------------------------------------------------------------------------


def placing(**members: Any) -> Case:
    async def prepare(api: Api, _: MongoOrders) -> Send:
        return lambda: api.place(key="the-key", **members)

    return Case(prepare)


def reading(path: str, *, of: Callable[[], Order] = a_placed_order) -> Case:
    async def prepare(api: Api, orders: MongoOrders) -> Send:
        order = of()
        await orders.add(order)
        found = path.format(id=order.id, number=order.state.number)
        return lambda: api.get(found, who="root")

    return Case(prepare)


def commanding(action: str) -> Case:
    """On an order that is prepared for it."""
    status = next(each for each in OrderStatus if (each, Action(action)) in TRANSITIONS)

    async def prepare(api: Api, orders: MongoOrders) -> Send:
        order = an_order_ready_for(Action(action), status)
        await orders.add(order)
        return lambda: carry_out(api, f"/orders/{order.id}", action, key="the-key")

    return Case(prepare)


def commanding_a_paid_order(action: str, *, capture: bool = False, **options: Any) -> Case:
    """On an order that the payment service knows."""

    async def prepare(api: Api, _: MongoOrders) -> Send:
        payment = {"method": "tok_ok", "capture": capture}
        order = await api.placed(payment=payment, key="before")
        path = f"/orders/{order['id']}"
        if action == "refund":
            await api.done(f"{path}/credits", {"amount": 300, "reason": "goodwill"}, key="credit")
        return lambda: carry_out(api, path, action, key="the-key", **options)

    return Case(prepare)


KNOWN_PAYMENTS: Final = {
    "capture": commanding_a_paid_order("capture", body={"amount": 1_000}),
    "void": commanding_a_paid_order("void"),
    "refund": commanding_a_paid_order("refund", capture=True, body={"reason": "goodwill"}),
}
ALSO_BELOW_MAJORITY: Final = {*KNOWN_PAYMENTS, "pay", "hold"}
CHANGES: Final[Mapping[str, Case]] = {
    "place": placing(),
    "place-and-pay": placing(payment={"method": "tok_ok", "capture": True}),
    "place-declined": placing(payment={"method": "tok_declined"}),
    "place-lost": placing(payment={"method": "tok_timeout_booked"}),
    "cancel-a-paid-one": commanding_a_paid_order("cancel"),
    **{action: KNOWN_PAYMENTS.get(action) or commanding(action) for action in IDS},
}
READS: Final[Mapping[str, Case]] = {
    path: reading(path)
    for path in (
        *("/orders/{id}", "/orders/{id}/actions", "/orders/{id}/events", "/orders/{id}/notes"),
        *("/orders", "/orders/by-number/{number}", "/events"),
    )
}


# -- what happened ----------------------------------------------------------------------------


class Connections(NamedTuple):
    """Ways to the database."""

    patient: Database
    hasty: Database
    """It gives up after a second: the driver repeats some calls until then."""


class World:
    """A shop of its own over the database; everything of it is gone after the next one begins."""

    def __init__(self, front: Front, connections: Connections) -> None:
        self.shop = Shop()
        self.connections = connections
        self.use(connections.patient)
        front.container.override(self.shop.container)
        self.api = Api(front, self.shop)

    @property
    def orders(self) -> MongoOrders:
        """What is stored."""
        return MongoOrders(self.connections.patient)

    def use(self, database: Database) -> None:
        """Let everything go through this connection."""
        self.shop.orders.port = MongoOrders(database)
        self.shop.container.outbox.override(MongoOutbox(database))
        self.shop.container.log.override(MongoEventLog(database))

    async def finish(self) -> None:
        """Let the worker finish everything, as it does until nothing is left."""
        await self.shop.work(rounds=2)
        self.shop.clock.advance(RELAY_LEASE)
        await self.shop.relay()

    async def effects(self) -> dict[str, Any]:
        """What orders, payment service and consumers have seen; without versions and times."""
        seen: dict[str, Any] = {"sent to the payment service": {*self.shop.provider.calls}}
        async for document in self.connections.patient[ORDERS].find():
            ledger = document["ledger"]
            seen[str(document["_id"])] = {
                "status": [document[each] for each in ("status", "payment_status", "totals")],
                "money": [_plain(each, "amount", "captured") for each in ledger["payments"]],
                "refunds": [_plain(each, "amount", "status") for each in ledger["refunds"]],
                "parts": [len(document[e]) for e in ("notes", "holds", "shipments", "returns")],
                "left in the outbox": document["outbox"],
            }
        log = self.connections.patient[ORDER_EVENTS]
        events = await log.find(sort=[("position", 1)]).to_list()
        seen["positions"] = [each["position"] for each in events]
        for each in events:
            seen.setdefault(f"events of {each['order_id']}", []).append(each["event"]["type"])
        told = [(each.order_id, each.recorded.sequence) for each in self.shop.publisher.published]
        seen["published"] = sorted({*told})
        return seen


def _plain(part: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: part[name] for name in names}


@pytest.fixture(scope="module")
def front() -> Front:
    return Front()


@pytest.fixture
def trips() -> RoundTrips:
    return RoundTrips()


@pytest.fixture
async def worlds(
    front: Front, database: Database, database_uri: str, trips: RoundTrips, point: FailPoint
) -> AsyncIterator[Callable[[], Awaitable[World]]]:
    """Makes a new world: the same requests have the same effects in each."""
    made: list[World] = []
    options: dict[str, Any] = {"database": database.name, "listeners": [trips]}
    async with (
        open_mongo(database_uri, timeout_seconds=30, **options) as patient,
        open_mongo(database_uri, timeout_seconds=1, **options) as hasty,
    ):

        async def begin() -> World:
            point.off()
            for collection in (ORDERS, ORDER_EVENTS):
                await database[collection].delete_many({})
            made.append(World(front, Connections(patient, hasty)))
            return made[-1]

        yield begin
        for each in made:
            await each.api.client.aclose()
            front.container.reset_last_overriding()


def require_told_to_come_back(answer: httpx.Response) -> None:
    assert_problem(answer, 503, "store-unavailable")
    assert int(answer.headers["retry-after"]) > 0


@dataclass(frozen=True)
class Failing:
    """How the database fails, and at which commands that can be."""

    how: Mapping[str, Any]
    commands: tuple[str, ...] = COMMANDS
    is_repeated: bool = False
    """The driver repeats the call until its time is over."""


WAYS: Final = {
    "refused": Failing(REFUSED),
    "below-majority": Failing(BELOW_MAJORITY, WRITES),
}


async def without_failure(
    case: Case, worlds: Callable[[], Awaitable[World]], trips: RoundTrips
) -> tuple[list[str], dict[str, Any]]:
    """The commands that a request sends to the database, and what it does."""
    world = await worlds()
    send = await case.prepare(world.api, world.orders)
    trips.sent.clear()
    assert (await send()).status_code in {200, 201}
    commands = [*trips.sent]
    await world.finish()
    return commands, await world.effects()


async def every_failure(
    case: Case,
    failing: Failing,
    worlds: Callable[[], Awaitable[World]],
    trips: RoundTrips,
    point: FailPoint,
) -> None:
    """Let the first command of the request fail, then the second, and so on."""
    commands, wanted = await without_failure(case, worlds, trips)
    points = [each for each, command in enumerate(commands) if command in failing.commands]
    assert points
    # Up to its own write a request is refused. What follows a payment is left to the worker.
    own = next((n for n, command in enumerate(commands) if command in WRITES), len(commands))

    for skipped, place in enumerate(points):
        world = await worlds()
        send = await case.prepare(world.api, world.orders)
        if failing.is_repeated:
            world.use(world.connections.hasty)
        point.fail_from(skipped, *failing.commands, **failing.how)
        answer = await send()
        if place <= own or answer.status_code >= 400:
            require_told_to_come_back(answer)
        point.off()
        world.use(world.connections.patient)
        again = await send()
        if again.status_code not in {200, 201}:
            # Its payment is reserved, and the worker's now.
            assert_problem(again, 409, "idempotency-key-in-progress")
        await world.finish()
        assert (await send()).status_code in {200, 201}, (place, commands)
        assert await world.effects() == wanted, (place, commands)


@pytest.mark.parametrize("name", CHANGES)
async def test_a_change_is_refused_and_done_once(
    worlds: Any, trips: RoundTrips, point: FailPoint, name: str
) -> None:
    await every_failure(CHANGES[name], WAYS["refused"], worlds, trips, point)


@pytest.mark.parametrize(
    "name",
    [
        each
        for each in CHANGES
        if each.startswith(("place", "cancel-")) or each in ALSO_BELOW_MAJORITY
    ],
)
async def test_a_change_that_no_majority_has_is_done_once(
    worlds: Any, trips: RoundTrips, point: FailPoint, name: str
) -> None:
    """Those that store more than once; and one of the others, which all take the same way."""
    await every_failure(CHANGES[name], WAYS["below-majority"], worlds, trips, point)


@pytest.mark.parametrize("name", ["place-and-pay", "cancel-a-paid-one"])
async def test_a_change_whose_connection_is_closed_is_done_once(
    worlds: Any, trips: RoundTrips, point: FailPoint, name: str
) -> None:
    """The driver tries again until the call's time is over."""
    await every_failure(CHANGES[name], Failing(CLOSED, is_repeated=True), worlds, trips, point)


@pytest.mark.parametrize("name", READS)
async def test_a_read_is_refused(
    worlds: Any, trips: RoundTrips, point: FailPoint, name: str
) -> None:
    await every_failure(READS[name], Failing(REFUSED), worlds, trips, point)


@pytest.mark.parametrize("code", TRY_AGAIN)
async def test_every_code_that_means_try_again_is_told_so(
    worlds: Callable[[], Awaitable[World]], point: FailPoint, code: int
) -> None:
    world = await worlds()
    order = a_placed_order()
    await world.orders.add(order)
    world.use(world.connections.hasty)
    point.fail(*COMMANDS, errorCode=code)

    require_told_to_come_back(await world.api.get(f"/orders/{order.id}", who="root"))
    require_told_to_come_back(await world.api.post("/orders", a_body()))


# -- the worker -------------------------------------------------------------------------------


async def owing_work(world: World) -> None:
    """A payment of unknown outcome, an order that expires, and the events of both."""
    await world.api.placed(payment={"method": "tok_timeout_booked", "capture": True}, key="one")
    await world.api.placed(key="two")
    world.shop.clock.advance(2 * DAY)


async def turn(world: World) -> None:
    await world.shop.work()
    await world.shop.relay()


@pytest.mark.parametrize("way", WAYS)
async def test_a_worker_goes_on_and_does_nothing_twice(
    worlds: Callable[[], Awaitable[World]], trips: RoundTrips, point: FailPoint, way: str
) -> None:
    failing = WAYS[way]
    world = await worlds()
    await owing_work(world)
    trips.sent.clear()
    await turn(world)
    points = [command for command in trips.sent if command in failing.commands]
    await world.finish()
    wanted = await world.effects()

    for skipped in range(len(points)):
        world = await worlds()
        await owing_work(world)
        point.fail_from(skipped, *failing.commands, **failing.how)
        with suppress(StoreUnavailable):  # the worker's loop logs it and tries again
            await turn(world)
        point.off()
        await world.finish()
        assert await world.effects() == wanted, (skipped, points)
