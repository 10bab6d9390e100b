"""Look after events that do not leave the outbox: list them, send them again, or drop them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta

from orders.application.access import Caller, Operation, require
from orders.application.ports import Clock, EventOutbox, ParkedEvents, Unreadable
from orders.application.publisher_queue import RELAY_LEASE
from orders.domain.identifiers import OrderId

PAGE = 100
"""How many orders are read at once, and listed at most."""
_AFTER_EVERY_CLAIM = timedelta(hours=1)
"""Later than any relay's claim lasts, and than any event is deferred."""


class NotDroppable(Exception):
    """The publisher is unknown, or still configured: its events may leave yet."""

    def __init__(self, publisher: str) -> None:
        super().__init__(f"{publisher} is unknown or still configured")
        self.publisher = publisher


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldUpEvents:
    """Events that wait for a person, or for a newer version of the service."""

    parked: Sequence[ParkedEvents]
    unreadable: Sequence[Unreadable]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResentEvents:
    """An order's parked events, which may be sent to a publisher again."""

    order_id: OrderId
    publisher: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DroppedEvents:
    """An order's events that a publisher will never get: those with these sequence numbers."""

    order_id: OrderId
    publisher: str
    first: int
    last: int

    @property
    def count(self) -> int:
        """How many they are."""
        return self.last - self.first + 1


class ManageOutbox:
    """What an operator does with the outbox, over all tenants. Each call may be repeated."""

    def __init__(
        self, outbox: EventOutbox, known: Sequence[str], configured: Collection[str], now: Clock
    ) -> None:
        """Take the publishers that the outbox knows, and those that events are sent to."""
        self._outbox = outbox
        self._known = known
        self._configured = configured
        self._now = now

    async def list(self, *, caller: Caller) -> HeldUpEvents:
        """Parked events, the longest parked first, and unreadable ones: of `PAGE` orders at most.

        Raises:
            Forbidden: If the caller is no operator.
        """
        require(caller, Operation.SEE_OUTBOX)
        return HeldUpEvents(
            parked=await self._outbox.parked(limit=PAGE),
            unreadable=await self._outbox.unreadable(limit=PAGE),
        )

    async def resend(
        self,
        *,
        order_id: OrderId | None = None,
        publisher: str | None = None,
        caller: Caller,
    ) -> AsyncIterator[ResentEvents]:
        """Let parked events be sent again: of one order or all, to one publisher or all.

        Gives each order as soon as that is stored.

        Raises:
            Forbidden: If the caller is no operator.
        """
        require(caller, Operation.RESEND_EVENTS)
        for name in self._known if publisher is None else (publisher,):
            resent = self._resend_all(name) if order_id is None else self._resend(order_id, name)
            async for each in resent:
                yield each

    async def drop(self, publisher: str, *, caller: Caller) -> AsyncIterator[DroppedEvents]:
        """Drop what waits for a publisher that is not configured any more.

        Gives each order just before its events are dropped, so that whoever records them has
        recorded no less than was dropped when the process dies. Nothing else drops an event: one
        waits until its publisher is configured again. Events that only a newer version can read are
        left to it.

        Raises:
            Forbidden: If the caller is no operator.
            NotDroppable: If the publisher is unknown or still configured.
        """
        require(caller, Operation.DROP_EVENTS)
        if publisher not in self._known or publisher in self._configured:
            raise NotDroppable(publisher)
        async for _ in self._resend_all(publisher):
            pass  # What is parked cannot be claimed.
        later = self._now() + _AFTER_EVERY_CLAIM
        while claimed := await self._outbox.claim_for(
            publisher, now=later, lease=RELAY_LEASE, limit=PAGE
        ):
            ready = [each for each in claimed if each.events]
            for each in ready:
                yield DroppedEvents(
                    order_id=each.order_id, publisher=publisher, first=each.first, last=each.last
                )
            await self._outbox.confirm(publisher, {each.order_id: each.last for each in ready})

    async def _resend_all(self, publisher: str) -> AsyncIterator[ResentEvents]:
        while page := await self._outbox.parked(limit=PAGE, publisher=publisher):
            for parked in page:
                async for each in self._resend(parked.order_id, publisher):
                    yield each

    async def _resend(self, order_id: OrderId, publisher: str) -> AsyncIterator[ResentEvents]:
        if await self._outbox.resend(order_id, publisher):
            yield ResentEvents(order_id=order_id, publisher=publisher)
