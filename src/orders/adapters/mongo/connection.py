"""The connection to MongoDB. The process that opens it closes it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.monitoring import CommandListener, ConnectionPoolListener
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference
from pymongo.write_concern import WriteConcern

from orders.adapters.mongo.documents import CODEC, Document

Database = AsyncDatabase[Document]
Collection = AsyncCollection[Document]

DURABLE = WriteConcern("majority", j=True)
"""A majority of the servers has it on disk: what is acknowledged is never lost."""

_MAX_CONNECT_MILLISECONDS: Final = 5_000


def connect(
    uri: str,
    *,
    database: str,
    pool_size: int = 16,
    timeout_seconds: float = 1.25,
    listeners: Sequence[CommandListener | ConnectionPoolListener] = (),
) -> Database:
    """Return the database. The first call connects; the caller closes `database.client`.

    `timeout_seconds` bounds every single call with its retries and the search for a server. The
    driver may exceed it by 0.5 s, because it checks the time that often while it searches.
    `pool_size` is the largest number of connections. The driver reconnects when the database
    comes back.
    """
    milliseconds = round(timeout_seconds * 1000)
    connect_milliseconds = min(milliseconds, _MAX_CONNECT_MILLISECONDS)
    client: AsyncMongoClient[Document] = AsyncMongoClient(
        uri,
        appname="orders",
        maxPoolSize=pool_size,
        timeoutMS=milliseconds,
        serverSelectionTimeoutMS=connect_milliseconds,
        connectTimeoutMS=connect_milliseconds,
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
    """Open the database as `connect` does, and close it at the end of the block."""
    database = connect(uri, **options)
    async with database.client:
        yield database
