"""Place an order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from orders.application.access import Caller, Operation, actor_of, is_allowed, require
from orders.application.decline_limit import DeclineLimit
from orders.application.draft_pricer import DraftPricer
from orders.application.errors import (
    DuplicateOrder,
    Forbidden,
    OrderNotFound,
    PricesUnavailable,
    PriceUnknown,
    TaxChanged,
    TooManyCustomerDeclines,
)
from orders.application.execute_payment_operations import ExecutePaymentOperations
from orders.application.ports import Clock, OrderRepository
from orders.application.requests import CommandResult, Request, is_replay, record_request
from orders.domain.errors import ExpiryPassed, InvalidValue, TotalChanged
from orders.domain.identifiers import OrderId, derive_order_id, order_number
from orders.domain.order.order import Order
from orders.domain.pricing import Confirmation, OrderDraft
from orders.domain.validation import (
    OrderLimits,
    validate_method_token,
    validate_reference,
    validate_time,
)

_MAY_BE_REPLAY = (
    DuplicateOrder,
    TotalChanged,
    TaxChanged,
    PriceUnknown,
    PricesUnavailable,
    ExpiryPassed,
    TooManyCustomerDeclines,
)
"""The refusals that a repeated request may meet: its order is stored, prices have changed, its time
to pay is over, or payments were declined since.
"""

Randomness = Callable[[], int]
"""At least 60 unguessable bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InitialPayment:
    """The payment that is started together with the order.

    Raises:
        InvalidValue: If the method is no token of the payment service.
    """

    method: str
    capture: bool = False

    def __post_init__(self) -> None:
        validate_method_token(self.method, "payment/method")


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeToPay:
    """When a new order expires: after `default`, or as placing states, but not after `most`."""

    default: timedelta
    most: timedelta

    def ends_at(
        self, expires_at: datetime | None, pay_within_seconds: int | None, *, now: datetime
    ) -> datetime:
        """The time at which an order that is placed now expires.

        Raises:
            InvalidValue: If both are stated, or what is stated is later than `most` allows.
        """
        if pay_within_seconds is not None:
            if expires_at is not None:
                raise InvalidValue("pay_within_seconds", "must not be stated with expires_at")
            return now + self._within(pay_within_seconds)
        if expires_at is None:
            return now + self.default
        if validate_time(expires_at, "expires_at") - now > self.most:
            raise InvalidValue("expires_at", f"must be within {self._most_seconds} seconds")
        return expires_at

    def _within(self, seconds: int) -> timedelta:
        if not 1 <= seconds <= self._most_seconds:
            problem = f"must be a whole number from 1 to {self._most_seconds}"
            raise InvalidValue("pay_within_seconds", problem)
        return timedelta(seconds=seconds)

    @property
    def _most_seconds(self) -> int:
        return int(self.most.total_seconds())


class PlaceOrder:
    """Stores a new order once per request key, and starts its payment once."""

    def __init__(
        self,
        orders: OrderRepository,
        execute_operations: ExecutePaymentOperations,
        price: DraftPricer,
        now: Clock,
        randomness: Randomness,
        limits: OrderLimits,
        time_to_pay: TimeToPay,
        declines: DeclineLimit,
    ) -> None:
        self._orders = orders
        self._execute_operations = execute_operations
        self._price = price
        self._now = now
        self._randomness = randomness
        self._limits = limits
        self._time_to_pay = time_to_pay
        self._declines = declines

    async def __call__(
        self,
        draft: OrderDraft,
        *,
        customer_id: str | None,
        payment: InitialPayment | None,
        expires_at: datetime | None = None,
        pay_within_seconds: int | None = None,
        request: Request,
    ) -> CommandResult:
        """Place an order. With the same key the call may be repeated: one order, one payment.

        The order is stored before its payment is sent. Whatever fails then, the order is there and
        says what is known of the payment.

        Raises:
            Forbidden: If the caller may not place orders, or not for this customer, or may not hold
                orders, confirm them or set terms and the draft asks for that.
            RequestKeyReused: If the key was used with another body.
            RequestInProgress: If the first request with the key is still running.
            OrderError: If a rule of the order refuses the draft.
            TooManyCustomerDeclines: If there is a payment, and too many of the customer's were
                declined.
            PriceUnknown: If the catalogue has no price for something.
            TaxChanged: If a stated tax is not the catalogue's.
            PricesUnavailable: If the catalogue gave no answer in time.
        """
        require(request.caller, Operation.PLACE)
        _require_conditions(request.caller, draft)
        owner = _owner(request.caller, customer_id)
        order_id = self._id_for(request)
        try:
            priced = await self._price(draft, request.caller)
            # Not earlier: who follows the orders by their time waits only so long for a write.
            now = self._now()
            ends_at = self._time_to_pay.ends_at(expires_at, pay_within_seconds, now=now)
            order = self._build(order_id, priced, owner, payment, request, now, ends_at)
            await self._declines.admit(order)
            if request.dry_run:
                return await self._dry_run(order, request)
            await self._orders.add(order)
        except _MAY_BE_REPLAY as refusal:
            return await self._replay(order_id, request, refusal)
        reserved = [call.key for call in order.state.ledger.operations]
        return CommandResult(await self._execute_operations(order, reserved))

    def _id_for(self, request: Request) -> OrderId:
        caller, key = request.caller, request.key
        # Only a dry run has no key. Nobody repeats it, so any id will do.
        value = key.value if key is not None else f"{self._randomness()}"
        return derive_order_id(tenant=caller.tenant, subject=caller.subject, request_key=value)

    def _build(
        self,
        order_id: OrderId,
        draft: OrderDraft,
        owner: str | None,
        payment: InitialPayment | None,
        request: Request,
        now: datetime,
        expires_at: datetime,
    ) -> Order:
        actor = actor_of(request.caller)
        order = Order.place(
            draft,
            order_id=order_id,
            number=order_number(self._randomness()),
            tenant=request.caller.tenant,
            customer_id=owner,
            expires_at=expires_at,
            by=actor,
            now=now,
            limits=self._limits,
        )
        if payment is not None and order.state.totals.outstanding:
            order.start_payment(payment.method, capture=payment.capture, by=actor, now=now)
        record_request(order, request, now=now)
        return order

    async def _dry_run(self, order: Order, request: Request) -> CommandResult:
        """The result that placing would have. A key that was used gives the order it placed."""
        if request.key is None:
            return CommandResult(order)
        try:
            stored = await self._orders.get(order.id)
        except OrderNotFound:
            return CommandResult(order)
        if is_replay(stored, request, now=self._now()):
            return CommandResult(stored, replayed=True)
        return CommandResult(order)

    async def _replay(
        self, order_id: OrderId, request: Request, refusal: Exception
    ) -> CommandResult:
        """The order that an earlier request with the key placed; else raises the refusal."""
        if request.key is None:
            raise refusal
        try:
            order = await self._orders.get_durable(order_id)
        except OrderNotFound:
            raise refusal from None
        if not is_replay(order, request, now=self._now()):
            raise refusal
        return CommandResult(order, replayed=True)


def _require_conditions(caller: Caller, draft: OrderDraft) -> None:
    """Who places an order on hold must be allowed to hold it; so for its confirmation and terms."""
    if draft.holds:
        require(caller, Operation.HOLD)
    if draft.confirmation is Confirmation.MANUAL:
        require(caller, Operation.CONFIRM)
    if draft.terms is not None:
        require(caller, Operation.SET_TERMS)


def _owner(caller: Caller, customer_id: str | None) -> str | None:
    if is_allowed(caller, Operation.PLACE_FOR_OTHERS):
        return None if customer_id is None else validate_reference(customer_id, "customer_id")
    if customer_id not in (None, caller.subject):
        raise Forbidden(Operation.PLACE_FOR_OTHERS)
    return caller.subject
