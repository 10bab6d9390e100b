"""The driver's calls without tasks of their own: each gets its own answer, in time, or none."""

from __future__ import annotations

import asyncio
import runpy
from typing import Any

import pymongo
import pytest
from pymongo import _csot, network_layer
from pymongo.asynchronous import pool
from pymongo.errors import ProtocolError

from orders.adapters.mongo import round_trips
from orders.adapters.mongo.connection import Database, open_mongo, ping
from orders.application.errors import StoreUnavailable


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


async def test_a_round_trip_makes_no_task(database: Database) -> None:
    await database["one"].insert_one({"_id": 1})
    made: list[Any] = []
    asking = asyncio.current_task()

    def noted(loop: asyncio.AbstractEventLoop, work: Any, **rest: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, **rest)
        if asyncio.current_task() is asking:  # the driver watches its servers all the while
            made.append(work)
        return task

    asyncio.get_running_loop().set_task_factory(noted)
    try:
        assert await database["one"].find_one({"_id": 1}) == {"_id": 1}
    finally:
        asyncio.get_running_loop().set_task_factory(None)
    assert not made


@pytest.mark.parametrize("turns", range(24))
async def test_who_gives_up_leaves_no_answer_to_the_next(
    database_uri: str, database: Database, turns: int
) -> None:
    """However far the call has come. On one connection, which is there before: the driver itself
    leaves sockets behind when who waits for a new one gives up.
    """
    wanted, other = {"_id": f"{turns} wanted"}, {"_id": f"{turns} other"}
    await database["calls"].insert_many([wanted, other])
    async with open_mongo(
        database_uri, database=database.name, timeout_seconds=30, pool_size=1
    ) as one:
        assert await one["calls"].find_one(other) == other
        given_up = asyncio.create_task(one["calls"].find_one(other))
        for _ in range(turns):
            await asyncio.sleep(0)
        given_up.cancel()
        assert await one["calls"].find_one(wanted) == wanted
        await asyncio.gather(given_up, return_exceptions=True)
        assert await one["calls"].find_one(wanted) == wanted


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
            await ping(database)
    server.close()
    for writer in held:
        writer.close()


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
