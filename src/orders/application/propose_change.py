"""Propose a change of an order's lines or of its shipping method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from orders.application.access import Operation, can_access, require
from orders.application.change_order import ChangeOrder
from orders.application.draft_pricer import DraftPricer
from orders.application.errors import OrderNotFound
from orders.application.ports import Clock, OrderRepository
from orders.application.requests import CommandResult, Request, is_replay
from orders.domain.identifiers import Actor, OrderId
from orders.domain.lines import EXCLUDED_BY_LINE, DraftLine, Items
from orders.domain.order.order import Order
from orders.domain.order_changes import ShippingChange
from orders.domain.pricing import OrderDraft
from orders.domain.validation import OrderLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedChange:
    """Units to take off, lines to add, and another shipping method. What is new is priced like
    that of a new order.
    """

    removed: Items
    added: Sequence[DraftLine]
    reason: str
    shipping: ShippingChange | None = None
    expected_total: int | None = None


class ProposeChange:
    """Prices the lines to be added and the shipping. The order computes the rest."""

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
        """Store a proposal. With a request key the call may be repeated.

        Raises:
            PriceUnknown: If the catalogue has no price for something.
            PricesUnavailable: If the catalogue gave no answer in time.
            TotalChanged: If a stated price is not the catalogue's, or the total is not as expected.
            TaxChanged: If a stated tax rate is not the catalogue's, or its prices include tax and
                the order's do not, or the other way round.
            Exception: What `ChangeOrder` raises.
        """
        require(request.caller, Operation.PROPOSE_CHANGE)
        priced = proposed
        if proposed.added or proposed.shipping:
            priced = await self._priced(order_id, proposed, request)

        def execute(order: Order, by: Actor, now: datetime) -> None:
            order.propose_change(
                removed=priced.removed,
                added=priced.added,
                shipping=priced.shipping,
                reason=priced.reason,
                expected_total=priced.expected_total,
                by=by,
                now=now,
                limits=self._limits,
            )

        return await self._change(order_id, Operation.PROPOSE_CHANGE, execute, request=request)

    async def _priced(
        self, order_id: OrderId, proposed: ProposedChange, request: Request
    ) -> ProposedChange:
        order = await self._orders.get(order_id)
        if not can_access(request.caller, Operation.PROPOSE_CHANGE, order.state):
            raise OrderNotFound(order_id)
        if is_replay(order, request, now=self._now()):
            order = await self._orders.get_durable(order_id, at_least=order.version)
            if is_replay(order, request, now=self._now()):
                return proposed  # The stored proposal has its prices.
        return await self._with_prices(proposed, order, request)

    async def _with_prices(
        self, proposed: ProposedChange, order: Order, request: Request
    ) -> ProposedChange:
        new = proposed.shipping
        draft = OrderDraft(
            currency=order.state.currency,
            lines=tuple(proposed.added),
            shipping=None if new is None else new.applied_to(None),
            prices_include_tax=(order.state.tax_policy or EXCLUDED_BY_LINE).prices_include_tax,
        )
        priced = await self._price(draft, request.caller)
        if new is not None and priced.shipping is not None:
            new = replace(new, price=priced.shipping.price, tax_rate=priced.shipping.tax_rate)
        return replace(proposed, added=priced.lines, shipping=new)
