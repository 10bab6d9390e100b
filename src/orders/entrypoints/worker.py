"""The worker: processes scheduled work and relays events. Any number of workers may run."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress

from orders.application.errors import ApplicationError
from orders.application.ports import EventLog
from orders.application.process_scheduled_work import ProcessScheduledWork
from orders.application.publisher_queue import PublisherQueue, Relayed
from orders.application.relay_events import RelayEvents
from orders.domain.identifiers import OrderId
from orders.entrypoints.container import Container, opened
from orders.entrypoints.observability import metrics
from orders.entrypoints.observability.backlog_gauges import BacklogGauges
from orders.entrypoints.observability.metrics_server import metrics_of_this_process
from orders.entrypoints.observability.span_exporter import recording_spans
from orders.entrypoints.observability.spans import due_work
from orders.entrypoints.observability.unreadable import tell_unreadable_events
from orders.entrypoints.settings.table import Settings

BATCH = 32
"""How many orders with due work are claimed at once."""
RELAY_BATCH = 128
"""How many orders with waiting events are claimed at once."""
PAUSE_SECONDS = 0.25
"""The pause after a call that found nothing to do."""
QUEUE_SECONDS = 0.5
"""The same, for the events that wait for one publisher alone."""
TROUBLE_SECONDS = 2.0
"""The pause after a call that failed, as the database did not answer."""
WATCH_SECONDS = 5.0
"""The pause between two measurements of the backlog."""

_log = logging.getLogger(__name__)


async def run(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT, finish the work in progress, and return."""
    with metrics_of_this_process(settings.host, settings.metrics_port):
        await _work(settings)


async def _work(settings: Settings) -> None:
    container = Container(settings=settings)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with (
        recording_spans(settings),
        opened(container),
        metrics.sampled(container.gauges()),
        asyncio.TaskGroup() as tasks,
    ):
        due, relay = container.process_scheduled_work(), container.relay_events()
        # The log is read for the causes of due work only if spans are recorded.
        log = container.log() if settings.otlp_endpoint else None
        tasks.create_task(_repeat(lambda: _due_work(due, log), stop))
        start_relaying(tasks, relay, stop)
        tasks.create_task(_watch(container.backlog_gauges(), stop))


def start_relaying(tasks: asyncio.TaskGroup, relay: RelayEvents, stop: asyncio.Event) -> None:
    """Relay until `stop`. The publishers' queues go on until the relay has ended: it fills them."""
    is_over = asyncio.Event()
    tasks.create_task(_relay_all(relay, stop, is_over))
    for queue in relay.queues:
        tasks.create_task(_send_to(queue, is_over))


async def _due_work(due: ProcessScheduledWork, log: EventLog | None) -> int:
    claimed = await due.claim(limit=BATCH)
    # One after another, a slow payment would delay all others.
    await asyncio.gather(*(_in_a_trace(due, each, log) for each in claimed))
    metrics.DUE_WORK.inc(len(claimed))
    return len(claimed)


async def _in_a_trace(due: ProcessScheduledWork, order_id: OrderId, log: EventLog | None) -> None:
    cause = None if log is None else await log.cause_of(order_id)
    with due_work(cause, {"orders.order_id": str(order_id)}):
        await due(order_id)


async def _relay_all(relay: RelayEvents, stop: asyncio.Event, is_over: asyncio.Event) -> None:
    await _repeat(lambda: _relay(relay), stop)
    is_over.set()


async def _relay(relay: RelayEvents) -> int:
    relayed = await relay(limit=RELAY_BATCH)
    metrics.RELAYED.inc(relayed.events)
    _report(relayed)
    return relayed.events


async def _send_to(queue: PublisherQueue, stop: asyncio.Event) -> None:
    """Send what waits for one publisher alone, until the relay has ended."""
    metrics.PUBLISHED.labels(queue.name)  # A rate is seen from a count that was there before.
    try:
        await _repeat(lambda: _send_waiting(queue), stop, QUEUE_SECONDS)
        with suppress(ApplicationError):  # Then the events are sent again after their lease.
            await queue.finish()
    finally:
        queue.cancel()


async def _send_waiting(queue: PublisherQueue) -> int:
    relayed = await queue.send_waiting(limit=RELAY_BATCH)
    _report(relayed)
    metrics.PUBLISHER_AWAY.labels(queue.name).set(queue.is_unreachable)
    return relayed.events


def _report(relayed: Relayed) -> None:
    for publisher, events in relayed.published.items():
        metrics.PUBLISHED.labels(publisher).inc(events)
    metrics.PARKED.inc(len(relayed.parked))
    for order_id in relayed.parked:
        _log.error("the events of order %s are parked: see `orders outbox list`", order_id)
    tell_unreadable_events(relayed.unreadable)


async def _watch(gauges: BacklogGauges, stop: asyncio.Event) -> None:
    while not stop.is_set():
        await gauges.publish()
        await _pause(stop, WATCH_SECONDS)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


async def _repeat(
    work: Callable[[], Awaitable[int]], stop: asyncio.Event, idle_seconds: float = PAUSE_SECONDS
) -> None:
    """Work until `stop`: at once while there is work, else after a pause."""
    while not stop.is_set():
        try:
            pause = 0.0 if await work() else idle_seconds
        except ApplicationError as trouble:
            _log.warning("%s; trying again: %s", trouble.code, trouble)
            pause = TROUBLE_SECONDS
        await _pause(stop, pause)
