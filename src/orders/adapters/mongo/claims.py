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
from orders.adapters.mongo.majority import MAJORITY


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
    What is given has a majority: it is told to the world, or acted upon.
    """
    turn: Document = {f"{queue}.at": {"$lte": now}}
    # Both bounds, as a first batch holds 101 otherwise, and the next is another round trip.
    first = orders.find(turn, {"_id": 1}, limit=limit, batch_size=limit).sort(f"{queue}.at")
    ids = [document["_id"] for document in await first.to_list()]
    if not ids:
        return []
    # What tells our claims from those that another made between the two calls.
    claimant = ObjectId()
    ours = {"$set": {f"{queue}.at": now + lease, f"{queue}.by": claimant}}
    await orders.update_many({"_id": {"$in": ids}, **turn}, ours)
    all_of_them = {"_id": {"$in": ids}, f"{queue}.by": claimant}
    durable = orders.with_options(read_concern=MAJORITY)
    claimed = durable.find(all_of_them, projection, limit=len(ids), batch_size=len(ids))
    return sorted(await claimed.to_list(), key=lambda document: ids.index(document["_id"]))
