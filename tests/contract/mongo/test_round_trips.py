"""What each operation may ask of the database: round trips are most of what a request costs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Final

import pytest

from orders.adapters.mongo.connection import Database, open_mongo
from orders.adapters.mongo.event_log import MongoEventLog
from orders.adapters.mongo.orders import MongoOrders
from orders.adapters.mongo.outbox import MongoOutbox
from orders.application.access import Operation
from orders.application.ports import OrderFilter
from orders.application.relay_events import RelayEvents
from orders.domain.identifiers import OrderId
from orders.domain.order.order import Order
from tests.support.database.database_commands import RoundTrips
from tests.support.orders import a_draft
from tests.support.shop import PEOPLE, TENANT, Shop, a_request


@pytest.fixture
def trips() -> RoundTrips:
    return RoundTrips()


@pytest.fixture
async def mongo(
    database_uri: str, database_name: str, trips: RoundTrips
) -> AsyncIterator[Database]:
    async with open_mongo(
        database_uri, database=database_name, timeout_seconds=30, listeners=[trips]
    ) as opened:
        yield opened


@pytest.fixture
def shop(mongo: Database) -> Shop:
    shop = Shop()
    shop.orders.port = MongoOrders(mongo)
    return shop


async def _placed(shop: Shop, *, method: str | None = None) -> OrderId:
    return (await shop.place(method=method, key="before")).order.id


async def _place(shop: Shop) -> None:
    await shop.place()


async def _place_paid(shop: Shop) -> None:
    answer = await shop.place(method="tok_ok")
    assert answer.order.status == "confirmed"


async def _place_declined(shop: Shop) -> None:
    answer = await shop.place(method="tok_declined")
    assert answer.order.state.payment_status == "failed"


async def _place_dry(shop: Shop, key: str = "") -> None:
    request = a_request("sue", key=key, dry_run=True)
    await shop.container.place_order()(a_draft(), customer_id="ada", payment=None, request=request)


def _read(order_id: OrderId) -> Callable[[Shop], Awaitable[object]]:
    return lambda shop: shop.container.read_orders().get(order_id, caller=PEOPLE["ada"])


async def _list(shop: Shop) -> None:
    where = OrderFilter(tenant=TENANT)
    await shop.container.read_orders().list(
        where, newest_first=True, after=None, limit=20, caller=PEOPLE["ada"]
    )


def _cancel(order_id: OrderId) -> Callable[[Shop], Awaitable[object]]:
    def tell(order: Order, **told: object) -> None:
        order.cancel("customer", **told)  # type: ignore[arg-type]

    return lambda shop: shop.change(order_id, Operation.CANCEL, tell, key="cancel")


ON_NO_ORDER: Final[Mapping[str, tuple[Callable[[Shop], Awaitable[object]], list[str]]]] = {
    "place": (_place, ["insert"]),
    "place with a payment": (_place_paid, ["insert", "update"]),
    "place with a declined payment": (_place_declined, ["insert", "update"]),
    "place as a dry run": (_place_dry, []),
    "place as a dry run with a key": (lambda shop: _place_dry(shop, "dry"), ["find"]),
    "list": (_list, ["find"]),
}


@pytest.mark.parametrize("operation", ON_NO_ORDER)
async def test_an_operation_takes_no_more_round_trips_than_it_must(
    shop: Shop, trips: RoundTrips, operation: str
) -> None:
    act, expected = ON_NO_ORDER[operation]

    await act(shop)

    assert trips.sent == expected


@pytest.mark.parametrize(
    ("act", "method", "expected"),
    [
        pytest.param(_read, None, ["find"], id="read"),
        pytest.param(_cancel, None, ["find", "update"], id="cancel"),
        # The second write books that the payment service has let go of the money.
        pytest.param(_cancel, "tok_ok", ["find", "update", "update"], id="cancel a paid one"),
    ],
)
async def test_an_operation_on_an_order_takes_no_more_round_trips_than_it_must(
    shop: Shop,
    trips: RoundTrips,
    act: Callable[[OrderId], Callable[[Shop], Awaitable[object]]],
    method: str | None,
    expected: list[str],
) -> None:
    order_id = await _placed(shop, method=method)
    trips.sent.clear()

    await act(order_id)(shop)

    assert trips.sent == expected


async def test_relaying_takes_five_round_trips_however_many_orders(
    mongo: Database, shop: Shop, trips: RoundTrips
) -> None:
    for number in range(5):
        await shop.place(key=f"key-{number}")
    trips.sent.clear()

    relayed = await RelayEvents(MongoOutbox(mongo), MongoEventLog(mongo), {}, shop.clock)(limit=5)

    assert relayed.events == 5
    assert trips.sent == ["find", "update", "find", "insert", "update"]
