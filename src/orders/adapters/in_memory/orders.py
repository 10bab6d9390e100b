"""`OrderRepository` and `EventOutbox` in memory."""

from __future__ import annotations

import builtins
import copy
import itertools
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from orders.application.errors import (
    ConcurrentUpdate,
    DuplicateOrder,
    OrderNotFound,
    StoreUnavailable,
)
from orders.application.ports import (
    LoggedEvent,
    OrderFilter,
    ParkedEvents,
    Position,
    WaitingEvents,
)
from orders.domain.events import RecordedEvent
from orders.domain.guards import ready_to_ship
from orders.domain.identifiers import OrderId
from orders.domain.order import Order
from orders.domain.state import OrderState

_AT_ONCE = datetime.fromtimestamp(0, UTC)
_NEVER = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class _Kept:
    """One order as it is stored. States are immutable, so nobody else can change it."""

    state: OrderState
    outbox: tuple[LoggedEvent, ...] = ()
    relay_at: datetime = _AT_ONCE
    refusals: int = 0
    parked: tuple[datetime, str] | None = None
    wake_at: datetime | None = None
    write_token: object = None

    def order(self) -> Order:
        return Order(self.state, write_token=self.write_token)


class InMemoryOrders:
    """Orders and their outboxes in one dictionary. No call gives way to another.

    `lose_majority` makes it a primary whom no other server follows: what is written then fails,
    shows in all but `get_durable`, and stays or is undone when it ends.
    """

    def __init__(self, *, traceparent: Callable[[], str | None] = lambda: None) -> None:
        self.unavailable = False
        self._kept: dict[OrderId, _Kept] = {}
        self._durable: dict[OrderId, _Kept] | None = None
        self._write_tokens = itertools.count(1)
        self._traceparent = traceparent

    def lose_majority(self) -> None:
        """Let what is written from now on reach nobody else."""
        self._durable = {order_id: copy.copy(kept) for order_id, kept in self._kept.items()}

    def regain_majority(self, *, undone: bool) -> None:
        """Be followed again, with what was written since, or without it."""
        if undone and self._durable is not None:
            self._kept = self._durable
        self._durable = None

    # -- OrderRepository --------------------------------------------------------------------

    async def add(self, order: Order) -> None:
        """Store a new order with its events, at version 1, or nothing."""
        self._require_available()
        if order.id in self._kept:
            raise DuplicateOrder
        state = order.state
        if any(self._has_number(kept, state.tenant, state.number) for kept in self._all()):
            raise ConcurrentUpdate
        self._kept[order.id] = _Kept(state)
        self._keep(order, version=1)

    async def get(self, order_id: OrderId) -> Order:
        """The order as last stored."""
        return self._stored(order_id).order()

    async def get_durable(self, order_id: OrderId, *, at_least: int = 1) -> Order:
        """The order at this version or a later one, as no failure can take it back."""
        self._stored(order_id)
        kept = (self._kept if self._durable is None else self._durable).get(order_id)
        if kept is None or kept.state.version < at_least:
            raise StoreUnavailable("it is not at a majority yet")
        return kept.order()

    async def look_at(self, order_id: OrderId) -> OrderState:
        """The order as last stored, to look at."""
        return _to_look_at(self._stored(order_id).state)

    async def save(self, order: Order) -> None:
        """Store a changed order with its new events, at the next version, or nothing."""
        self._require_available()
        kept = self._kept.get(order.id)
        expected = order.version, order.write_token
        if kept is None or (kept.state.version, kept.write_token) != expected:
            raise ConcurrentUpdate
        self._keep(order, version=order.version + 1)

    async def find_by_number(self, tenant: str, number: str) -> OrderState:
        """The order with this number, to look at."""
        self._require_available()
        for kept in self._all():
            if self._has_number(kept, tenant, number):
                return _to_look_at(kept.state)
        raise OrderNotFound(number)

    async def list(
        self, where: OrderFilter, *, newest_first: bool, after: Position | None, limit: int
    ) -> Sequence[OrderState]:
        """At most `limit` orders by time of creation and id, after a position, to look at."""
        self._require_available()
        states = [kept.state for kept in self._all() if _fits(kept.state, where)]
        states.sort(key=_place, reverse=newest_first)
        if after is not None:
            last = (after.at, after.order_id)
            states = [s for s in states if (_place(s) < last if newest_first else _place(s) > last)]
        return [_to_look_at(state) for state in states[:limit]]

    async def claim_due(
        self, *, now: datetime, lease: timedelta, limit: int
    ) -> builtins.list[OrderId]:
        """Orders whose `due_at` has come, at most `limit`; each is claimed for `lease`."""
        self._require_available()
        due = [(k.wake_at, k) for k in self._all() if k.wake_at is not None and k.wake_at <= now]
        first = [kept for _, kept in sorted(due, key=lambda each: each[0])[:limit]]
        for kept in first:
            kept.wake_at = now + lease
        self._require_majority()
        return [kept.state.id for kept in first]

    # -- EventOutbox ------------------------------------------------------------------------

    async def claim(
        self, *, now: datetime, lease: timedelta, limit: int
    ) -> Sequence[WaitingEvents]:
        """The waiting events of at most `limit` orders, the longest waiting first."""
        self._require_available()
        waiting = [kept for kept in self._all() if kept.outbox and kept.relay_at <= now]
        first = sorted(waiting, key=lambda kept: kept.relay_at)[:limit]
        for kept in first:
            kept.relay_at = now + lease
        self._require_majority()
        return [WaitingEvents(events=kept.outbox, refusals=kept.refusals) for kept in first]

    async def remove(self, up_to: Mapping[OrderId, int]) -> None:
        """Take out the orders' events, of each up to a sequence number, and end their claims."""
        self._require_available()
        for order_id, last in up_to.items():
            kept = self._kept.get(order_id)
            if kept is not None and _first_of(kept) <= last:
                kept.outbox = tuple(e for e in kept.outbox if e.recorded.sequence > last)
                kept.relay_at, kept.refusals, kept.parked = _AT_ONCE, 0, None
        self._require_majority()

    async def defer(self, waiting: Sequence[WaitingEvents], *, until: datetime) -> None:
        """Give the orders' events to nobody until then, and remember the `refusals` of each."""
        self._require_available()
        for each in waiting:
            kept = self._kept.get(each.order_id)
            if kept is not None and _first_of(kept) == each.first and kept.parked is None:
                kept.relay_at, kept.refusals = until, each.refusals
        self._require_majority()

    async def park(self, waiting: WaitingEvents, *, reason: str, now: datetime) -> None:
        """Give an order's events to nobody until `resend`, nor those that come."""
        self._require_available()
        kept = self._kept.get(waiting.order_id)
        if kept is not None and _first_of(kept) == waiting.first:
            kept.relay_at, kept.refusals, kept.parked = _NEVER, 0, (now, reason)
        self._require_majority()

    async def parked(self, *, limit: int) -> Sequence[ParkedEvents]:
        """What is parked, of at most `limit` orders, the longest parked first."""
        self._require_available()
        found = [
            ParkedEvents(
                tenant=kept.state.tenant,
                order_id=kept.state.id,
                first=_first_of(kept),
                waiting=len(kept.outbox),
                reason=kept.parked[1],
                parked_at=kept.parked[0],
            )
            for kept in self._all()
            if kept.parked is not None
        ]
        return sorted(found, key=lambda each: each.parked_at)[:limit]

    async def resend(self, order_id: OrderId) -> bool:
        """Let an order's parked events be claimed at once; False if none are parked."""
        self._require_available()
        kept = self._kept.get(order_id)
        if kept is None or kept.parked is None:
            return False
        kept.relay_at, kept.parked = _AT_ONCE, None
        self._require_majority()
        return True

    async def waiting_of(self, order_id: OrderId) -> Sequence[LoggedEvent]:
        """An order's events that have not been relayed, in sequence."""
        self._require_available()
        kept = self._kept.get(order_id)
        return () if kept is None else kept.outbox

    # -- what both need ---------------------------------------------------------------------

    def _require_available(self) -> None:
        if self.unavailable:
            raise StoreUnavailable("the store is switched off")

    def _require_majority(self) -> None:
        if self._durable is not None:
            raise StoreUnavailable("it is not at a majority yet")

    def _stored(self, order_id: OrderId) -> _Kept:
        self._require_available()
        if order_id not in self._kept:
            raise OrderNotFound(order_id)
        return self._kept[order_id]

    def _all(self) -> Iterable[_Kept]:
        return self._kept.values()

    def _has_number(self, kept: _Kept, tenant: str, number: str) -> bool:
        return (kept.state.tenant, kept.state.number) == (tenant, number)

    def _keep(self, order: Order, *, version: int) -> None:
        state = replace(order.state, version=version)
        news = tuple(self._logged(state, recorded) for recorded in order.new_events)
        kept = self._kept[order.id]
        kept.state, kept.outbox, kept.wake_at = state, (*kept.outbox, *news), state.due_at
        kept.write_token = next(self._write_tokens)
        self._require_majority()
        order.mark_stored(version, write_token=kept.write_token)

    def _logged(self, state: OrderState, recorded: RecordedEvent) -> LoggedEvent:
        return LoggedEvent(
            tenant=state.tenant,
            order_id=state.id,
            recorded=recorded,
            traceparent=self._traceparent(),
        )


def _to_look_at(state: OrderState) -> OrderState:
    return replace(state, requests=())


def _first_of(kept: _Kept) -> int:
    """The sequence number of the first waiting event, beyond all others while there is none."""
    return kept.outbox[0].recorded.sequence if kept.outbox else sys.maxsize


def _place(state: OrderState) -> tuple[datetime, OrderId]:
    return state.created_at, state.id


def _fits(state: OrderState, where: OrderFilter) -> bool:
    owner = state.customer_id if state.customer_id is not None else state.placed_by
    exact: tuple[tuple[object, object], ...] = (
        (where.owner, owner),
        (where.customer_id, state.customer_id),
        (where.number, state.number),
        (where.external_reference, state.external_reference),
        (where.outstanding, state.totals.outstanding > 0),
        (where.placed_by, state.placed_by),
    )
    any_of: tuple[tuple[Sequence[str], str], ...] = (
        (where.status, state.status),
        (where.payment_status, state.payment_status),
        (where.fulfillment_status, state.fulfillment_status),
        (where.return_status, state.return_status),
    )
    return (
        state.tenant == where.tenant
        and all(wanted in (None, actual) for wanted, actual in exact)
        and all(not wanted or actual in wanted for wanted, actual in any_of)
        and (where.ready_to_ship is None or where.ready_to_ship is ready_to_ship(state))
        and (where.created_from is None or where.created_from <= state.created_at)
        and (where.created_before is None or state.created_at < where.created_before)
    )
