"""The driver's calls without tasks of their own: each gets its own answer, in time, or none."""

from __future__ import annotations

import asyncio
import runpy
from collections.abc import Callable, Coroutine
from typing import Any

import pymongo
import pytest
from pymongo import _csot, network_layer
from pymongo.asynchronous import pool
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import (
    AutoReconnect,
    NetworkTimeout,
    OperationFailure,
    ProtocolError,
    PyMongoError,
)

from orders.adapters.mongo import round_trips
from orders.adapters.mongo.connection import Database, open_mongo
from orders.adapters.mongo.orders import probe
from orders.application.errors import StoreUnavailable
from tests.support.database.database_commands import RoundTrips
from tests.support.database.faulty_proxy import ForgetfulProxy

Find = Callable[..., Coroutine[Any, Any, Any]]


def test_the_driver_of_the_locks_is_the_one_that_is_known() -> None:
    round_trips.shorten()
    inner = vars(pool)
    assert inner["async_receive_message"] is round_trips._received
    assert inner["async_sendall"] is round_trips._sent


def test_another_driver_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    its_own = object()
    monkeypatch.setattr(pymongo, "version_tuple", (4, 21, 0))
    monkeypatch.delattr(network_layer, "_UNPACK_REPLY")
    monkeypatch.setattr(pool, "async_receive_message", its_own)
    runpy.run_path(round_trips.__file__)["shorten"]()
    assert vars(pool)["async_receive_message"] is its_own


@pytest.mark.parametrize("find", [AsyncCollection.find_one, round_trips.find_first])
async def test_a_round_trip_makes_no_task(database: Database, find: Find) -> None:
    await database["tasks"].insert_one({"_id": find.__name__})
    made: list[Any] = []
    asking = asyncio.current_task()

    def noted(loop: asyncio.AbstractEventLoop, work: Any, **rest: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, **rest)
        if asyncio.current_task() is asking:  # the driver watches its servers all the while
            made.append(work)
        return task

    asyncio.get_running_loop().set_task_factory(noted)
    try:
        assert await find(database["tasks"], {"_id": find.__name__}) is not None
    finally:
        asyncio.get_running_loop().set_task_factory(None)
    assert not made


@pytest.mark.parametrize("find", [AsyncCollection.find_one, round_trips.find_first])
@pytest.mark.parametrize("turns", range(24))
async def test_who_gives_up_leaves_no_answer_to_the_next(
    database_uri: str, database: Database, turns: int, find: Find
) -> None:
    """However far the call has come. On one connection, which is there before: the driver itself
    leaves sockets behind when who waits for a new one gives up.
    """
    wanted, other = ({"_id": f"{find.__name__} {turns} {name}"} for name in ("wanted", "other"))
    await database["calls"].insert_many([wanted, other])
    async with open_mongo(
        database_uri, database=database.name, timeout_seconds=30, pool_size=1
    ) as one:
        assert await find(one["calls"], other) == other
        given_up = asyncio.create_task(find(one["calls"], other))
        for _ in range(turns):
            await asyncio.sleep(0)
        given_up.cancel()
        assert await find(one["calls"], wanted) == wanted
        await asyncio.gather(given_up, return_exceptions=True)
        assert await find(one["calls"], wanted) == wanted


async def test_an_answer_that_does_not_come_is_waited_for_until_the_deadline() -> None:
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


async def test_the_first_that_fits_is_what_the_driver_finds(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = database["some"]
    await some.insert_many([{"_id": n, "even": n % 2 == 0, "more": "x"} for n in range(4)])
    each: list[Any] = [({"_id": 2}, {"more": 0}), ({"even": False}, None), ({"_id": 9}, {})]
    wanted = [await some.find_one(*asked) for asked in each]
    monkeypatch.delattr(AsyncCollection, "find_one")
    assert [await round_trips.find_first(some, *asked) for asked in each] == wanted


@pytest.mark.parametrize("times", [1, 2])
async def test_a_question_whose_answer_is_lost_is_asked_again(
    database: Database, proxy: ForgetfulProxy, times: int
) -> None:
    await database["lost"].insert_one({"_id": times})
    trips = RoundTrips()
    async with open_mongo(
        proxy.uri, database=database.name, timeout_seconds=30, listeners=[trips]
    ) as way:
        await way.command("ping")
        proxy.lose_next_answers("find", times)
        assert await round_trips.find_first(way["lost"], {"_id": times}) == {"_id": times}
        assert proxy.lost == times
    assert trips.sent.count("find") == times + 1


@pytest.mark.parametrize(
    ("seconds", "error", "options"),
    [
        pytest.param(30.0, NetworkTimeout(), "", id="a time limit has ended it"),
        pytest.param(0.01, AutoReconnect(), "", id="no time is left"),
        pytest.param(30.0, AutoReconnect(), "retryReads=false", id="nothing is to be repeated"),
        pytest.param(
            30.0,
            AutoReconnect("", {"errorLabels": ["SystemOverloadedError"]}),
            "",
            id="the driver has asked again",
        ),
        pytest.param(30.0, OperationFailure("", 18), "", id="who we are is not believed"),
        pytest.param(30.0, OperationFailure("", 133), "", id="there is no primary"),
        pytest.param(30.0, OperationFailure("", 2), "", id="it was refused"),
    ],
)
async def test_what_has_failed_for_good_is_not_asked_again(
    database_uri: str,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    error: PyMongoError,
    options: str,
) -> None:
    async def fails(*_: object, **__: object) -> None:
        await asyncio.sleep(0.02)
        raise error

    monkeypatch.setattr(AsyncDatabase, "command", fails)
    monkeypatch.delattr(AsyncCollection, "find_one")
    async with open_mongo(
        f"{database_uri}?{options}", database="x", timeout_seconds=seconds
    ) as way:
        with pytest.raises(type(error)):
            await round_trips.find_first(way["one"], {})


async def test_what_is_asked_again_has_the_time_that_is_left(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[float | None] = []

    async def lost(*_: object, **__: object) -> None:
        await asyncio.sleep(0.01)
        raise AutoReconnect

    async def asked(*_: object) -> None:
        left.append(_csot.remaining())

    monkeypatch.setattr(AsyncDatabase, "command", lost)
    monkeypatch.setattr(AsyncCollection, "find_one", asked)
    await round_trips.find_first(database["one"], {})
    longest = database.client.options.timeout
    assert longest is not None
    assert left[0] is not None
    assert 0 < left[0] <= longest - 0.01


async def test_an_answer_of_an_unknown_kind_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    class Odd:
        async def read(self, *_: object) -> tuple[bytes, int]:
            return b"", 1

    class Connection:
        class conn:  # noqa: N801
            get_conn = Odd()

    monkeypatch.setattr(_csot, "remaining", lambda: 1.0)
    with pytest.raises(ProtocolError, match="unknown kind: 1"):
        await round_trips._received(Connection(), 1, 100)
