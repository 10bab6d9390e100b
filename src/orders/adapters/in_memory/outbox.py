"""`EventOutbox` in memory. `InMemoryOrders` stores the events."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from orders.application.errors import StoreUnavailable
from orders.application.ports import (
    FoundEvents,
    KeptEvents,
    LoggedEvent,
    ParkedEvents,
    Unreadable,
    WaitingEvents,
)
from orders.domain.identifiers import OrderId
from orders.domain.order.order import Order
from orders.domain.order.storing import restore
from orders.domain.state import OrderState

_AT_ONCE = datetime.fromtimestamp(0, UTC)


@dataclass(slots=True)
class _Behind:
    """The queue of one publisher for one order: it lacks the events after `confirmed`."""

    confirmed: int
    claimable_at: datetime
    refusals: int = 0
    parked: tuple[datetime, str] | None = None


@dataclass(slots=True)
class Kept:
    """One order as it is stored. A state is immutable, so no caller can change it."""

    state: OrderState
    outbox: tuple[LoggedEvent, ...] = ()
    outbox_at: datetime = _AT_ONCE
    """From when on its new events may be claimed."""
    offered: int = 0
    """The last event that was sent to all publishers; 0 while no publisher is behind."""
    behind: dict[str, _Behind] = field(default_factory=dict)
    work_at: datetime | None = None
    """From when on its scheduled work may be claimed."""
    write_token: object = None

    def order(self) -> Order:
        """The order, to change it."""
        return restore(self.state, write_token=self.write_token)

    def copy(self) -> Kept:
        """A copy that later changes do not affect."""
        return replace(self, behind={name: replace(lag) for name, lag in self.behind.items()})

    def events(self, after: int, up_to: int | None = None) -> tuple[LoggedEvent, ...]:
        """The waiting events after the number `after`, up to the number `up_to`."""
        last = sys.maxsize if up_to is None else up_to
        return tuple(e for e in self.outbox if after < e.recorded.sequence <= last)

    def remove_confirmed(self) -> None:
        """Remove the events that no publisher lacks any more."""
        lacks = [each.confirmed for each in self.behind.values()]
        self.outbox = self.events(min(lacks, default=self.offered))
        if not self.behind:
            self.offered = 0

    def are_new(self, first: int) -> bool:
        """Whether the events from number `first` on were sent to no publisher yet."""
        is_next = bool(self.outbox) and self.outbox[0].recorded.sequence == first
        return self.offered == first - 1 if self.offered else is_next


class InMemoryOutbox:
    """The outboxes of all orders. No call awaits, so each is atomic.

    `lose_majority` simulates a primary that no other server replicates. A write then raises
    `StoreUnavailable`, yet every read but `get_durable` returns it. `regain_majority` keeps or
    undoes it.
    """

    def __init__(self) -> None:
        self.unavailable = False
        self._kept: dict[OrderId, Kept] = {}
        self._durable: dict[OrderId, Kept] | None = None

    def lose_majority(self) -> None:
        """Stop replicating: later writes fail, and stay on this server only."""
        self._durable = {order_id: kept.copy() for order_id, kept in self._kept.items()}

    def regain_majority(self, *, undone: bool) -> None:
        """Replicate again, and either keep or undo what was written meanwhile."""
        if undone and self._durable is not None:
            self._kept = self._durable
        self._durable = None

    async def claim(
        self, *, now: datetime, lease: timedelta, limit: int
    ) -> Sequence[WaitingEvents]:
        """The new events of at most `limit` orders, the longest waiting first."""
        self._require_available()
        new = [k for k in self._all() if k.events(k.offered) and k.outbox_at <= now]
        first = sorted(new, key=lambda kept: kept.outbox_at)[:limit]
        for kept in first:
            kept.outbox_at = now + lease
        self._require_majority()
        return [
            WaitingEvents(
                order_id=kept.state.id,
                events=kept.events(kept.offered),
                behind=frozenset(kept.behind),
            )
            for kept in first
        ]

    async def remove(self, up_to: Mapping[OrderId, int]) -> None:
        """Remove new events that every publisher has confirmed, and end their claims."""
        self._require_available()
        for order_id, last in up_to.items():
            kept = self._kept.get(order_id)
            if kept is not None and kept.events(0, last):
                kept.offered, kept.outbox_at = max(kept.offered, last), _AT_ONCE
                for name in [*kept.behind]:
                    self._record_confirmation(kept, name, last)
                kept.remove_confirmed()
        self._require_majority()

    async def keep(self, kept: Sequence[KeptEvents]) -> None:
        """Move new events to the queues of the publishers that lack them, and end their claims."""
        self._require_available()
        for each in kept:
            stored = self._kept.get(each.order_id)
            if stored is None or not stored.are_new(each.first):
                continue
            for name in each.behind:
                stored.behind.setdefault(name, _Behind(each.first - 1, _AT_ONCE))
            for name, lag in each.lags.items():
                stored.behind[name] = _Behind(lag.confirmed, lag.again_at, lag.refusals)
            stored.offered, stored.outbox_at = each.last, _AT_ONCE
            stored.remove_confirmed()
        self._require_majority()

    async def claim_for(
        self, publisher: str, *, now: datetime, lease: timedelta, limit: int
    ) -> Sequence[WaitingEvents]:
        """What a publisher lacks of at most `limit` orders that are due, the earliest due first."""
        self._require_available()
        behind = [
            (lag.claimable_at, kept, lag)
            for kept, lag in self._behind(publisher)
            if lag.parked is None and lag.claimable_at <= now
        ]
        first = sorted(behind, key=lambda each: each[0])[:limit]
        for _, _, lag in first:
            lag.claimable_at = now + lease
        self._require_majority()
        return [
            WaitingEvents(
                order_id=kept.state.id,
                events=kept.events(lag.confirmed, kept.offered),
                refusals=lag.refusals,
            )
            for _, kept, lag in first
        ]

    async def confirm(self, publisher: str, up_to: Mapping[OrderId, int]) -> None:
        """End a publisher's claims: it has confirmed all claimed events, up to these numbers."""
        self._require_available()
        for order_id, last in up_to.items():
            kept = self._kept.get(order_id)
            if kept is not None and publisher in kept.behind:
                self._record_confirmation(kept, publisher, last)
                kept.remove_confirmed()
        self._require_majority()

    async def defer(
        self, publisher: str, waiting: Sequence[WaitingEvents], *, until: datetime
    ) -> None:
        """Let a publisher's events be claimed from `until` on, and store the `refusals` of each."""
        self._require_available()
        for each in waiting:
            if (found := self._find_lacking(publisher, each)) is not None:
                kept, lag = found
                lag.confirmed, lag.claimable_at, lag.refusals = each.first - 1, until, each.refusals
                kept.remove_confirmed()
        self._require_majority()

    async def park(
        self, publisher: str, waiting: WaitingEvents, *, reason: str, now: datetime
    ) -> None:
        """As `defer`, until `resend`."""
        self._require_available()
        if (found := self._find_lacking(publisher, waiting)) is not None:
            kept, lag = found
            lag.confirmed, lag.refusals, lag.parked = waiting.first - 1, 0, (now, reason)
            kept.remove_confirmed()
        self._require_majority()

    async def parked(self, *, limit: int, publisher: str | None = None) -> Sequence[ParkedEvents]:
        """At most `limit` parked orders, of one publisher or all, the longest parked first."""
        self._require_available()
        found = [
            ParkedEvents(
                publisher=name,
                tenant=kept.state.tenant,
                order_id=kept.state.id,
                first=lag.confirmed + 1,
                waiting=len(kept.events(lag.confirmed)),
                reason=lag.parked[1],
                parked_at=lag.parked[0],
            )
            for kept in self._all()
            for name, lag in kept.behind.items()
            if lag.parked is not None and publisher in {None, name}
        ]
        return sorted(found, key=lambda each: each.parked_at)[:limit]

    async def resend(self, order_id: OrderId, publisher: str) -> bool:
        """Let a publisher's parked events be claimed at once; False if none are parked."""
        self._require_available()
        kept = self._kept.get(order_id)
        lag = kept.behind.get(publisher) if kept is not None else None
        if lag is None or lag.parked is None:
            return False
        lag.claimable_at, lag.parked = _AT_ONCE, None
        self._require_majority()
        return True

    async def unreadable(self, *, limit: int) -> Sequence[Unreadable]:  # noqa: ARG002 - the port's
        """Always empty: only this version writes to this memory."""
        self._require_available()
        return []

    async def waiting_of(self, order_id: OrderId) -> FoundEvents:
        """An order's events that are still in the outbox, in sequence."""
        self._require_available()
        kept = self._kept.get(order_id)
        return FoundEvents() if kept is None else FoundEvents(events=kept.outbox)

    def _require_available(self) -> None:
        if self.unavailable:
            raise StoreUnavailable("the store is switched off")

    def _require_majority(self) -> None:
        if self._durable is not None:
            raise StoreUnavailable("the write has not reached a majority of the servers")

    def kept(self) -> Iterable[Kept]:
        """Every order as it is stored."""
        self._require_available()
        return self._kept.values()

    def _all(self) -> Iterable[Kept]:
        return self._kept.values()

    def _behind(self, publisher: str) -> Iterable[tuple[Kept, _Behind]]:
        return [(k, k.behind[publisher]) for k in self._all() if publisher in k.behind]

    def _record_confirmation(self, kept: Kept, publisher: str, last: int) -> None:
        """Record that a publisher that was behind has confirmed all events up to `last`."""
        lag = kept.behind[publisher]
        if kept.offered <= last:
            del kept.behind[publisher]
        elif lag.confirmed < last:
            kept.behind[publisher] = _Behind(last, _AT_ONCE)

    def _find_lacking(self, publisher: str, waiting: WaitingEvents) -> tuple[Kept, _Behind] | None:
        """The order and the queue; None if the first of these is confirmed, or they are parked."""
        kept = self._kept.get(waiting.order_id)
        lag = kept.behind.get(publisher) if kept is not None else None
        if kept is None or lag is None or lag.parked or lag.confirmed >= waiting.first:
            return None
        return kept, lag
