"""How many payments of one customer may be declined, over all their orders."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil

from orders.application.errors import TooManyCustomerDeclines
from orders.application.ports import RateLimiter, RatePolicy
from orders.domain.events import PaymentDeclined, RecordedEvent
from orders.domain.order.order import Order
from orders.domain.order.storing import stored_state
from orders.domain.payments import OperationKind
from orders.domain.state import OrderState


class DeclineLimit:
    """Counts the declined payments of each customer, and refuses further ones.

    `per_hour` may be declined in a burst, and then one more each time that an hour has passed for
    as many; 0 sets no limit. A decline is counted once, after it is stored, or not at all if the
    process ends before. Nobody is counted for a guest's order: its own limit holds.
    """

    def __init__(self, limiter: RateLimiter, per_hour: int) -> None:
        self._limiter = limiter
        self._policy = RatePolicy(per_second=per_hour / 3_600, burst=per_hour)

    async def admit(self, order: Order) -> None:
        """Return if the order starts no payment, or its customer may start one.

        Raises:
            TooManyCustomerDeclines: If too many of the customer's payments were declined.
        """
        key = self._key(order.state)
        if key is None or not _starts_payment(order):
            return
        admission = await self._limiter.peek(key, self._policy)
        if not admission.admitted:
            wait = max(1, ceil(admission.next_after_seconds))
            raise TooManyCustomerDeclines(retry_after_seconds=wait)

    async def count(self, state: OrderState, events: Iterable[RecordedEvent]) -> None:
        """Count the declines among events that were just stored."""
        key = self._key(state)
        if key is None:
            return
        for recorded in events:
            if isinstance(recorded.event, PaymentDeclined):
                await self._limiter.take(key, self._policy)

    def _key(self, state: OrderState) -> str | None:
        if state.customer_id is None or not self._policy.burst:
            return None
        return f"declines {len(state.tenant)} {state.tenant} {state.customer_id}"


def _starts_payment(order: Order) -> bool:
    before, now = stored_state(order).ledger, order.state.ledger
    if before is now:
        return False
    new = {*now.operations_since(before)}
    return any(each.kind is OperationKind.AUTHORIZE and each.key in new for each in now.operations)
