"""Work queues inside the orders' documents: whose turn has come, and whose it is now.

A document waits in a queue (`relay`, `wake`, `behind.<publisher>`) while it has that field. `at`
is when its turn comes; claiming moves it to the end of the lease, so a claim needs no field of its
own.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from bson import ObjectId

from orders.adapters.mongo.connection import Collection
from orders.adapters.mongo.documents import Document


async def claim(
    orders: Collection,
    queue: str,
    projection: Document,
    *,
    now: datetime,
    lease: timedelta,
    limit: int,
) -> list[Document]:
    """At most `limit` documents whose turn has come, the longest waiting first; now ours.

    Three round trips, however many they are. Others that claim at the same time get others.
    """
    turn: Document = {f"{queue}.at": {"$lte": now}}
    first = orders.find(turn, {"_id": 1}).sort(f"{queue}.at").limit(limit)
    ids = [document["_id"] async for document in first]
    if not ids:
        return []
    # What tells our claims from those that another made between the two calls.
    claimant = ObjectId()
    ours = {"$set": {f"{queue}.at": now + lease, f"{queue}.by": claimant}}
    await orders.update_many({"_id": {"$in": ids}, **turn}, ours)
    claimed = orders.find({"_id": {"$in": ids}, f"{queue}.by": claimant}, projection)
    return sorted(await claimed.to_list(), key=lambda document: ids.index(document["_id"]))
