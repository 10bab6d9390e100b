"""`OrderRepository` in memory, with its outbox."""

from __future__ import annotations

import builtins
import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from orders.adapters.in_memory.outbox import InMemoryOutbox, Kept
from orders.application.errors import (
    ConcurrentUpdate,
    DuplicateOrder,
    OrderNotFound,
    StoreUnavailable,
)
from orders.application.ports import (
    UNTRACED,
    LoggedEvent,
    OrderFilter,
    OrderPage,
    Position,
    TraceContext,
)
from orders.domain.events import RecordedEvent
from orders.domain.identifiers import OrderId
from orders.domain.order.order import Order
from orders.domain.order.storing import mark_stored, write_token
from orders.domain.rules import overdue_from, ready_to_ship
from orders.domain.state import OrderState


class InMemoryOrders(InMemoryOutbox):
    """Orders and their outboxes in one dictionary. No call awaits, so each is atomic."""

    def __init__(self, *, trace_context: TraceContext = UNTRACED) -> None:
        super().__init__()
        self._write_tokens = itertools.count(1)
        self._trace_context = trace_context

    async def add(self, order: Order) -> None:
        """Store a new order with its events, at version 1."""
        self._require_available()
        if order.id in self._kept:
            raise DuplicateOrder
        state = order.state
        if any(self._has_number(kept, state.tenant, state.number) for kept in self._all()):
            raise ConcurrentUpdate
        self._kept[order.id] = Kept(state)
        self._keep(order, version=1)

    async def get(self, order_id: OrderId) -> Order:
        """The order as last stored, to change it."""
        return self._stored(order_id).order()

    async def get_durable(self, order_id: OrderId, *, at_least: int = 1) -> Order:
        """The order at version `at_least` or later, once no failure can undo that version."""
        self._stored(order_id)
        kept = (self._kept if self._durable is None else self._durable).get(order_id)
        if kept is None or kept.state.version < at_least:
            raise StoreUnavailable("the write has not reached a majority of the servers")
        return kept.order()

    async def get_state(self, order_id: OrderId) -> OrderState:
        """The state as last stored, without its processed requests."""
        return _without_requests(self._stored(order_id).state)

    async def save(self, order: Order) -> None:
        """Store a changed order with its new events, at the next version."""
        self._require_available()
        kept = self._kept.get(order.id)
        expected = order.version, write_token(order)
        if kept is None or (kept.state.version, kept.write_token) != expected:
            raise ConcurrentUpdate
        self._keep(order, version=order.version + 1)

    async def find_by_number(self, tenant: str, number: str) -> OrderState:
        """The state of the order with this number, without its processed requests."""
        self._require_available()
        for kept in self._all():
            if self._has_number(kept, tenant, number):
                return _without_requests(kept.state)
        raise OrderNotFound(number)

    async def list(
        self, where: OrderFilter, *, newest_first: bool, after: Position | None, limit: int
    ) -> OrderPage:
        """At most `limit` orders after a position, sorted by time of creation and id."""
        self._require_available()
        states = [kept.state for kept in self._all() if _matches(kept.state, where)]
        states.sort(key=_sort_key, reverse=newest_first)
        if after is not None:
            last = (after.at, after.order_id)
            states = [
                s for s in states if (_sort_key(s) < last if newest_first else _sort_key(s) > last)
            ]
        page = [_without_requests(state) for state in states[:limit]]
        has_next = len(states) > limit
        end = Position(at=page[-1].created_at, order_id=page[-1].id) if has_next else None
        return OrderPage(orders=page, next=end)

    async def list_changed(
        self,
        where: OrderFilter,
        *,
        updated_from: datetime | None,
        after: Position | None,
        limit: int,
    ) -> OrderPage:
        """At most `limit` orders after a position, sorted by time of the last change and id."""
        self._require_available()
        states = [kept.state for kept in self._all() if _matches(kept.state, where)]
        states = [s for s in states if updated_from is None or s.updated_at >= updated_from]
        if after is not None:
            states = [s for s in states if _changed_key(s) > (after.at, after.order_id)]
        states.sort(key=_changed_key)
        page = [_without_requests(state) for state in states[:limit]]
        has_next = len(states) > limit
        end = Position(at=page[-1].updated_at, order_id=page[-1].id) if has_next else None
        return OrderPage(orders=page, next=end)

    async def claim_scheduled(
        self, *, now: datetime, lease: timedelta, limit: int
    ) -> builtins.list[OrderId]:
        """At most `limit` orders whose `next_action_at` has come, each claimed for `lease`."""
        self._require_available()
        due = [(k.work_at, k) for k in self._all() if k.work_at is not None and k.work_at <= now]
        first = [kept for _, kept in sorted(due, key=lambda each: each[0])[:limit]]
        for kept in first:
            kept.work_at = now + lease
        self._require_majority()
        return [kept.state.id for kept in first]

    def _stored(self, order_id: OrderId) -> Kept:
        self._require_available()
        if order_id not in self._kept:
            raise OrderNotFound(order_id)
        return self._kept[order_id]

    def _has_number(self, kept: Kept, tenant: str, number: str) -> bool:
        return (kept.state.tenant, kept.state.number) == (tenant, number)

    def _keep(self, order: Order, *, version: int) -> None:
        state = replace(order.state, version=version)
        new_events = tuple(self._logged(state, recorded) for recorded in order.new_events)
        kept = self._kept[order.id]
        kept.state, kept.work_at = state, state.next_action_at
        kept.outbox = (*kept.outbox, *new_events)
        kept.write_token = next(self._write_tokens)
        self._require_majority()
        mark_stored(order, version, write_token=kept.write_token)

    def _logged(self, state: OrderState, recorded: RecordedEvent) -> LoggedEvent:
        return LoggedEvent(
            tenant=state.tenant,
            order_id=state.id,
            recorded=recorded,
            traceparent=self._trace_context.current(),
        )


def _without_requests(state: OrderState) -> OrderState:
    return replace(state, requests=())


def _sort_key(state: OrderState) -> tuple[datetime, OrderId]:
    return state.created_at, state.id


def _changed_key(state: OrderState) -> tuple[datetime, OrderId]:
    return state.updated_at, state.id


def _matches(state: OrderState, where: OrderFilter) -> bool:
    exact: tuple[tuple[object, object], ...] = (
        (where.owner, state.owner),
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
        and (not where.dispute_status or state.ledger.dispute_status in where.dispute_status)
        and (where.ready_to_ship is None or where.ready_to_ship is ready_to_ship(state))
        and (where.overdue is None or where.overdue is _is_overdue(state, where.as_of))
        and (where.created_from is None or where.created_from <= state.created_at)
        and (where.created_before is None or state.created_at < where.created_before)
    )


def _is_overdue(state: OrderState, as_of: datetime | None) -> bool | None:
    at = overdue_from(state)
    return None if at is None or as_of is None else at < as_of
