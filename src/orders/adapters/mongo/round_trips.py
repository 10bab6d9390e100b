"""Round trips to the database with less of the driver: `docs/decisions/0013-round-trips.md`.

PyMongo 4.20 makes two or three tasks of every round trip: one writes, one reads, one looks twice a
second whether the connection is to be given up. For a call with a deadline, which all of ours are,
the deadline says that, too. And it makes a cursor of every question, also of those with one answer.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

import pymongo
from pymongo import _csot
from pymongo import network_layer as _network
from pymongo.asynchronous import pool as _pool
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import ProtocolError, PyMongoError

KNOWN: Final = (4, 20)
"""The version of PyMongo whose inner functions are known; another one keeps its own."""

_pools: Final[Any] = _pool


def shorten() -> None:
    """Let the driver's calls do without tasks of their own, for the whole process. Repeatable."""
    if pymongo.version_tuple[:2] == KNOWN:
        _pools.async_sendall = _sent
        _pools.async_receive_message = _received


async def find_first(
    collection: AsyncCollection[dict[str, Any]],
    query: dict[str, Any],
    projection: dict[str, Any] | None = None,
) -> dict[str, Any] | None:
    """What `find_one` gives, from the primary, within the same time, for a quarter less.

    Raises:
        PyMongoError: As `find_one`.
    """
    database = collection.database
    command = {
        "find": collection.name,
        "filter": query,
        "projection": projection or {},
        "limit": 1,
        "singleBatch": True,
        "readConcern": collection.read_concern.document,
    }
    began = time.monotonic()
    try:
        answer = await database.command(command, codec_options=collection.codec_options)
    except PyMongoError as error:
        longest = database.client.options.timeout
        if error.timeout or longest is None:
            raise
        # What may be asked again, and of whom, knows the driver.
        with pymongo.timeout(max(0.0, began + longest - time.monotonic())):
            return await collection.find_one(query, projection)
    found: list[dict[str, Any]] = answer["cursor"]["firstBatch"]
    return found[0] if found else None


async def _sent(protocol: Any, message: bytes) -> None:
    # It is only put into the transport's buffer, whatever the other side does.
    await protocol.write(message)


async def _received(connection: Any, request_id: int | None, longest: int) -> Any:
    """The answer to a message. The driver closes the connection if this raises.

    Raises:
        TimeoutError: When the call's deadline is over.
    """
    seconds = _csot.remaining()
    if seconds is None:
        return await _network.async_receive_message(connection, request_id, longest)
    async with asyncio.timeout(seconds):
        data, code = await connection.conn.get_conn.read(request_id, longest)
    unpack_by_code = vars(_network)["_UNPACK_REPLY"]
    if code not in unpack_by_code:
        raise ProtocolError(f"an answer of an unknown kind: {code}")
    return unpack_by_code[code](data)
