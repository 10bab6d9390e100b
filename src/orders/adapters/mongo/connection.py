"""The connection to MongoDB: made by the process that owns it, and closed by it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError
from pymongo.monitoring import CommandListener, ConnectionPoolListener
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference
from pymongo.write_concern import WriteConcern

from orders.adapters.mongo.documents import CODEC, Document
from orders.adapters.mongo.failures import described, is_refusal
from orders.application.deadline import seconds_left
from orders.application.errors import StoreUnavailable

Database = AsyncDatabase[Document]
Collection = AsyncCollection[Document]

DURABLE = WriteConcern("majority", j=True)
"""Acknowledged by a majority that has it on disk: what is acknowledged is never lost."""

_REACHED_WITHIN_MILLISECONDS: Final = 5_000

P = ParamSpec("P")
T = TypeVar("T")


def connect(
    uri: str,
    *,
    database: str,
    pool_size: int = 16,
    timeout_seconds: float = 1.25,
    listeners: Sequence[CommandListener | ConnectionPoolListener] = (),
) -> Database:
    """The database. Nothing is connected before the first call; close `database.client`.

    `timeout_seconds` bounds every single call, with its retries and the search for a server,
    which the driver gives up up to half a second late: it looks at the clock as often.
    `pool_size` bounds the connections. It heals by itself when the database comes back.
    """
    milliseconds = round(timeout_seconds * 1000)
    to_reach_it = min(milliseconds, _REACHED_WITHIN_MILLISECONDS)
    client: AsyncMongoClient[Document] = AsyncMongoClient(
        uri,
        appname="orders",
        maxPoolSize=pool_size,
        timeoutMS=milliseconds,
        serverSelectionTimeoutMS=to_reach_it,
        connectTimeoutMS=to_reach_it,
        event_listeners=listeners,
    )
    return client.get_database(
        database,
        codec_options=CODEC,
        read_preference=ReadPreference.PRIMARY,
        write_concern=DURABLE,
        read_concern=ReadConcern("local"),
    )


@asynccontextmanager
async def open_mongo(uri: str, **options: Any) -> AsyncIterator[Database]:
    """The database of `connect`, closed when the block is left."""
    database = connect(uri, **options)
    async with database.client:
        yield database


def answered(call: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """A call to the database that raises `StoreUnavailable` for whatever fails, save a refusal.

    Nothing is asked any more for a request whose deadline is over.
    """

    @wraps(call)
    async def within(*args: P.args, **kwargs: P.kwargs) -> T:
        if seconds_left() <= 0:
            raise StoreUnavailable("the time of the request is over")
        try:
            return await call(*args, **kwargs)
        except PyMongoError as error:
            if is_refusal(error):
                raise
            raise StoreUnavailable(f"the database did not do it: {described(error)}") from error

    return within
