"""A command and its answer, in the task that waits for it.

PyMongo 4.20 makes two or three tasks of every round trip: one writes, one reads, one looks twice a
second whether the connection is to be given up. For a call with a deadline, which all of ours are,
the deadline says that, too. `docs/decisions/0013-round-trips.md` has the figures.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import pymongo
from pymongo import _csot
from pymongo import network_layer as _network
from pymongo.asynchronous import pool as _pool
from pymongo.errors import ProtocolError

KNOWN: Final = (4, 20)
"""The version of PyMongo whose inner functions are known; another one keeps its own."""

_pools: Final[Any] = _pool


def shorten() -> None:
    """Let the driver's calls do without tasks of their own, for the whole process. Repeatable."""
    if pymongo.version_tuple[:2] == KNOWN:
        _pools.async_sendall = _sent
        _pools.async_receive_message = _received


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
