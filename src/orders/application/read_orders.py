"""Read orders: one, a list, the possible actions of one, and its events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from orders.application.access import (
    Caller,
    Operation,
    View,
    can_access,
    can_access_all,
    require,
    view_of,
)
from orders.application.errors import (
    AmbiguousReference,
    Forbidden,
    OrderNotFound,
    UnreadableOrder,
)
from orders.application.ports import (
    Clock,
    EventLog,
    EventOutbox,
    FoundEvents,
    OrderFilter,
    OrderPage,
    OrderRepository,
    Position,
)
from orders.domain.actions import Action
from orders.domain.identifiers import OrderId
from orders.domain.rules import Bound, argument_bounds, refusals
from orders.domain.state import OrderState
from orders.domain.validation import OrderLimits

MOST_NAMED = 20
"""How many orders the refusal of an ambiguous reference names."""
NOTHING_TO_DO = "nothing-to-do"
"""Blocks an action that no rule forbids, but that has nothing in the order to act on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PossibleAction:
    """An action, the codes of the rules that block it now, and the bounds of its arguments."""

    action: Action
    blocked_by: tuple[str, ...]
    limits: dict[str, Bound]


class ChangedOrders(NamedTuple):
    """A page of orders by the time of their last change, and from where to ask next time.

    The list up to its last page has every change whose time is before `next_updated_from`.
    """

    page: OrderPage
    next_updated_from: datetime


class ReadOrders:
    """Reads orders and changes nothing. Every call may be repeated."""

    def __init__(
        self,
        orders: OrderRepository,
        outbox: EventOutbox,
        log: EventLog,
        now: Clock,
        limits: OrderLimits,
        settled_after: timedelta,
    ) -> None:
        self._orders = orders
        self._outbox = outbox
        self._log = log
        self._now = now
        self._limits = limits
        self._settled_after = settled_after

    async def get(
        self, order_id: OrderId, *, caller: Caller, operation: Operation = Operation.READ
    ) -> OrderState:
        """One order.

        Raises:
            Forbidden: If the caller may read no order.
            OrderNotFound: If there is none that the caller may see.
            UnreadableOrder: If only a newer version of the service can read it.
        """
        require(caller, operation)
        return _accessible(
            await self._orders.get_state(order_id), operation, caller, wanted=order_id
        )

    async def by_number(self, number: str, *, caller: Caller) -> OrderState:
        """The order with a number, in its canonical form. Raises what `get` raises."""
        require(caller, Operation.READ)
        order = await self._orders.find_by_number(caller.tenant, number)
        return _accessible(order, Operation.READ, caller, wanted=number)

    async def by_reference(self, reference: str, *, caller: Caller) -> OrderState:
        """The order with an external reference: the newest that the caller placed, or else the
        only one that others placed. Different callers may use the same reference.

        Raises:
            AmbiguousReference: If others placed several orders with it, and the caller none.
            Exception: What `get` raises.
        """
        where = OrderFilter(tenant=caller.tenant, external_reference=reference)
        own = replace(where, placed_by=caller.subject)
        for wanted, most in ((own, 1), (where, MOST_NAMED)):
            page = await self.list(wanted, newest_first=True, after=None, limit=most, caller=caller)
            if page.unreadable:
                raise UnreadableOrder(page.unreadable[0], "it has another version's form")
            if len(page.orders) > 1:
                raise AmbiguousReference([order.id for order in page.orders])
            if page.orders:
                return page.orders[0]
        raise OrderNotFound(reference)

    async def list(
        self,
        where: OrderFilter,
        *,
        newest_first: bool,
        after: Position | None,
        limit: int,
        caller: Caller,
    ) -> OrderPage:
        """A page of the caller's orders that match a filter.

        Raises:
            Forbidden: If the caller may list no orders, or filters by something they may not see.
        """
        where = _visible(where, caller, self._now())
        return await self._orders.list(where, newest_first=newest_first, after=after, limit=limit)

    async def list_changed(
        self,
        where: OrderFilter,
        *,
        updated_from: datetime | None,
        after: Position | None,
        limit: int,
        caller: Caller,
    ) -> ChangedOrders:
        """A page of the caller's orders that match a filter, by the time of their last change.

        A change has the time at which a process decided it, by its clock. It is stored a little
        later, so a change may come after another that has a later time. `settled_after` bounds that
        delay: every change that is older is stored. Whoever asks each time from the
        `next_updated_from` of the list before, gets every change at least once.

        Raises:
            Forbidden: If the caller may list no orders, or filters by something they may not see.
        """
        where = _visible(where, caller, self._now())
        settled = self._now() - self._settled_after
        page = await self._orders.list_changed(
            where, updated_from=updated_from, after=after, limit=limit
        )
        return ChangedOrders(page, settled)

    async def actions(self, order_id: OrderId, *, caller: Caller) -> Sequence[PossibleAction]:
        """Every action the caller may take, and what blocks it now. Raises what `get` raises."""
        order = await self.get(order_id, caller=caller, operation=Operation.SEE_ACTIONS)
        now = self._now()
        mine = [action for action in Action if _is_theirs(action, caller, order)]
        return [_possible(order, action, now, self._limits) for action in mine]

    async def timeline(self, order_id: OrderId, *, caller: Caller) -> FoundEvents:
        """All events of an order, in sequence, up to its last change. Raises what `get` raises."""
        # The outbox first: an event that is relayed between the two reads is then in both.
        await self.get(order_id, caller=caller, operation=Operation.SEE_TIMELINE)
        waiting = await self._outbox.waiting_of(order_id)
        logged = await self._log.timeline(order_id)
        events = {e.recorded.sequence: e for e in (*waiting.events, *logged.events)}
        unreadable = {e.sequence: e for e in (*waiting.unreadable, *logged.unreadable)}
        return FoundEvents(
            events=[events[sequence] for sequence in sorted(events)],
            unreadable=[unreadable[sequence] for sequence in sorted(unreadable)],
        )

    async def list_feed(self, position: int, *, limit: int, caller: Caller) -> FoundEvents:
        """The tenant's events after a position.

        Raises:
            Forbidden: If the caller may not read the feed.
        """
        require(caller, Operation.SEE_FEED)
        return await self._log.after(position, tenant=caller.tenant, limit=limit)


def _visible(where: OrderFilter, caller: Caller, now: datetime) -> OrderFilter:
    """The filter for those of its orders that the caller may see."""
    require(caller, Operation.LIST)
    hidden = (where.customer_id, where.outstanding, where.overdue, where.dispute_status or None)
    if any(each is not None for each in hidden) and view_of(caller) is View.FULFILLMENT:
        raise Forbidden(Operation.LIST)
    own = None if can_access_all(caller, Operation.LIST) else caller.subject
    return replace(where, tenant=caller.tenant, owner=own, as_of=now)


def _accessible(
    order: OrderState, operation: Operation, caller: Caller, *, wanted: object
) -> OrderState:
    # The refusal names what the caller asked for: the order's id would show that it exists.
    if not can_access(caller, operation, order):
        raise OrderNotFound(wanted)
    return order


def _is_theirs(action: Action, caller: Caller, order: OrderState) -> bool:
    if action is Action.EXPIRE:  # the clock's
        return False
    return can_access(caller, Operation(action.value), order)


def _possible(
    order: OrderState, action: Action, now: datetime, limits: OrderLimits
) -> PossibleAction:
    blocked_by = tuple(error.code for error in refusals(order, action, now=now, limits=limits))
    bounds = argument_bounds(order, action)
    if not blocked_by and bounds and not all(bounds.values()):
        blocked_by = (NOTHING_TO_DO,)
    return PossibleAction(action=action, blocked_by=blocked_by, limits=bounds)
