"""What the service relies on in the database driver: retries, deadlines, cancelled calls."""

from __future__ import annotations

import asyncio
import gc
from contextlib import nullcontext, suppress

import pytest
from pymongo.errors import OperationFailure

from orders.adapters.contracts.samples import a_new_order
from orders.adapters.mongo.connection import Database, open_mongo
from orders.adapters.mongo.orders import MongoOrders, probe
from orders.application.errors import StoreUnavailable
from tests.support.database.database_commands import RoundTrips
from tests.support.database.failing_database import FailPoint
from tests.support.database.faulty_proxy import ForgetfulProxy
from tests.support.database.uris import with_option

FAILURES = (StoreUnavailable, OperationFailure)
LOOP_ITERATIONS = 24
"""More than a read takes on one connection, from the first byte sent to the document."""


async def test_a_cancelled_read_does_not_give_its_response_to_the_next(
    database_uri: str, database: Database
) -> None:
    """However far the read had come. Both use the same connection."""
    orders = MongoOrders(database)
    await orders.add(wanted := a_new_order())
    await orders.add(other := a_new_order())
    async with open_mongo(
        database_uri, database=database.name, timeout_seconds=30, pool_size=1
    ) as opened:
        one_connection = MongoOrders(opened)
        for iterations in range(LOOP_ITERATIONS):
            await one_connection.get(other.id)
            cancelled = asyncio.create_task(one_connection.get(other.id))
            for _ in range(iterations):
                await asyncio.sleep(0)
            cancelled.cancel()

            assert (await one_connection.get(wanted.id)).id == wanted.id
            await asyncio.gather(cancelled, return_exceptions=True)
            assert (await one_connection.get(wanted.id)).id == wanted.id


async def test_a_server_that_never_responds_is_given_up_at_the_deadline() -> None:
    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    held: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with open_mongo(
        f"mongodb://127.0.0.1:{port}/?directConnection=true", database="x", timeout_seconds=0.2
    ) as database:
        with pytest.raises(StoreUnavailable):
            await probe(database)
    server.close()
    for writer in held:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def test_a_client_that_is_closed_while_it_connects_leaves_no_socket_open(
    database_uri: str, database: Database
) -> None:
    """However far it had come: a test that fails here says who leaves sockets to others."""

    async def close_after(iterations: int) -> None:
        async with open_mongo(database_uri, database=database.name) as opened:
            connecting = asyncio.create_task(probe(opened))
            for _ in range(iterations):
                await asyncio.sleep(0)
        await asyncio.gather(connecting, return_exceptions=True)

    await asyncio.gather(*map(close_after, range(LOOP_ITERATIONS)))

    gc.collect()


@pytest.mark.parametrize("times", [1, 2])
async def test_a_read_whose_response_is_lost_is_sent_again(
    database: Database, proxy: ForgetfulProxy, times: int
) -> None:
    await MongoOrders(database).add(order := a_new_order())
    trips = RoundTrips()
    async with open_mongo(
        proxy.uri, database=database.name, timeout_seconds=30, listeners=[trips]
    ) as opened:
        await probe(opened)
        trips.sent.clear()
        proxy.lose_next_answers("find", times)

        assert (await MongoOrders(opened).get(order.id)).id == order.id

    assert proxy.lost == times
    assert trips.sent.count("find") == times + 1


@pytest.mark.parametrize(
    ("code", "options", "is_retried"),
    [
        pytest.param(6, "", True, id="the server could not reach another"),
        pytest.param(134, "", True, id="the server has no majority snapshot yet"),
        pytest.param(262, "", True, id="the server was too slow"),
        pytest.param(6, "retryReads=false", False, id="the operator has turned retries off"),
        pytest.param(18, "", False, id="the credentials are wrong"),
        pytest.param(133, "", False, id="there is no primary"),
        pytest.param(2, "", False, id="the query is refused"),
    ],
)
async def test_a_read_is_sent_again_only_after_an_error_that_may_pass(
    database_uri: str,
    database: Database,
    point: FailPoint,
    code: int,
    options: str,
    is_retried: bool,
) -> None:
    trips = RoundTrips()
    async with open_mongo(
        with_option(database_uri, options),
        database=database.name,
        timeout_seconds=10,
        listeners=[trips],
    ) as opened:
        await probe(opened)
        trips.sent.clear()
        point.fail_once("find", errorCode=code)
        outcome = nullcontext() if is_retried else pytest.raises(FAILURES)
        with outcome:
            await probe(opened)

    assert trips.sent.count("find") == (2 if is_retried else 1)
