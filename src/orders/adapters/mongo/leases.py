"""Work queues inside the order documents: claim entries that are due, for the length of a lease.

An order is in a queue (`outbox_claim`, `work_claim`, `publisher_lags.<publisher>`) while it
has that field. `at` is when the entry may be claimed. A claim moves `at` to the end of the lease,
so an entry whose claimant dies can be claimed again then.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from bson import ObjectId
from pymongo import ASCENDING

from orders.adapters.mongo.connection import Collection
from orders.adapters.mongo.documents import Document
from orders.adapters.mongo.majority import MAJORITY

PARKED_FROM: Final = datetime(5000, 1, 1, tzinfo=UTC)
"""Queue entries from this time on are parked: they wait for an operator."""
_PARKED_OFFSET: Final = timedelta(days=10 * 146_097)


def parked_entry_time(at: datetime) -> datetime:
    """Return the time of a queue entry that is parked at `at`: later than `PARKED_FROM`, and in
    the order of parking.
    """
    return at + _PARKED_OFFSET


async def claim(
    orders: Collection,
    queue: str,
    projection: Document,
    *,
    now: datetime,
    lease: timedelta,
    limit: int,
) -> list[Document]:
    """Claim at most `limit` orders of a queue that are due, the longest waiting first.

    It takes three round trips, whatever the number of orders. Two processes that claim at the
    same time never get the same order. A majority of the servers has the claims and the
    documents that are returned, because the caller publishes them or acts on them.
    """
    is_due: Document = {f"{queue}.at": {"$lte": now}}
    # A first batch holds 101 documents unless `batch_size` says otherwise; the next one would be
    # another round trip.
    due = orders.find(
        is_due, {"_id": 1}, sort=[(f"{queue}.at", ASCENDING)], limit=limit, batch_size=limit
    )
    ids = [document["_id"] for document in await due.to_list()]
    if not ids:
        return []
    # Tells our claims from those that another process made between the two calls.
    claimant = ObjectId()
    claimed_by_us = {"$set": {f"{queue}.at": now + lease, f"{queue}.by": claimant}}
    await orders.update_many({"_id": {"$in": ids}, **is_due}, claimed_by_us)
    ours = {"_id": {"$in": ids}, f"{queue}.by": claimant}
    durable = orders.with_options(read_concern=MAJORITY)
    claimed = await durable.find(ours, projection, limit=len(ids), batch_size=len(ids)).to_list()
    return sorted(claimed, key=lambda document: ids.index(document["_id"]))
