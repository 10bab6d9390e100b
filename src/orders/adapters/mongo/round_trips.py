"""Round trips to the database with less of the driver: `docs/decisions/0013-round-trips.md`.

PyMongo 4.20 makes two or three tasks of every round trip: one writes, one reads, one looks twice a
second whether the connection is to be given up. For a call with a deadline, which all of ours are,
the deadline says that, too. And it makes a cursor of every question, also of those with one answer.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import pymongo
from pymongo import _csot
from pymongo import network_layer as _network
from pymongo.asynchronous import pool as _pool
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import ConnectionFailure, OperationFailure, ProtocolError, PyMongoError

KNOWN: Final = (4, 20)
"""The version of PyMongo whose inner functions are known; another one keeps its own."""

_pools: Final[Any] = _pool
_ASKED_AGAIN: Final = frozenset(
    {6, 7, 89, 91, 134, 189, 262, 9001, 10058, 10107, 11600, 11602, 13435, 13436}
)
"""Retryable reads, by code: specifications/retryable-reads of MongoDB's drivers."""


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
    """What `find_one` gives, within the time of one call. It asks again where `find_one` does: when
    the connection fails, or the server is about to be another; but not when a time limit ended it.

    Raises:
        PyMongoError: As `find_one`.
    """
    client = collection.database.client
    command = {
        "find": collection.name,
        "filter": query,
        "projection": projection or {},
        "limit": 1,
        "singleBatch": True,
        "readConcern": collection.read_concern.document,
    }
    with pymongo.timeout(client.options.timeout):
        try:
            answer = await collection.database.command(
                command,
                read_preference=collection.read_preference,
                codec_options=collection.codec_options,
            )
        except PyMongoError as error:
            if not client.options.retry_reads or _is_for_good(error):
                raise
            # Of whom to ask, the driver knows.
            return await collection.find_one(query, projection)
    found: list[dict[str, Any]] = answer["cursor"]["firstBatch"]
    return found[0] if found else None


def _is_for_good(error: PyMongoError) -> bool:
    """Whether asking again would bring the same, there is no time left for it, or the driver has
    done so already.
    """
    left = _csot.remaining()
    is_over = error.timeout or (left is not None and left <= 0)
    if is_over or error.has_error_label("SystemOverloadedError"):
        return True
    if isinstance(error, OperationFailure):
        return error.code not in _ASKED_AGAIN
    return not isinstance(error, ConnectionFailure)


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
