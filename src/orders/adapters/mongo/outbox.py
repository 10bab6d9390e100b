"""`EventOutbox` on MongoDB: the events that were stored in one write with their order.

An order with new events is in the queue `outbox_claim`. A publisher that has not confirmed events
that were offered to all has its own queue, `publisher_lags.<name>`. While any publisher lags,
`offered_sequence` is the number of the last event that was offered; every other publisher has
confirmed all events up to there.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeVar

from pymongo import ASCENDING

from orders.adapters.mongo.connection import Database
from orders.adapters.mongo.documents import (
    IMMEDIATELY,
    PUBLISHERS,
    Document,
    all_events_in,
    lag_document,
    lag_field,
    missing_events_in,
    new_events_in,
    parked_in,
)
from orders.adapters.mongo.driver_errors import translate_driver_errors
from orders.adapters.mongo.leases import PARKED_FROM, claim, parked_entry_time
from orders.adapters.mongo.stored_forms import StoredForm, orders_in
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

_EVENTS: Document = {"tenant": 1, "schema": 1, "outbox": 1, "offered_sequence": 1}
_CLAIM_IMMEDIATELY: Document = {"at": IMMEDIATELY}
_ALL_CONFIRMED: Document = {"publisher_lags": "", "offered_sequence": ""}
_MAX_SCANNED: Final = 10_000
"""Orders among which unreadable events are searched."""
_ATTEMPTS: Final = 2


class MongoOutbox:
    """The outboxes of all orders. It never changes the version of an order."""

    def __init__(
        self,
        database: Database,
        *,
        publishers: Sequence[str] = PUBLISHERS,
        stored_form: StoredForm = StoredForm.TWO,
    ) -> None:
        """Keep the database, and the names of all publishers that may ever lag."""
        self._orders = orders_in(database, stored_form)
        self._publishers = publishers

    @translate_driver_errors
    async def claim(
        self, *, now: datetime, lease: timedelta, limit: int
    ) -> Sequence[WaitingEvents]:
        """Claim the new events of at most `limit` orders, the longest waiting first."""
        wanted = _EVENTS | {"publisher_lags": 1, "sequence": 1}
        claimed = await claim(
            self._orders, "outbox_claim", wanted, now=now, lease=lease, limit=limit
        )
        waiting = [(document, new_events_in(document)) for document in claimed]
        # A relay that continued after the end of its lease left these in the queue, although
        # another relay had offered all of their events.
        done = [(each["_id"], each["sequence"]) for each, new in waiting if new is None]
        for last, group in _grouped(done, by=lambda each: each[1]):
            ids = [order_id for order_id, _ in group]
            await self._orders.update_many(
                {"_id": {"$in": ids}, "sequence": last}, {"$unset": {"outbox_claim": ""}}
            )
        return [new for _, new in waiting if new]

    @translate_driver_errors
    async def remove(self, up_to: Mapping[OrderId, int]) -> None:
        """End claims of new events that every publisher has confirmed, up to a number per order.

        It takes one round trip per different number, whatever the number of orders. Orders have
        few events, so there are few numbers.
        """
        for last, group in _grouped(up_to.items(), by=lambda each: each[1]):
            await self._remove([order_id for order_id, _ in group], last)

    async def _remove(self, ids: Sequence[OrderId], up_to: int) -> None:
        # `sequence` is the number of the newest event, so it shows whether any is left.
        result = await self._orders.update_many(
            {"_id": {"$in": ids}, "sequence": {"$lte": up_to}},
            _pull(up_to) | {"$unset": {"outbox_claim": "", **_ALL_CONFIRMED}},
        )
        if result.matched_count < len(ids):
            await self._orders.update_many(
                {"_id": {"$in": ids}, "outbox.0.sequence": {"$lte": up_to}},
                _pull(up_to) | {"$set": {"outbox_claim": _CLAIM_IMMEDIATELY}},
            )

    @translate_driver_errors
    async def keep(self, kept: Sequence[KeptEvents]) -> None:
        """End claims of new events that some publishers have not confirmed."""
        for _, group in _grouped(kept, by=_outcome_of):
            await self._keep(group[0], [each.order_id for each in group])

    async def _keep(self, kept: KeptEvents, ids: Sequence[OrderId]) -> None:
        offered = kept.first - 1
        # This excludes a relay that continued after the end of its lease: another relay may have
        # offered these events since. If the lagging publishers have caught up since, the document
        # has no `offered_sequence`.
        are_new: Document = {
            "_id": {"$in": ids},
            "$or": [
                {"offered_sequence": offered},
                {"offered_sequence": None, "outbox.0.sequence": kept.first},
            ],
        }
        progress: Document = {lag_field(name): lag_document(lag) for name, lag in kept.lags.items()}
        progress["offered_sequence"] = kept.last
        changes: Document = {} if kept.behind else _pull(_confirmed_by_all(kept))
        if kept.behind:
            changes["$min"] = {f"{lag_field(name)}.confirmed": offered for name in kept.behind}
            changes["$max"] = {f"{lag_field(name)}.at": IMMEDIATELY for name in kept.behind}
        result = await self._orders.update_many(
            are_new | {"sequence": kept.last},
            changes | {"$set": progress, "$unset": {"outbox_claim": ""}},
        )
        if result.matched_count < len(ids):
            await self._orders.update_many(
                are_new | {"sequence": {"$gt": kept.last}},
                changes | {"$set": progress | {"outbox_claim": _CLAIM_IMMEDIATELY}},
            )

    @translate_driver_errors
    async def claim_for(
        self, publisher: str, *, now: datetime, lease: timedelta, limit: int
    ) -> Sequence[WaitingEvents]:
        """Claim the events that a publisher lacks, of at most `limit` orders that are due."""
        wanted = _EVENTS | {lag_field(publisher): 1}
        claimed = await claim(
            self._orders, lag_field(publisher), wanted, now=now, lease=lease, limit=limit
        )
        waiting = [missing_events_in(document, publisher) for document in claimed]
        done = {each.order_id for each in waiting if not (each.events or each.unreadable)}
        if done:  # A relay that continued after the end of its lease has published them.
            offered = {each["_id"]: each["offered_sequence"] for each in claimed}
            await self._confirm_all(publisher, {each: offered[each] for each in done})
        return [each for each in waiting if each.events or each.unreadable]

    @translate_driver_errors
    async def confirm(self, publisher: str, up_to: Mapping[OrderId, int]) -> None:
        """End a publisher's claims: it has confirmed all claimed events, up to these numbers."""
        await self._confirm_all(publisher, up_to)

    async def _confirm_all(self, publisher: str, up_to: Mapping[OrderId, int]) -> None:
        for last, group in _grouped(up_to.items(), by=lambda each: each[1]):
            left, ids = len(group), [order_id for order_id, _ in group]
            for _ in range(_ATTEMPTS):  # Another publisher may catch up between two updates.
                if left > 0:
                    left -= await self._confirm(publisher, ids, last)

    async def _confirm(self, publisher: str, ids: Sequence[OrderId], last: int) -> int:
        """Record the confirmation; return the number of orders that it was recorded for."""
        lag, ours = lag_field(publisher), {"_id": {"$in": ids}}
        has_all: Document = ours | {"offered_sequence": last, f"{lag}.confirmed": {"$lte": last}}
        ended = await self._orders.update_many(
            has_all | self._alone(publisher), _pull(last) | {"$unset": _ALL_CONFIRMED}
        )
        recorded = ended.matched_count
        if recorded < len(ids):
            caught_up = await self._orders.update_many(
                has_all | self._with_others(publisher), {"$unset": {lag: ""}}
            )
            recorded += caught_up.matched_count
        if recorded < len(ids):
            # More events were offered to the other publishers meanwhile.
            lacks_more: Document = {
                "offered_sequence": {"$gt": last},
                f"{lag}.confirmed": {"$lt": last},
            }
            entry = lag_document(Lag(confirmed=last, again_at=IMMEDIATELY))
            result = await self._orders.update_many(ours | lacks_more, {"$set": {lag: entry}})
            recorded += result.matched_count
        return recorded

    @translate_driver_errors
    async def defer(
        self, publisher: str, waiting: Sequence[WaitingEvents], *, until: datetime
    ) -> None:
        """Let events be claimed for a publisher from `until` on; store the `refusals` of each."""
        for (first, refusals), group in _grouped(waiting, by=lambda e: (e.first, e.refusals)):
            entry = lag_document(Lag(confirmed=first - 1, again_at=until, refusals=refusals))
            await self._hold_back(publisher, [each.order_id for each in group], first, entry)

    @translate_driver_errors
    async def park(
        self, publisher: str, waiting: WaitingEvents, *, reason: str, now: datetime
    ) -> None:
        """Let events not be claimed for a publisher until `resend`."""
        entry = lag_document(Lag(confirmed=waiting.first - 1, again_at=parked_entry_time(now)))
        entry |= {"reason": reason, "parked_at": now}
        await self._hold_back(publisher, [waiting.order_id], waiting.first, entry)

    async def _hold_back(
        self, publisher: str, ids: Sequence[OrderId], first: int, entry: Document
    ) -> None:
        lag = lag_field(publisher)
        lacks_them: Document = {
            "_id": {"$in": ids},
            f"{lag}.confirmed": {"$lt": first},
            f"{lag}.at": {"$lt": PARKED_FROM},
        }
        changes: Document = {"$set": {lag: entry}}
        result = await self._orders.update_many(
            lacks_them | self._alone(publisher), changes | _pull(first - 1)
        )
        if result.matched_count < len(ids):
            await self._orders.update_many(lacks_them | self._with_others(publisher), changes)

    @translate_driver_errors
    async def parked(self, *, limit: int, publisher: str | None = None) -> Sequence[ParkedEvents]:
        """Return at most `limit` parked entries of one publisher or all, longest parked first."""
        found: list[ParkedEvents] = []
        for name in self._publishers if publisher is None else (publisher,):
            lag = lag_field(name)
            wanted: Document = {"tenant": 1, lag: 1, "outbox.sequence": 1}
            at = f"{lag}.at"
            is_parked: Document = {at: {"$gte": PARKED_FROM}}
            found_now = self._orders.find(is_parked, wanted, sort=[(at, ASCENDING)], limit=limit)
            found += [parked_in(document, name) async for document in found_now]
        return sorted(found, key=lambda each: each.parked_at)[:limit]

    @translate_driver_errors
    async def resend(self, order_id: OrderId, publisher: str) -> bool:
        """Let a publisher's parked events be claimed at once; False if none are parked."""
        lag = lag_field(publisher)
        query: Document = {"_id": order_id, f"{lag}.at": {"$gte": PARKED_FROM}}
        unparked = {"$unset": {f"{lag}.reason": "", f"{lag}.parked_at": ""}}
        changes: Document = {"$set": {f"{lag}.at": IMMEDIATELY}} | unparked
        return (await self._orders.update_one(query, changes)).matched_count == 1

    @translate_driver_errors
    async def unreadable(self, *, limit: int) -> Sequence[Unreadable]:
        """Return new events that this version cannot read, of at most `limit` orders."""
        found: list[Unreadable] = []
        at = "outbox_claim.at"
        waiting = self._orders.find(
            {at: {"$gte": IMMEDIATELY}}, _EVENTS, sort=[(at, ASCENDING)], limit=_MAX_SCANNED
        )
        async for document in waiting:
            new = new_events_in(document)
            if new and new.unreadable:
                found.append(new.unreadable)
            if len(found) == limit:
                break
        return found

    @translate_driver_errors
    async def waiting_of(self, order_id: OrderId) -> FoundEvents:
        """Return an order's events that are still in the outbox, in sequence."""
        document = await self._orders.find_one({"_id": order_id}, _EVENTS)
        return FoundEvents() if document is None else all_events_in(document)

    def _alone(self, publisher: str) -> Document:
        """No other publisher lags: all have confirmed what this one has."""
        return {lag_field(each): None for each in self._publishers if each != publisher}

    def _with_others(self, publisher: str) -> Document:
        others = [each for each in self._publishers if each != publisher]
        return {"$or": [{lag_field(each): {"$exists": True}} for each in others]}


def _pull(up_to: int) -> Document:
    return {"$pull": {"outbox": {"sequence": {"$lte": up_to}}}}


def _confirmed_by_all(kept: KeptEvents) -> int:
    return min((lag.confirmed for lag in kept.lags.values()), default=kept.first - 1)


def _outcome_of(kept: KeptEvents) -> Hashable:
    return kept.first, kept.last, kept.behind, frozenset(kept.lags.items())


def _grouped(each: Iterable[T], *, by: Callable[[T], K]) -> Iterable[tuple[K, list[T]]]:
    groups: dict[K, list[T]] = {}
    for one in each:
        groups.setdefault(by(one), []).append(one)
    return groups.items()
