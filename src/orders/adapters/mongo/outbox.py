"""`EventOutbox` on MongoDB: the events that were stored in one write with their order.

New events wait in the queue `relay`. A publisher that has not confirmed what was offered to the
others has a queue of its own, `behind.<name>`. An order in any of those says in `offered` up to
where its events were offered; a publisher that is not behind has them all up to there.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeVar

from pymongo import ASCENDING

from orders.adapters.mongo.claims import claim
from orders.adapters.mongo.connection import Database, answered
from orders.adapters.mongo.documents import (
    AT_ONCE,
    NEVER,
    PUBLISHERS,
    Document,
    found_in,
    lacking_in,
    new_in,
    parked_turn,
)
from orders.adapters.mongo.schema import ORDERS
from orders.application.ports import (
    FoundEvents,
    KeptEvents,
    Lag,
    ParkedEvents,
    Unreadable,
    WaitingEvents,
)
from orders.domain.identifiers import OrderId

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

_EVENTS: Document = {"tenant": 1, "schema": 1, "outbox": 1, "offered": 1}
_AT_ONCE: Document = {"at": AT_ONCE}
_LOOKED_AT: Final = 10_000
"""Orders among which unreadable events are looked for."""
_TRIES: Final = 2


class MongoOutbox:
    """The outboxes of all orders. It never touches an order's version."""

    def __init__(self, database: Database, *, publishers: Sequence[str] = PUBLISHERS) -> None:
        """Take the database, and the names of all publishers that may ever be behind."""
        self._orders = database[ORDERS]
        self._publishers = publishers

    @answered
    async def claim(
        self, *, now: datetime, lease: timedelta, limit: int
    ) -> Sequence[WaitingEvents]:
        """The new events of at most `limit` orders, the longest waiting first."""
        wanted = _EVENTS | {"behind": 1, "sequence": 1}
        claimed = await claim(self._orders, "relay", wanted, now=now, lease=lease, limit=limit)
        waiting = [(document, new_in(document)) for document in claimed]
        idle = [(each["_id"], each["sequence"]) for each, new in waiting if new is None]
        # A relay whose lease was over has put them in the queue: another had offered all there is.
        for last, those in _grouped(idle, by=lambda each: each[1]):
            ids = [order_id for order_id, _ in those]
            await self._orders.update_many(
                {"_id": {"$in": ids}, "sequence": last}, {"$unset": {"relay": ""}}
            )
        return [new for _, new in waiting if new]

    @answered
    async def remove(self, up_to: Mapping[OrderId, int]) -> None:
        """End claims of new events that every publisher has confirmed, of each up to a number.

        A round trip for each number that there is, however many orders: orders have few events.
        """
        for last, those in _grouped(up_to.items(), by=lambda each: each[1]):
            await self._remove([order_id for order_id, _ in those], last)

    async def _remove(self, ids: Sequence[OrderId], up_to: int) -> None:
        # `sequence` is that of the newest event, so it tells whether any is left.
        result = await self._orders.update_many(
            {"_id": {"$in": ids}, "sequence": {"$lte": up_to}},
            _pulled(up_to) | {"$unset": {"relay": "", "behind": "", "offered": ""}},
        )
        if result.matched_count < len(ids):
            await self._orders.update_many(
                {"_id": {"$in": ids}, "outbox.0.sequence": {"$lte": up_to}},
                _pulled(up_to) | {"$set": {"relay": _AT_ONCE}},
            )

    @answered
    async def keep(self, kept: Sequence[KeptEvents]) -> None:
        """End claims of new events that some publishers have not confirmed."""
        for _, those in _grouped(kept, by=_kept_alike):
            await self._keep(those[0], [each.order_id for each in those])

    async def _keep(self, kept: KeptEvents, ids: Sequence[OrderId]) -> None:
        offered = kept.first - 1
        # It fences off a relay whose lease is over: another may have offered them since. Those
        # that were behind may have caught up since, and then nothing says what was offered.
        are_new: Document = {
            "_id": {"$in": ids},
            "$or": [{"offered": offered}, {"offered": None, "outbox.0.sequence": kept.first}],
        }
        told: Document = {f"behind.{name}": _stored(lag) for name, lag in kept.lags.items()}
        told["offered"] = kept.last
        changes: Document = {} if kept.behind else _pulled(_confirmed_by_all(kept))
        if kept.behind:
            changes["$min"] = {f"behind.{name}.confirmed": offered for name in kept.behind}
            changes["$max"] = {f"behind.{name}.at": AT_ONCE for name in kept.behind}
        result = await self._orders.update_many(
            are_new | {"sequence": kept.last}, changes | {"$set": told, "$unset": {"relay": ""}}
        )
        if result.matched_count < len(ids):
            await self._orders.update_many(
                are_new | {"sequence": {"$gt": kept.last}},
                changes | {"$set": told | {"relay": _AT_ONCE}},
            )

    @answered
    async def claim_for(
        self, publisher: str, *, now: datetime, lease: timedelta, limit: int
    ) -> Sequence[WaitingEvents]:
        """What a publisher lacks of at most `limit` orders whose time has come."""
        queue = _lag_of(publisher)
        wanted = _EVENTS | {queue: 1}
        claimed = await claim(self._orders, queue, wanted, now=now, lease=lease, limit=limit)
        waiting = [lacking_in(document, publisher) for document in claimed]
        gone = [each.order_id for each in waiting if not (each.events or each.unreadable)]
        if gone:  # A relay whose lease was over had sent them after all.
            offered = {document["_id"]: document["offered"] for document in claimed}
            await self._confirm_all(publisher, {each: offered[each] for each in gone})
        return [each for each in waiting if each.events or each.unreadable]

    @answered
    async def confirm(self, publisher: str, up_to: Mapping[OrderId, int]) -> None:
        """End a publisher's claims: it has confirmed all that was claimed, up to these numbers."""
        await self._confirm_all(publisher, up_to)

    async def _confirm_all(self, publisher: str, up_to: Mapping[OrderId, int]) -> None:
        for last, those in _grouped(up_to.items(), by=lambda each: each[1]):
            left, ids = len(those), [order_id for order_id, _ in those]
            for _ in range(_TRIES):  # Another publisher may catch up between two of the updates.
                if left > 0:
                    left -= await self._confirm(publisher, ids, last)

    async def _confirm(self, publisher: str, ids: Sequence[OrderId], last: int) -> int:
        """How many orders it was told of."""
        lag, ours = _lag_of(publisher), {"_id": {"$in": ids}}
        has_all: Document = ours | {"offered": last, f"{lag}.confirmed": {"$lte": last}}
        ended = await self._orders.update_many(
            has_all | self._alone(publisher),
            _pulled(last) | {"$unset": {"behind": "", "offered": ""}},
        )
        told = ended.matched_count
        if told < len(ids):
            caught_up = await self._orders.update_many(
                has_all | self._with_others(publisher), {"$unset": {lag: ""}}
            )
            told += caught_up.matched_count
        if told < len(ids):
            # More was offered to the others meanwhile.
            lacks_more: Document = {"offered": {"$gt": last}, f"{lag}.confirmed": {"$lt": last}}
            turn = _stored(Lag(confirmed=last, again_at=AT_ONCE))
            result = await self._orders.update_many(ours | lacks_more, {"$set": {lag: turn}})
            told += result.matched_count
        return told

    @answered
    async def defer(
        self, publisher: str, waiting: Sequence[WaitingEvents], *, until: datetime
    ) -> None:
        """Give events to a publisher not before then, and remember the `refusals` of each."""
        for (first, refusals), those in _grouped(waiting, by=lambda e: (e.first, e.refusals)):
            turn = _stored(Lag(confirmed=first - 1, again_at=until, refusals=refusals))
            await self._hold_back(publisher, [each.order_id for each in those], first, turn)

    @answered
    async def park(
        self, publisher: str, waiting: WaitingEvents, *, reason: str, now: datetime
    ) -> None:
        """As `defer`, until `resend`."""
        turn = _stored(Lag(confirmed=waiting.first - 1, again_at=parked_turn(now)))
        turn |= {"reason": reason, "parked_at": now}
        await self._hold_back(publisher, [waiting.order_id], waiting.first, turn)

    async def _hold_back(
        self, publisher: str, ids: Sequence[OrderId], first: int, turn: Document
    ) -> None:
        lag = _lag_of(publisher)
        lacks_it: Document = {
            "_id": {"$in": ids},
            f"{lag}.confirmed": {"$lt": first},
            f"{lag}.at": {"$lt": NEVER},
        }
        changes: Document = {"$set": {lag: turn}}
        result = await self._orders.update_many(
            lacks_it | self._alone(publisher), changes | _pulled(first - 1)
        )
        if result.matched_count < len(ids):
            await self._orders.update_many(lacks_it | self._with_others(publisher), changes)

    @answered
    async def parked(self, *, limit: int, publisher: str | None = None) -> Sequence[ParkedEvents]:
        """What is parked, for one publisher or any, at most `limit`, the longest parked first."""
        found: list[ParkedEvents] = []
        for name in self._publishers if publisher is None else (publisher,):
            lag = _lag_of(name)
            wanted: Document = {"tenant": 1, lag: 1, "outbox.sequence": 1}
            query = {f"{lag}.at": {"$gte": NEVER}}
            documents = self._orders.find(query, wanted).sort(f"{lag}.at", ASCENDING).limit(limit)
            found += [_parked_in(document, name) async for document in documents]
        return sorted(found, key=lambda each: each.parked_at)[:limit]

    @answered
    async def resend(self, order_id: OrderId, publisher: str) -> bool:
        """Let a publisher's parked events be claimed at once; False if none are parked."""
        lag = _lag_of(publisher)
        query: Document = {"_id": order_id, f"{lag}.at": {"$gte": NEVER}}
        unparked = {"$unset": {f"{lag}.reason": "", f"{lag}.parked_at": ""}}
        changes: Document = {"$set": {f"{lag}.at": AT_ONCE}} | unparked
        return (await self._orders.update_one(query, changes)).matched_count == 1

    @answered
    async def unreadable(self, *, limit: int) -> Sequence[Unreadable]:
        """New events that this version cannot read, of at most `limit` orders."""
        found: list[Unreadable] = []
        waiting = self._orders.find({"relay.at": {"$gte": AT_ONCE}}, _EVENTS)
        async for document in waiting.sort("relay.at", ASCENDING).limit(_LOOKED_AT):
            new = new_in(document)
            if new and new.unreadable:
                found.append(new.unreadable)
            if len(found) == limit:
                break
        return found

    @answered
    async def waiting_of(self, order_id: OrderId) -> FoundEvents:
        """An order's events that are still in the outbox, in sequence."""
        document = await self._orders.find_one({"_id": order_id}, _EVENTS)
        return FoundEvents() if document is None else found_in(document)

    def _alone(self, publisher: str) -> Document:
        """No other publisher is behind: what this one has confirmed, all have."""
        return {_lag_of(each): None for each in self._publishers if each != publisher}

    def _with_others(self, publisher: str) -> Document:
        others = [each for each in self._publishers if each != publisher]
        return {"$or": [{_lag_of(each): {"$exists": True}} for each in others]}


def _lag_of(publisher: str) -> str:
    return f"behind.{publisher}"


def _stored(lag: Lag) -> Document:
    return {"at": lag.again_at, "confirmed": lag.confirmed, "refusals": lag.refusals}


def _pulled(up_to: int) -> Document:
    return {"$pull": {"outbox": {"sequence": {"$lte": up_to}}}}


def _confirmed_by_all(kept: KeptEvents) -> int:
    return min((lag.confirmed for lag in kept.lags.values()), default=kept.first - 1)


def _kept_alike(kept: KeptEvents) -> Hashable:
    return kept.first, kept.last, kept.behind, frozenset(kept.lags.items())


def _grouped(each: Iterable[T], *, by: Callable[[T], K]) -> Iterable[tuple[K, list[T]]]:
    groups: dict[K, list[T]] = {}
    for one in each:
        groups.setdefault(by(one), []).append(one)
    return groups.items()


def _parked_in(document: Document, publisher: str) -> ParkedEvents:
    lag = document["behind"][publisher]
    waiting = [e for e in document["outbox"] if e["sequence"] > lag["confirmed"]]
    return ParkedEvents(
        publisher=publisher,
        tenant=document["tenant"],
        order_id=document["_id"],
        first=lag["confirmed"] + 1,
        waiting=len(waiting),
        reason=lag["reason"],
        parked_at=lag["parked_at"],
    )
