"""The other side of the network: in-memory adapters behind it, and the ports that lead there."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from orders.adapters.in_memory import InMemoryOrders, InMemoryPayments, InMemoryPublisher
from orders.application.errors import (
    PaymentUnavailable,
    PublisherUnavailable,
    StoreUnavailable,
)
from orders.application.ordered_publishing import publish_in_order
from orders.application.ports import Clock, LoggedEvent, Published
from orders.domain.events import RecordedEvent
from orders.domain.identifiers import OrderId
from orders.domain.money import Money
from orders.domain.order.order import Order
from orders.domain.order.storing import mark_stored, write_token
from orders.domain.payments import DisputeStatus, PaymentReport, ProviderStatus
from orders.domain.state import OrderState
from tests.simulation.world import Link, NoAnswer, Process

STORE_SECONDS = 2.0
PAYMENT_SECONDS = 8.0
BROKER_SECONDS = 5.0


class WatchedOrders(InMemoryOrders):
    """The store, with every state it ever held and the events written with each.

    What was undone is not among them: no majority ever had it. `before_write` may see to that.
    """

    def __init__(self, before_write: Callable[[], None]) -> None:
        super().__init__()
        self._before_write = before_write
        self.written: dict[OrderId, list[tuple[OrderState, tuple[RecordedEvent, ...]]]] = {}
        self._written_durably = self.written

    def lose_majority(self) -> None:
        """Let what is written from now on reach nobody else."""
        super().lose_majority()
        self._written_durably = {order_id: [*each] for order_id, each in self.written.items()}

    def regain_majority(self, *, undone: bool) -> None:
        """Be followed again, with what was written since, or without it."""
        super().regain_majority(undone=undone)
        if undone:
            self.written = self._written_durably

    async def add(self, order: Order) -> None:
        """Store a new order with its events, at version 1, or nothing."""
        self._before_write()
        await super().add(order)

    async def save(self, order: Order) -> None:
        """Store a changed order with its new events, at the next version, or nothing."""
        self._before_write()
        await super().save(order)

    def _keep(self, order: Order, *, version: int) -> None:
        news = order.new_events
        try:
            super()._keep(order, version=version)
        finally:
            self.written.setdefault(order.id, []).append((self._kept[order.id].state, news))

    def idle(self) -> bool:
        """Whether time asks for nothing and no event waits."""
        return all(kept.state.next_action_at is None and not kept.outbox for kept in self._all())

    def latest(self) -> dict[OrderId, OrderState]:
        """Every order as it is stored."""
        return {order_id: kept.state for order_id, kept in self._kept.items()}


class WatchedPayments(InMemoryPayments):
    """The payment service; it tells what changed in its books, as webhooks do."""

    def __init__(self, tell: Callable[[PaymentReport, str, bool], None]) -> None:
        super().__init__()
        self._tell = tell
        self._told: dict[str, PaymentReport] = {}
        self._methods: dict[str, str] = {}
        self._befallen: dict[str, int] = {}

    async def authorize(
        self, *, reference: str, amount: Money, method: str, capture: bool
    ) -> PaymentReport:
        """Authorise an amount, and remember what will befall the payment."""
        self._methods.setdefault(reference, method)
        return await super().authorize(
            reference=reference, amount=amount, method=method, capture=capture
        )

    def befall(self) -> None:
        """Let happen what nobody asked for: it is always told, as nobody would ask about it."""
        for reference, (report, _) in self.books().items():
            done = self._befallen.get(reference, 0)
            if kind := self._befall(reference, report, done):
                self._befallen[reference] = done + 1
                self._told[reference] = self.books()[reference][0]
                self._tell(self._told[reference], kind, True)

    def _befall(self, reference: str, report: PaymentReport, done: int) -> str:
        kept = report.captured - report.refunded
        match self._methods[reference], done:
            case "tok_authorization_expires", 0 if report.status is ProviderStatus.AUTHORIZED:
                self.lapse(reference)
                return "voided"
            case "tok_refunded_elsewhere", 0 if kept > 0:
                self.refund_elsewhere(reference, kept)
                return "refunded"
            case "tok_refund_fails_late", 0 if report.refunded:
                self.fail_refunds(reference)
                return "refund_failed"
            case ("tok_disputed" | "tok_disputed_won", 0) if kept > 0:
                self.dispute(reference, kept)
                return "dispute_opened"
            case "tok_disputed_won", 1:
                self.dispute(reference, report.disputes[0].amount, DisputeStatus.WON)
                return "dispute_closed"
            case _:
                return ""

    def books(self) -> dict[str, tuple[PaymentReport, int]]:
        """By reference: what the service says of each payment, and what it still holds of it."""
        return {name: (each.report, each.capturable) for name, each in self._accounts.items()}

    def tell_news(self) -> None:
        """Send a webhook for each payment that has changed since the last one."""
        for reference, account in self._accounts.items():
            before, report = self._told.get(reference), account.report
            if report == before:
                continue
            self._told[reference] = report
            refunded = before is not None and report.refunded > before.refunded
            self._tell(report, "refunded" if refunded else report.status.value, False)

    def decide_all(self) -> None:
        """Let what is still pending succeed."""
        for reference, (report, _) in self.books().items():
            if report.status in {"pending", "requires_action"}:
                self.decide(reference)
        self.tell_news()


class WatchedBroker(InMemoryPublisher):
    """The broker; it remembers when it first got each event."""

    def __init__(self, now: Clock) -> None:
        super().__init__()
        self._now = now
        self.arrived_at: dict[str, datetime] = {}

    async def send(self, event: LoggedEvent) -> None:
        """Keep the event, and when it came."""
        await super().send(event)
        self.arrived_at.setdefault(event.id, self._now())


class Remote:
    """A port whose calls cross the network, from one process. A call may be its last."""

    def __init__(self, process: Process, link: Link, target: Any, *, within_seconds: float) -> None:
        self._process = process
        self._link = link
        self._target = target
        self._within_seconds = within_seconds

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._target, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            return await self._ask(name, lambda: method(*args, **kwargs))

        return call

    async def _ask(self, name: str, serve: Callable[[], Any]) -> Any:
        process, world = self._process, self._process.world
        await process.perhaps_die()
        if world.happens(world.crash_share):
            # It is sent, and arrives, whatever becomes of the sender.
            world.loop.call_soon(lambda: process.kill(back_after=1.0))
        world.note(process.name, name)
        answer = await world.ask(self._link, serve, within_seconds=self._within_seconds)
        await process.perhaps_die()
        await process.perhaps_stall()
        return answer


class RemoteStore(Remote):
    """`OrderRepository`, `EventOutbox` or `EventLog` across the network."""

    async def add(self, order: Order) -> None:
        """Send a copy, as a driver does: what was sent does not change with its sender."""
        await self._write("add", order)

    async def save(self, order: Order) -> None:
        """Send a copy; the order is marked once the store has answered."""
        await self._write("save", order)

    async def _write(self, name: str, order: Order) -> None:
        write, sent = getattr(self._target, name), copy.copy(order)
        await self._ask(name, lambda: write(sent))
        mark_stored(order, sent.version, write_token=write_token(sent))

    async def _ask(self, name: str, serve: Callable[[], Any]) -> Any:
        try:
            return await super()._ask(name, serve)
        except NoAnswer:
            raise StoreUnavailable("no answer in time") from None


class RemotePayments(Remote):
    """`PaymentGateway` across the network."""

    async def _ask(self, name: str, serve: Callable[[], Any]) -> Any:
        async def serve_and_tell() -> Any:
            try:
                return await serve()
            finally:
                self._target.tell_news()

        try:
            return await super()._ask(name, serve_and_tell)
        except NoAnswer:
            raise PaymentUnavailable("no answer in time") from None


class RemoteBroker(Remote):
    """`EventPublisher` across the network, sending by the rules that every broker is sent by."""

    async def publish(self, events: Sequence[LoggedEvent]) -> Published:
        """Send events, each order's in the order given."""
        return await publish_in_order(events, self, within_seconds=BROKER_SECONDS * 2)

    async def prepare(self) -> bool:
        """Be able to send."""
        return True

    async def ready(self) -> None:
        """Be able to send."""

    async def send(self, event: LoggedEvent) -> None:
        """Return once the broker has confirmed the event."""
        await self._ask("send", lambda: self._target.send(event))

    async def _ask(self, name: str, serve: Callable[[], Any]) -> Any:
        try:
            return await super()._ask(name, serve)
        except NoAnswer:
            raise PublisherUnavailable("no confirm in time") from None
