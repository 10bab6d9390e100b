"""Reads of what a majority of the servers has: all that a response may promise without a write.

A primary that has lost the other servers still responds, with data that they may never get.
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
MAX_WAIT_SECONDS: Final = 0.5
"""How long a majority may lag behind one server. It is milliseconds while all servers are up."""
_FIRST_PAUSE_SECONDS: Final = 0.005


async def wait_for_majority(orders: Collection, query: Document, projection: Document) -> Document:
    """Return the document as soon as a majority has it.

    Raises:
        StoreUnavailable: If no majority has it within 0.5 s. The write may still be lost.
    """
    durable = orders.with_options(read_concern=MAJORITY)
    deadline = time.monotonic() + min(MAX_WAIT_SECONDS, seconds_left())
    pause = _FIRST_PAUSE_SECONDS
    while (document := await durable.find_one(query, projection)) is None:
        if time.monotonic() + pause > deadline:
            raise StoreUnavailable("no majority of the servers has it yet")
        await asyncio.sleep(pause)
        pause *= 2
    return document
