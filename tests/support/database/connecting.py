"""A fault of PyMongo 4.20 that would fail tests at random: a socket that nobody closes.

If a client is closed, or a call is cancelled, while the driver connects, the driver drops the
socket without closing it. The interpreter closes it later and warns of that, in the middle of
another test. Warnings are errors here, so that sockets of our own are noticed.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from unittest.mock import patch

from pymongo.asynchronous import pool

_CONNECT: Final = "_configured_protocol_interface"
_connect: Any = getattr(pool, _CONNECT)


async def _connect_or_close(*arguments: Any) -> Any:
    try:
        return await _connect(*arguments)
    except asyncio.CancelledError as error:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if sock := frame.f_locals.get("sock"):
                sock.close()
        raise


@contextmanager
def cancelled_connections_are_closed() -> Iterator[None]:
    """Close the socket of a connection that is cancelled before it is made."""
    with patch.object(pool, _CONNECT, _connect_or_close):
        yield
