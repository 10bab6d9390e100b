"""What the use cases need from the outside world. Each sentence of these contracts is a test in
`orders.adapters.contracts`, which any adapter can run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
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
from orders.application.payment_ports import (
    PaymentEvent,
    PaymentEventType,
    PaymentGateway,
    UnknownPaymentEvent,
    WebhookVerifier,
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
from orders.domain.order.order import Order
from orders.domain.payments import DisputeStatus
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
    "ListedPrice",
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
    "UnknownPaymentEvent",
    "Unreadable",
    "WaitingEvents",
    "WebhookVerifier",
    "WorkBacklog",
]

Clock = Callable[[], datetime]
"""The time: aware, UTC, whole milliseconds (what every store can keep)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFilter:
    """Which orders to list. None matches every order; a sequence matches any of its values."""

    tenant: str
    owner: str | None = None
    """Only orders of this customer, and guest orders placed by this subject."""
    customer_id: str | None = None
    status: Sequence[OrderStatus] = ()
    payment_status: Sequence[OrderPaymentStatus] = ()
    fulfillment_status: Sequence[OrderFulfillmentStatus] = ()
    return_status: Sequence[OrderReturnStatus] = ()
    dispute_status: Sequence[DisputeStatus] = ()
    """Of orders with disputes: open if one is open, else lost if one is lost, else won."""
    number: str | None = None
    external_reference: str | None = None
    created_from: datetime | None = None
    """Inclusive."""
    created_before: datetime | None = None
    """Exclusive."""
    outstanding: bool | None = None
    """Whether something is still to be paid."""
    placed_by: str | None = None
    """Only orders that this subject placed."""
    ready_to_ship: bool | None = None
    """Of confirmed orders with units left to send: whether they may be sent now."""
    overdue: bool | None = None
    """Of orders that are to be paid by a time that is set: whether it is over at `as_of`."""
    as_of: datetime | None = None
    """The time that `overdue` is judged by. A filter with `overdue` needs it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A place in a list that is sorted by time and id. Later pages hold what comes after it."""

    at: datetime
    order_id: OrderId


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPage:
    """A page of a list, to read only."""

    orders: Sequence[OrderState]
    unreadable: Sequence[OrderId] = ()
    """Orders of this page that this version of the service cannot read."""
    next: Position | None = None
    """The place of the page's last order, readable or not; None on the last page."""


class OrderRepository(Protocol):
    """Stores orders: one order, one document, one write.

    Every method raises `StoreUnavailable` if the store gives no answer in time. A write without an
    answer may have happened; `add` and `save` may then be repeated. A method that returns one order
    raises `UnreadableOrder` if a newer version of the service has stored it.

    When `add` or `save` returns, no failure of the store takes the write back. The other methods
    may show a write that failed and may still be undone. So a use case that reports something as
    done, and has not just stored it, reads it by `get_durable`.

    An `OrderState` is for reading only. It lacks the processed requests, up to 256, which no
    response shows. Never save an order made of it; to change an order, `get` it.
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
        """The order at this version or a later one, durable: no failure takes it back.

        Raises:
            OrderNotFound: If there is none.
            StoreUnavailable: If that version does not become durable in a short time.
        """
        ...

    async def save(self, order: Order) -> None:
        """Store a changed order with its new events, at the next version, or nothing.

        Events that are not relayed yet stay as they are; the new ones follow them.

        Raises:
            ConcurrentUpdate: If the stored order is not the one that was read: it has another
                version, or the same version by another write, after the first was undone.
        """
        ...

    async def get_state(self, order_id: OrderId) -> OrderState:
        """The order as last stored, to read only.

        Raises:
            OrderNotFound: If there is none.
        """
        ...

    async def find_by_number(self, tenant: str, number: str) -> OrderState:
        """The order with this number, to read only.

        Raises:
            OrderNotFound: If the tenant has none.
        """
        ...

    async def list(
        self, where: OrderFilter, *, newest_first: bool, after: Position | None, limit: int
    ) -> OrderPage:
        """At most `limit` orders by time of creation and id, after a position, to read only.

        An order that was stored before the first page was read is on exactly one page. If it cannot
        be read, the page names it.
        """
        ...

    async def list_changed(
        self,
        where: OrderFilter,
        *,
        updated_from: datetime | None,
        after: Position | None,
        limit: int,
    ) -> OrderPage:
        """At most `limit` orders by `updated_at` and id, the earliest first, to read only.

        It has those that changed at `updated_from` or later, after a position whose time is an
        `updated_at`. An order that no one changes is on exactly one page; one that changes
        meanwhile is there again, with its new state. If it cannot be read, the page names it.
        A change is found as soon as `add` or `save` has returned; one with an earlier time may
        still come: see `orders.application.read_orders`.
        """
        ...

    async def claim_scheduled(
        self, *, now: datetime, lease: timedelta, limit: int
    ) -> Sequence[OrderId]:
        """At most `limit` orders whose `next_action_at` has come, each claimed for `lease`.

        No other claim gets them before the lease is over. A claim changes no version. Saving an
        order ends its claim.
        """
        ...


@dataclass(frozen=True, slots=True)
class ListedPrice:
    """A price with its tax rate, a decimal such as "0.19" without zeros at the end."""

    amount: int
    """In minor units: without the tax, or with it if `includes_tax`."""
    tax_rate: str | None = None
    includes_tax: bool = False


class PriceList(Protocol):
    """The catalogue's prices."""

    async def prices(self, skus: Sequence[str], currency: str) -> Mapping[str, int | ListedPrice]:
        """Prices by SKU: minor units, or a `ListedPrice` where the tax rate is known.

        A SKU without a price is left out. The prices of one order that have a rate must all
        include their tax, or none.

        Raises:
            PricesUnavailable: If the catalogue gives no answer in time.
        """
        ...


class TokenVerifier(Protocol):
    """Verifies access tokens."""

    async def verify(self, token: str) -> Caller:
        """The caller that a valid token names.

        Raises:
            InvalidToken: If the token is not valid, for any reason.
            KeysUnavailable: If no signing key is known yet.
        """
        ...
