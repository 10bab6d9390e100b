"""The processes of the service, each with use cases of its own over the same other side."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar

from orders.adapters.in_memory import InMemoryEventLog, StaticPriceList
from orders.adapters.in_memory.rate_limits import InMemoryRateLimiter
from orders.adapters.payment_service.webhooks import WebhookVerifier
from orders.application.change_order import ChangeOrder
from orders.application.decline_limit import DeclineLimit
from orders.application.draft_pricer import DraftPricer
from orders.application.errors import ApplicationError, StoreUnavailable
from orders.application.execute_payment_operations import ExecutePaymentOperations
from orders.application.place_order import PlaceOrder, TimeToPay
from orders.application.process_scheduled_work import ProcessScheduledWork
from orders.application.record_payment_event import RecordPaymentEvent
from orders.application.relay_events import RelayEvents
from orders.domain.errors import OrderError, PartNotFound
from orders.domain.payments import PaymentReport, order_of_reference
from orders.domain.validation import OrderLimits
from tests.simulation.remote import (
    BROKER_SECONDS,
    PAYMENT_SECONDS,
    STORE_SECONDS,
    RemoteBroker,
    RemotePayments,
    RemoteStore,
    WatchedBroker,
    WatchedOrders,
    WatchedPayments,
)
from tests.simulation.world import BROKERS, Link, NoAnswer, Process, World, settle
from tests.support.shop import PRICES, WEBHOOK_SECRET, a_webhook

T = TypeVar("T")

REQUEST_SECONDS = 12.0
SPLIT_SECONDS = 20.0
"""How long the store's primary may be on its own."""
TURN_SECONDS = (0.5, 4.0)
"""Between two looks of a worker or a relay."""


class Outside:
    """What all processes share: the store, the payment service, the broker."""

    def __init__(self, world: World, *, expire_after: timedelta, webhooks_lost: float) -> None:
        self.world = world
        self.expire_after = expire_after
        self.webhooks_lost = webhooks_lost
        """The share of webhooks that the payment service never gets to send."""
        self.orders = WatchedOrders(self._perhaps_split_store)
        self.log = InMemoryEventLog()
        self.brokers = {link: WatchedBroker(world.now) for link in BROKERS}
        self.provider = WatchedPayments(self._tell)
        self.apis: list[Api] = []
        self.webhooks: dict[asyncio.Task[None], None] = {}
        self.forgotten: list[str] = []
        """What the payment service was told is booked, and is not."""
        self.split = False
        self._messages = 0

    def _perhaps_split_store(self) -> None:
        """At times, cut the store's primary off from the servers that follow it, for a while."""
        if self.split or not self.world.happens(self.world.split_share):
            return
        self.world.note("store", "has no majority")
        self.split = True
        self.orders.lose_majority()
        self.log.lose_majority()
        self.world.loop.call_later(self.world.chance.uniform(0.0, SPLIT_SECONDS), self.join_store)

    def join_store(self) -> None:
        """Have the primary followed again, or another that has nothing of what came since."""
        if not self.split:
            return
        undone = self.world.happens(0.5)
        self.world.note("store", "undoes what no majority had" if undone else "has a majority")
        self.split = False
        self.orders.regain_majority(undone=undone)
        self.log.regain_majority(undone=undone)

    def _tell(self, report: PaymentReport, kind: str, is_certain: bool) -> None:
        if not is_certain and self.world.happens(self.webhooks_lost):
            return
        self._messages += 1
        task = self.world.loop.create_task(self._courier(report, kind, f"msg_{self._messages}"))
        self.webhooks[task] = None
        task.add_done_callback(lambda done: self.webhooks.pop(done, None))

    async def _courier(self, report: PaymentReport, kind: str, message_id: str) -> None:
        """Send a message again until it is taken."""
        while True:
            at = int(self.world.now().timestamp())
            message = a_webhook(report, kind, at=at, message_id=message_id)
            try:
                api = self.world.chance.choice(self.apis)
                await api.request(Link.WEBHOOKS, _booking(message))
            except (NoAnswer, ApplicationError):
                await self.world.pause(1.0, 10.0)
            else:
                await self._require_booked(report)
                return

    async def _require_booked(self, report: PaymentReport) -> None:
        """What a majority has must say all that a message said, once that was taken."""
        order_id = order_of_reference(report.reference)
        assert order_id is not None
        payment_id = report.reference.rpartition(":")[2]
        try:
            order = await self.orders.get_durable(order_id)
            order.record_payment_report(
                report, payment_id, charged_back=False, now=self.world.now()
            )
        except StoreUnavailable:
            self.forgotten.append(report.reference)
        except PartNotFound:
            return  # It was told that this is no payment of ours.
        else:
            if order.is_changed:
                self.forgotten.append(report.reference)


class UseCases(NamedTuple):
    """The use cases of one process, wired as the container does."""

    place_order: PlaceOrder
    change_order: ChangeOrder
    record_payment_event: RecordPaymentEvent
    process_scheduled_work: ProcessScheduledWork
    relay_events: RelayEvents


def use_cases(process: Process, outside: Outside) -> UseCases:
    """Wire the use cases of a process that has just started."""
    world = process.world
    orders = RemoteStore(process, Link.STORE, outside.orders, within_seconds=STORE_SECONDS)
    log = RemoteStore(process, Link.STORE, outside.log, within_seconds=STORE_SECONDS)
    publishers = {
        link.value: RemoteBroker(process, link, broker, within_seconds=BROKER_SECONDS)
        for link, broker in outside.brokers.items()
    }
    payments = RemotePayments(
        process, Link.PAYMENTS, outside.provider, within_seconds=PAYMENT_SECONDS
    )
    orders_port: Any = orders
    payments_port: Any = payments
    log_port: Any = log
    declines = DeclineLimit(InMemoryRateLimiter(), 0)
    execute_payment_operations = ExecutePaymentOperations(
        orders_port, payments_port, world.now, declines
    )
    price = DraftPricer(StaticPriceList(PRICES), OrderLimits())
    return UseCases(
        place_order=PlaceOrder(
            orders_port,
            execute_payment_operations,
            price,
            world.now,
            lambda: world.chance.getrandbits(64),
            OrderLimits(),
            TimeToPay(default=outside.expire_after, most=outside.expire_after),
            declines,
        ),
        change_order=ChangeOrder(orders_port, execute_payment_operations, world.now, declines),
        record_payment_event=RecordPaymentEvent(
            orders_port, payments_port, WebhookVerifier([WEBHOOK_SECRET]), world.now, declines
        ),
        process_scheduled_work=ProcessScheduledWork(
            orders_port, execute_payment_operations, world.now
        ),
        relay_events=RelayEvents(orders_port, log_port, publishers, world.now),
    )


class Api(Process):
    """Answers requests, many at a time."""

    def __init__(self, name: str, outside: Outside) -> None:
        super().__init__(name, outside.world)
        self._outside = outside
        self.start()

    def start(self) -> None:
        """Begin, remembering nothing."""
        super().start()
        self._use_cases = use_cases(self, self._outside)

    async def request(self, link: Link, handle: Callable[[UseCases], Awaitable[T]]) -> T:
        """Send a request to this process from outside.

        Raises:
            NoAnswer: If it, its answer or the process was lost.
        """
        answer: asyncio.Future[T] = self.world.loop.create_future()

        async def serve() -> None:
            reply: T | Exception
            try:
                reply = await handle(self._use_cases)
            except (ApplicationError, OrderError) as refusal:
                reply = refusal
            self.world.carry(link, lambda: settle(answer, reply))

        def arrive() -> None:
            if self.alive:
                self.spawn(serve())

        self.world.carry(link, arrive)
        return await self.world.answer_to(answer, REQUEST_SECONDS)


class Background(Process):
    """Takes turns for as long as it lives: a worker or a relay."""

    def __init__(
        self, name: str, outside: Outside, turn: Callable[[UseCases], Awaitable[None]]
    ) -> None:
        super().__init__(name, outside.world)
        self._outside = outside
        self._turn = turn
        self.start()

    def start(self) -> None:
        """Begin, remembering nothing."""
        super().start()
        self.spawn(self._repeat(use_cases(self, self._outside)))

    async def _repeat(self, use: UseCases) -> None:
        while True:
            await self.world.pause(*TURN_SECONDS)
            try:
                await self._turn(use)
            except ApplicationError as trouble:
                self.world.note(self.name, trouble.code)


def _booking(message: tuple[dict[str, str], bytes]) -> Callable[[UseCases], Awaitable[bool]]:
    return lambda use: use.record_payment_event(*message)


async def work(use: UseCases) -> None:
    """A worker's turn: what is due, side by side."""
    claimed = await use.process_scheduled_work.claim(limit=32)
    await asyncio.gather(*(use.process_scheduled_work(order_id) for order_id in claimed))


async def relay(use: UseCases) -> None:
    """A relay's turn: what is new, and what each publisher lacks, side by side as in a worker."""
    queues = use.relay_events.queues
    turns = [use.relay_events(limit=128), *(queue.send_waiting(limit=128) for queue in queues)]
    try:
        told = await asyncio.gather(*turns, return_exceptions=True)
        for queue in queues:
            await queue.finish()
    finally:
        for queue in queues:
            queue.cancel()
    for trouble in told:
        if isinstance(trouble, BaseException):
            raise trouble
