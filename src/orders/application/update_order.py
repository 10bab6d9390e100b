"""The one compare-and-swap loop: every change of a stored order goes through it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from orders.application.errors import ConcurrentUpdate
from orders.application.ports import OrderRepository
from orders.domain.events import RecordedEvent
from orders.domain.identifiers import OrderId
from orders.domain.order.order import Order
from orders.domain.order.storing import stored_state

TRIES = 10
"""How many lost races in a row end an update."""

T = TypeVar("T")


class Updated(NamedTuple, Generic[T]):
    """A stored order, what the decision returned, and the operations that the decision reserved."""

    order: Order
    outcome: T
    reserved: Sequence[str]
    """The keys of the payment operations that are new in the order."""
    events: Sequence[RecordedEvent]
    """The events that were stored with it."""


async def update_order(
    orders: OrderRepository,
    order_id: OrderId,
    decide: Callable[[Order], T],
    *,
    durable: Order | None = None,
    admit: Callable[[Order], Awaitable[None]] | None = None,
    tries: int = TRIES,
) -> Updated[T]:
    """Read an order, let `decide` change it, and save it. A lost race starts again from the read.

    The returned order is durable: either this call saved it, or `decide` changed nothing on a
    version that no failure of the store takes back. `decide` may run several times, on several
    versions of the order; what it raises ends the update. So does what `admit` raises, which is
    called with the changed order before each save. `durable` is the order to start with, if the
    caller has it and knows that its version is durable.

    Raises:
        OrderNotFound: If there is no such order.
        ConcurrentUpdate: If others changed the order between read and save, `tries` times in a row.
        StoreUnavailable: If the store gives no answer, or cannot make the version durable.
    """
    order, is_durable = durable, durable is not None
    for _ in range(tries):
        if order is None:
            order = await orders.get(order_id)
        outcome = decide(order)
        if not order.is_changed and not is_durable:
            # Nothing will be saved, so the version that was read may still be lost.
            order = await orders.get_durable(order_id, at_least=order.version)
            outcome = decide(order)
        if not order.is_changed:
            return Updated(order, outcome, (), ())
        if admit is not None:
            await admit(order)
        events = order.new_events
        reserved = order.state.ledger.operations_since(stored_state(order).ledger)
        try:
            await orders.save(order)
        except ConcurrentUpdate:
            order, is_durable = None, False
        else:
            return Updated(order, outcome, reserved, events)
    raise ConcurrentUpdate
