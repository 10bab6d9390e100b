"""The worker: does what time asks for, and relays events. Any number may run."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress

from orders.application.errors import ApplicationError
from orders.application.ports import EventLog
from orders.application.process_scheduled_work import ProcessScheduledWork
from orders.application.publisher_lane import PublisherLane, Relayed
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
"""Orders with due work claimed at once."""
RELAY_BATCH = 128
"""Orders with waiting events claimed at once."""
PAUSE_SECONDS = 0.25
"""Between looks while there is nothing to do."""
LANE_SECONDS = 0.5
"""Between looks at what waits for one publisher alone."""
TROUBLE_SECONDS = 2.0
"""Before the next try after something did not answer."""
WATCH_SECONDS = 5.0
"""Between looks at what waits."""

_log = logging.getLogger(__name__)


async def run(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT, then finish what is begun and return."""
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
    """Relay until told to stop. The lanes go on until no turn can leave them anything more."""
    is_over = asyncio.Event()
    tasks.create_task(_keep_relaying(relay, stop, is_over))
    for lane in relay.lanes:
        tasks.create_task(_keep_up(lane, is_over))


async def _due_work(due: ProcessScheduledWork, log: EventLog | None) -> int:
    claimed = await due.claim(limit=BATCH)
    # One at a time would let one slow payment hold up all others.
    await asyncio.gather(*(_in_a_trace(due, each, log) for each in claimed))
    metrics.count_due_work(len(claimed))
    return len(claimed)


async def _in_a_trace(due: ProcessScheduledWork, order_id: OrderId, log: EventLog | None) -> None:
    cause = None if log is None else await log.cause_of(order_id)
    with due_work(cause, {"orders.order_id": str(order_id)}):
        await due(order_id)


async def _keep_relaying(relay: RelayEvents, stop: asyncio.Event, is_over: asyncio.Event) -> None:
    await _repeat(lambda: _relay(relay), stop)
    is_over.set()


async def _relay(relay: RelayEvents) -> int:
    relayed = await relay(limit=RELAY_BATCH)
    metrics.RELAYED.inc(relayed.events)
    _tell(relayed)
    return relayed.events


async def _keep_up(lane: PublisherLane, stop: asyncio.Event) -> None:
    """Send what waits for one publisher alone, for as long as the worker relays."""
    metrics.PUBLISHED.labels(lane.name)  # A rate is seen from a count that was there before.
    try:
        await _repeat(lambda: _catch_up(lane), stop, LANE_SECONDS)
        with suppress(ApplicationError):  # What is not told is sent again after its lease.
            await lane.finish()
    finally:
        lane.abandon()


async def _catch_up(lane: PublisherLane) -> int:
    relayed = await lane.catch_up(limit=RELAY_BATCH)
    _tell(relayed)
    metrics.PUBLISHER_AWAY.labels(lane.name).set(lane.is_away)
    return relayed.events


def _tell(relayed: Relayed) -> None:
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
    turn: Callable[[], Awaitable[int]], stop: asyncio.Event, idle_seconds: float = PAUSE_SECONDS
) -> None:
    """Take turns until told to stop: at once while there is work, else after a pause."""
    while not stop.is_set():
        try:
            pause = 0.0 if await turn() else idle_seconds
        except ApplicationError as trouble:
            _log.warning("%s; trying again: %s", trouble.code, trouble)
            pause = TROUBLE_SECONDS
        await _pause(stop, pause)
