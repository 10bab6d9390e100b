"""What the use cases need from outside. Each sentence of these contracts is a test in
`orders.adapters.contracts`, which any adapter can run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from orders.application.access import Caller
from orders.application.backlog import Backlog, QueueBacklog, WorkBacklog
from orders.application.event_ports import (
    EventLog,
    EventOutbox,
    EventPublisher,
    FoundEvents,
    KeptEvents,
    Lag,
    LoggedEvent,
    ParkedEvents,
    Published,
    Unreadable,
    WaitingEvents,
)
from orders.application.rate_limits import Admission, RateLimiter, RatePolicy
from orders.application.trace_context import UNTRACED, TraceContext
from orders.domain.identifiers import OrderId
from orders.domain.lifecycle import (
    OrderFulfillmentStatus,
    OrderPaymentStatus,
    OrderReturnStatus,
    OrderStatus,
)
from orders.domain.money import Money
from orders.domain.order.order import Order
from orders.domain.payments import PaymentReport
from orders.domain.state import OrderState

__all__ = [
    "UNTRACED",
    "Admission",
    "Backlog",
    "Clock",
    "EventLog",
    "EventOutbox",
    "EventPublisher",
    "FoundEvents",
    "KeptEvents",
    "Lag",
    "LoggedEvent",
    "OrderFilter",
    "OrderPage",
    "OrderRepository",
    "ParkedEvents",
    "PaymentEvent",
    "PaymentEventType",
    "PaymentGateway",
    "Position",
    "PriceList",
    "Published",
    "QueueBacklog",
    "RateLimiter",
    "RatePolicy",
    "TokenVerifier",
    "TraceContext",
    "Unreadable",
    "WaitingEvents",
    "WebhookVerifier",
    "WorkBacklog",
]

Clock = Callable[[], datetime]
"""The time: aware, UTC, whole milliseconds (what every store can keep)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFilter:
    """Which orders to list. What is None does not matter; sequences mean any of them."""

    tenant: str
    owner: str | None = None
    """Only orders of this customer, and guest orders placed by this subject."""
    customer_id: str | None = None
    status: Sequence[OrderStatus] = ()
    payment_status: Sequence[OrderPaymentStatus] = ()
    fulfillment_status: Sequence[OrderFulfillmentStatus] = ()
    return_status: Sequence[OrderReturnStatus] = ()
    number: str | None = None
    external_reference: str | None = None
    created_from: datetime | None = None
    """Inclusive."""
    created_before: datetime | None = None
    """Exclusive."""
    outstanding: bool | None = None
    """Whether something is still to be paid."""
    placed_by: str | None = None
    """Only orders whose request this subject sent."""
    ready_to_ship: bool | None = None
    """Of confirmed orders with units left to send: whether they may be sent now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A place in a list sorted by time and id: everything after it is on later pages."""

    at: datetime
    order_id: OrderId


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPage:
    """A part of a list, to look at."""

    orders: Sequence[OrderState]
    unreadable: Sequence[OrderId] = ()
    """Orders of this part that are stored in a form that this version does not know."""
    next: Position | None = None
    """After which the next part begins, readable or not; None if this is the last."""


class OrderRepository(Protocol):
    """Keeps orders: one order, one document, one write.

    Every method raises `StoreUnavailable` when the store gives no answer in time. A write
    whose answer was lost may have happened; `add` and `save` may then be repeated. Whatever gives
    one order raises `UnreadableOrder` for one that another version has stored in a form of its own.

    What `add` and `save` have stored when they return, no failure takes back. `get` and all that
    is given to look at may show more: a write that failed and is undone yet. So whoever tells
    that something is done, and has not just stored it, asks `get_durable`.

    What is given to look at, as `OrderState`, is without the requests that the order remembers:
    up to 256, which nobody is shown. Never save what was made of it; to change an order, `get` it.
    """

    async def add(self, order: Order) -> None:
        """Store a new order with its events, at version 1, or nothing.

        Raises:
            DuplicateOrder: If an order with this id is stored. It is left as it is.
        """
        ...

    async def get(self, order_id: OrderId) -> Order:
        """The order as last stored.

        Raises:
            OrderNotFound: If there is none.
        """
        ...

    async def get_durable(self, order_id: OrderId, *, at_least: int = 1) -> Order:
        """The order at this version or a later one, as no failure can take it back.

        Raises:
            OrderNotFound: If there is none.
            StoreUnavailable: If the store cannot vouch for that version in a moment.
        """
        ...

    async def save(self, order: Order) -> None:
        """Store a changed order with its new events, at the next version, or nothing.

        The events not relayed yet stay as they are, the new ones follow them.

        Raises:
            ConcurrentUpdate: If the stored order has another version than this one had, or the
                same from another write, where the first was undone.
        """
        ...

    async def get_state(self, order_id: OrderId) -> OrderState:
        """The order as last stored, to look at.

        Raises:
            OrderNotFound: If there is none.
        """
        ...

    async def find_by_number(self, tenant: str, number: str) -> OrderState:
        """The order with this number, to look at.

        Raises:
            OrderNotFound: If the tenant has none.
        """
        ...

    async def list(
        self, where: OrderFilter, *, newest_first: bool, after: Position | None, limit: int
    ) -> OrderPage:
        """At most `limit` orders by time of creation and id, after a position, to look at.

        An order that was there before the first page is on exactly one page; one that cannot be
        read is named on it.
        """
        ...

    async def claim_scheduled(
        self, *, now: datetime, lease: timedelta, limit: int
    ) -> Sequence[OrderId]:
        """Orders whose `due_at` has come, at most `limit`; each is claimed for `lease`.

        A claimed order is given to nobody else until the lease is over. Claiming changes no
        version. Saving an order ends its claim.
        """
        ...


class PaymentGateway(Protocol):
    """Moves money. A call's reference is its idempotency key: the same reference, however
    often it is sent, moves money once.

    Every method raises `PaymentDeclined` for a final no to the payer, `PaymentRefused` for a
    final no to the call itself, and `PaymentUnavailable` when the outcome is unknown:
    `PaymentNotAttempted` of its kind, if nothing was sent.
    """

    async def authorize(
        self, *, reference: str, amount: Money, method: str, capture: bool
    ) -> PaymentReport:
        """Ask for an amount to be held, or taken at once with `capture`."""
        ...

    async def capture(self, provider_id: str, *, amount: Money, reference: str) -> PaymentReport:
        """Take a part of what is held."""
        ...

    async def void(self, provider_id: str, *, reference: str) -> PaymentReport:
        """Give back what is held and not taken."""
        ...

    async def refund(self, provider_id: str, *, amount: Money, reference: str) -> PaymentReport:
        """Give back a part of what was taken."""
        ...

    async def find(self, reference: str) -> PaymentReport | None:
        """The payment that `authorize` started with this reference; None if there is none."""
        ...


class PaymentEventType(StrEnum):
    """What the payment service tells by itself.

    A charge-back took all that was captured and not refunded.
    """

    AUTHORIZED = "payment.authorized"
    CAPTURED = "payment.captured"
    DECLINED = "payment.declined"
    VOIDED = "payment.voided"
    REFUNDED = "payment.refunded"
    CHARGED_BACK = "payment.charged_back"
    PENDING = "payment.pending"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentEvent:
    """A message of the payment service. `id` stays the same when it is sent again."""

    id: str
    type: PaymentEventType
    payment: PaymentReport


class WebhookVerifier(Protocol):
    """Tells messages of the payment service from forgeries."""

    def verify(self, headers: Mapping[str, str], raw_body: bytes, now: datetime) -> PaymentEvent:
        """Read a message after proving where it comes from. May be repeated.

        `headers` are looked up by lower-case names, `raw_body` is as it came.

        Raises:
            InvalidWebhook: If it is not proven, too old, or of no known form.
        """
        ...


class PriceList(Protocol):
    """What things cost when the caller may not say."""

    async def prices(self, skus: Sequence[str], currency: str) -> Mapping[str, int]:
        """Prices in minor units by SKU. A SKU without a price is left out.

        Raises:
            PricesUnavailable: If there is no answer in time.
        """
        ...


class TokenVerifier(Protocol):
    """Says who holds an access token."""

    async def verify(self, token: str) -> Caller:
        """The caller that a valid token names.

        Raises:
            InvalidToken: If it proves nothing, for whatever reason.
            KeysUnavailable: If no signing key is known yet.
        """
        ...
