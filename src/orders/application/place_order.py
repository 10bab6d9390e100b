"""Place an order, or say what it would cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from orders.application.access import Caller, Operation, actor_of, is_allowed, require
from orders.application.errors import (
    DuplicateOrder,
    Forbidden,
    OrderNotFound,
    PricesUnavailable,
    PriceUnknown,
)
from orders.application.execute_payment_operations import ExecutePaymentOperations
from orders.application.ports import Clock, OrderRepository, PriceList
from orders.application.requests import CommandResult, Request, record_request, replay_of
from orders.domain.errors import TotalChanged
from orders.domain.identifiers import OrderId, derive_order_id, order_number
from orders.domain.lines import DraftLine, require_line_count
from orders.domain.money import exponent
from orders.domain.order.order import Order
from orders.domain.pricing import OrderDraft, Quote, quote
from orders.domain.validation import (
    OrderLimits,
    Shipping,
    validate_code,
    validate_method_token,
    validate_reference,
    validate_sku,
)

_MAY_BE_A_REPETITION = (DuplicateOrder, TotalChanged, PriceUnknown, PricesUnavailable)
"""Why a request may be refused that was answered before: it is stored, or prices have changed."""

Randomness = Callable[[], int]
"""At least 60 unguessable bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InitialPayment:
    """How to pay for the order as it is placed.

    Raises:
        InvalidValue: If the method is no token of the payment service.
    """

    method: str
    capture: bool = False

    def __post_init__(self) -> None:
        validate_method_token(self.method, "payment/method")


class DraftPricer:
    """Fills in the prices of a draft: the caller's, if they may state them, or the list's."""

    def __init__(self, prices: PriceList, limits: OrderLimits) -> None:
        self._prices = prices
        self._limits = limits

    async def __call__(self, draft: OrderDraft, caller: Caller) -> OrderDraft:
        """The draft with a price on every line.

        Raises:
            InvalidValue: If the currency, a SKU or the way of shipping cannot be asked for.
            PriceUnknown: If the list has no price for something.
            TotalChanged: If the caller stated another price and may not.
            PricesUnavailable: If the list gave no answer.
        """
        exponent(draft.currency)
        trusted = is_allowed(caller, Operation.STATE_PRICES)
        stated_all = all(line.unit_price is not None for line in draft.lines)
        if trusted and stated_all:
            return draft
        # Before anyone is asked: no request may cost the catalogue more than an order could.
        require_line_count(draft.lines, self._limits)
        wanted = {
            validate_sku(line.sku, f"lines/{index}/sku") for index, line in enumerate(draft.lines)
        }
        method = _shipping_key(draft.shipping)
        if method is not None and not trusted:
            wanted.add(method)
        listed = await self._prices.prices(sorted(wanted), draft.currency)
        lines = tuple(
            _priced(line, listed, draft.currency, trusted=trusted) for line in draft.lines
        )
        if trusted:
            return replace(draft, lines=lines)
        _refuse_stated(draft)
        return replace(draft, lines=lines, shipping=_priced_shipping(draft, method, listed))


class QuoteOrder:
    """Works out what a draft costs, and stores nothing."""

    def __init__(self, price: DraftPricer, limits: OrderLimits) -> None:
        self._price = price
        self._limits = limits

    async def __call__(self, draft: OrderDraft, *, caller: Caller) -> Quote:
        """The totals of an order placed from this draft now.

        Raises:
            OrderError: If it could not be placed.
            PriceUnknown: If the list has no price for something.
        """
        require(caller, Operation.QUOTE)
        return quote(await self._price(draft, caller), limits=self._limits)


class PlaceOrder:
    """Stores a new order once per request key, and asks for its payment once."""

    def __init__(
        self,
        orders: OrderRepository,
        settle: ExecutePaymentOperations,
        price: DraftPricer,
        now: Clock,
        randomness: Randomness,
        limits: OrderLimits,
        expire_after: timedelta,
    ) -> None:
        self._orders = orders
        self._settle = settle
        self._price = price
        self._now = now
        self._randomness = randomness
        self._limits = limits
        self._expire_after = expire_after

    async def __call__(
        self,
        draft: OrderDraft,
        *,
        customer_id: str | None,
        payment: InitialPayment | None,
        request: Request,
    ) -> CommandResult:
        """Place an order. With the same key it may be repeated: it is placed and paid once.

        The order is stored before the payment service is asked, so it is there whatever
        happens then, with the truth about its payment.

        Raises:
            Forbidden: If the caller may not place orders, or not for this customer.
            RequestKeyReused: If the key was used with another body.
            RequestInProgress: If the first request with the key is still running.
            OrderError: If the draft cannot be ordered.
            PriceUnknown: If the list has no price for something.
        """
        require(request.caller, Operation.PLACE)
        owner = _owner(request.caller, customer_id)
        order_id = self._id_for(request)
        try:
            order = await self._build(order_id, draft, owner, payment, request)
            if request.dry_run:
                return await self._tried(order, request)
            await self._orders.add(order)
        except _MAY_BE_A_REPETITION as refusal:
            return await self._answered_before(order_id, request, refusal)
        reserved = [call.key for call in order.state.ledger.operations]
        return CommandResult(await self._settle(order, reserved))

    def _id_for(self, request: Request) -> OrderId:
        caller, key = request.caller, request.key
        # Without a key there is nothing to repeat: only a dry run gets here like that.
        value = key.value if key is not None else f"{self._randomness()}"
        return derive_order_id(tenant=caller.tenant, subject=caller.subject, request_key=value)

    async def _build(
        self,
        order_id: OrderId,
        draft: OrderDraft,
        owner: str | None,
        payment: InitialPayment | None,
        request: Request,
    ) -> Order:
        now = self._now()
        actor = actor_of(request.caller)
        order = Order.place(
            await self._price(draft, request.caller),
            order_id=order_id,
            number=order_number(self._randomness()),
            tenant=request.caller.tenant,
            customer_id=owner,
            expires_at=now + self._expire_after,
            by=actor,
            now=now,
            limits=self._limits,
        )
        if payment is not None and order.state.totals.outstanding:
            order.start_payment(payment.method, capture=payment.capture, by=actor, now=now)
        record_request(order, request, now=now)
        return order

    async def _tried(self, order: Order, request: Request) -> CommandResult:
        """What placing would be answered with: a used key has its answer."""
        if request.key is None:
            return CommandResult(order)
        try:
            stored = await self._orders.get(order.id)
        except OrderNotFound:
            return CommandResult(order)
        return replay_of(stored, request, now=self._now()) or CommandResult(order)

    async def _answered_before(
        self, order_id: OrderId, request: Request, refusal: Exception
    ) -> CommandResult:
        """The first answer, if this is a repetition: prices may have changed since then."""
        if request.key is None:
            raise refusal
        try:
            order = await self._orders.get_durable(order_id)
        except OrderNotFound:
            raise refusal from None
        answer = replay_of(order, request, now=self._now())
        if answer is None:
            raise refusal
        return answer


def _owner(caller: Caller, customer_id: str | None) -> str | None:
    if is_allowed(caller, Operation.PLACE_FOR_OTHERS):
        return None if customer_id is None else validate_reference(customer_id, "customer_id")
    if customer_id not in (None, caller.subject):
        raise Forbidden(Operation.PLACE_FOR_OTHERS)
    return caller.subject


def _shipping_key(shipping: Shipping | None) -> str | None:
    """What a way of shipping is called in the price list."""
    if shipping is None or shipping.method is None:
        return None
    return f"shipping/{validate_code(shipping.method, 'shipping/method')}"


def _priced(
    line: DraftLine, listed: Mapping[str, int], currency: str, *, trusted: bool
) -> DraftLine:
    if trusted and line.unit_price is not None:
        return line
    price = listed.get(line.sku)
    if price is None:
        raise PriceUnknown(line.sku, currency)
    if line.unit_price not in (None, price):
        raise TotalChanged(stated=line.unit_price or 0, actual=price)
    return replace(line, unit_price=price)


def _refuse_stated(draft: OrderDraft) -> None:
    """Discounts and taxes are prices too."""
    stated = draft.discount + sum(line.discount + line.tax for line in draft.lines)
    if stated:
        raise TotalChanged(stated=stated, actual=0)


def _priced_shipping(
    draft: OrderDraft, method: str | None, listed: Mapping[str, int]
) -> Shipping | None:
    if draft.shipping is None:
        return None
    price = 0 if method is None else listed.get(method)
    if price is None:
        raise PriceUnknown(method or "", draft.currency)
    if draft.shipping.price not in (0, price):
        raise TotalChanged(stated=draft.shipping.price, actual=price)
    return replace(draft.shipping, price=price)
