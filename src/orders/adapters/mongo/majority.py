"""What a majority of the servers has: all that may be acknowledged without a write.

A primary that has lost the others still answers, and tells what they may never have.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

from pymongo.read_concern import ReadConcern

from orders.adapters.mongo.connection import Collection
from orders.adapters.mongo.documents import Document
from orders.application.deadline import seconds_left
from orders.application.errors import StoreUnavailable

MAJORITY: Final = ReadConcern("majority")
PATIENCE_SECONDS: Final = 0.5
"""How long a majority may take to have what one server has: milliseconds, while all is well."""
_FIRST_PAUSE_SECONDS: Final = 0.005


async def awaited(orders: Collection, query: Document, projection: Document) -> Document:
    """The document, as soon as a majority has it.

    Raises:
        StoreUnavailable: If none has in time. The document may be lost yet.
    """
    durable = orders.with_options(read_concern=MAJORITY)
    over_at = time.monotonic() + min(PATIENCE_SECONDS, seconds_left())
    pause = _FIRST_PAUSE_SECONDS
    while (document := await durable.find_one(query, projection)) is None:
        if time.monotonic() + pause > over_at:
            raise StoreUnavailable("it is not at a majority yet")
        await asyncio.sleep(pause)
        pause *= 2
    return document
