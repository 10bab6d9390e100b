"""Propose a change of what was ordered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from orders.application.access import Operation, can_access, require
from orders.application.change_order import ChangeOrder
from orders.application.errors import OrderNotFound
from orders.application.place_order import DraftPricer
from orders.application.ports import Clock, OrderRepository
from orders.application.requests import CommandResult, Request, replay_of
from orders.domain.identifiers import Actor, OrderId
from orders.domain.lines import DraftLine, Items
from orders.domain.order.order import Order
from orders.domain.pricing import OrderDraft
from orders.domain.validation import OrderLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedChange:
    """What the caller wants changed. Added lines are priced as those of a new order."""

    removed: Items
    added: Sequence[DraftLine]
    reason: str
    expected_total: int | None = None


class ProposeChange:
    """Prices the lines to be added, and has the order work out the rest."""

    def __init__(
        self,
        orders: OrderRepository,
        change: ChangeOrder,
        price: DraftPricer,
        now: Clock,
        limits: OrderLimits,
    ) -> None:
        self._orders = orders
        self._change = change
        self._price = price
        self._now = now
        self._limits = limits

    async def __call__(
        self, order_id: OrderId, proposed: ProposedChange, *, request: Request
    ) -> CommandResult:
        """Store a proposal. With a request key it may be repeated.

        Raises:
            PriceUnknown: If the list has no price for something.
            TotalChanged: If a stated price is not the list's, or the total is not as expected.
            Exception: As `ChangeOrder` for everything else.
        """
        require(request.caller, Operation.PROPOSE_CHANGE)
        added = await self._priced(order_id, proposed, request) if proposed.added else ()

        def execute(order: Order, by: Actor, now: datetime) -> None:
            order.propose_change(
                removed=proposed.removed,
                added=added,
                reason=proposed.reason,
                expected_total=proposed.expected_total,
                by=by,
                now=now,
                limits=self._limits,
            )

        return await self._change(order_id, Operation.PROPOSE_CHANGE, execute, request=request)

    async def _priced(
        self, order_id: OrderId, proposed: ProposedChange, request: Request
    ) -> Sequence[DraftLine]:
        order = await self._orders.get(order_id)
        if not can_access(request.caller, Operation.PROPOSE_CHANGE, order.state):
            raise OrderNotFound(order_id)
        if replay_of(order, request, now=self._now()) is not None:
            order = await self._orders.get_durable(order_id, at_least=order.version)
            if replay_of(order, request, now=self._now()) is not None:
                return ()  # It is answered from the order: what things cost today matters not.
        draft = OrderDraft(currency=order.state.currency, lines=tuple(proposed.added))
        return (await self._price(draft, request.caller)).lines
