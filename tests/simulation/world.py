"""A world made of one seed: its time passes only when nothing is left to do at the moment, and
its network loses, delays, doubles and so reorders what it carries.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar

from orders.application.errors import ApplicationError
from orders.domain.errors import OrderError
from tests.support.orders import NOW

T = TypeVar("T")


class VirtualTime(asyncio.BaseEventLoop):
    """An asyncio event loop whose clock jumps to the next timer: no real time, no sockets."""

    def __init__(self) -> None:
        super().__init__()
        self._selector: Any = self
        self._seconds = 0.0

    def time(self) -> float:
        """Seconds since this world began."""
        return self._seconds

    def select(self, timeout: float | None) -> list[object]:
        """What the base class calls to wait: here waiting is all there is to time.

        Raises:
            RuntimeError: If nothing would ever happen again.
        """
        if timeout is None:
            raise RuntimeError("everyone waits, and nothing is under way")
        self._seconds += timeout
        return []

    def _process_events(self, event_list: list[object]) -> None:
        """Nothing comes from outside."""


class NoAnswer(Exception):
    """Whoever was asked did not answer in time; what was asked may happen all the same."""


class Link(StrEnum):
    """Where messages travel."""

    CLIENTS = "clients"
    STORE = "store"
    PAYMENTS = "payments"
    RABBITMQ = "rabbitmq"
    KAFKA = "kafka"
    WEBHOOKS = "webhooks"


BROKERS = (Link.RABBITMQ, Link.KAFKA)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """What becomes of a link's messages: shares of 1 that are lost, doubled or late.

    Others take up to `quick_seconds`, late ones up to `late_seconds`.
    """

    lost: float = 0.0
    doubled: float = 0.0
    late: float = 0.0
    quick_seconds: float = 0.2
    late_seconds: float = 40.0


CALM = Weather()


class World:
    """Time, chance, the network, and the story of what it carried."""

    def __init__(self, seed: int, loop: VirtualTime) -> None:
        self.chance = random.Random(seed)
        self.loop = loop
        self.weather: dict[Link, Weather] = dict.fromkeys(Link, CALM)
        self.crash_share = 0.0
        """Of all calls, those that their process does not live to see through."""
        self.stall_share = 0.0
        """Of all answers, those that their process is too busy to look at for a while."""
        self.split_share = 0.0
        """Of all writes of orders, those that are the first to reach no majority."""
        self.story: list[tuple[float, str, str]] = []
        self.faults: list[BaseException] = []
        """What use cases raised that is no refusal."""

    def now(self) -> datetime:
        """The `Clock` of every process."""
        return NOW + timedelta(milliseconds=int(self.loop.time() * 1_000))

    def note(self, who: str, what: str) -> None:
        """Add to the story."""
        self.story.append((self.loop.time(), who, what))

    def happens(self, share: float) -> bool:
        """Whether something happens that happens this often."""
        return share > 0 and self.chance.random() < share

    async def pause(self, least: float, most: float) -> None:
        """Let some seconds pass."""
        await asyncio.sleep(self.chance.uniform(least, most))

    def heal(self) -> None:
        """End all losses, delays, stalls, crashes and splits. What is late already still comes."""
        self.weather = dict.fromkeys(Link, CALM)
        self.crash_share = self.stall_share = self.split_share = 0.0

    def carry(self, link: Link, deliver: Callable[[], object]) -> None:
        """Take a message to the other side: never, once or twice, sooner or later."""
        weather = self.weather[link]
        if self.happens(weather.lost):
            return
        for _ in range(1 + self.happens(weather.doubled)):
            late = self.happens(weather.late)
            most = weather.late_seconds if late else weather.quick_seconds
            self.loop.call_later(self.chance.uniform(0, most), deliver)

    async def ask(
        self, link: Link, serve: Callable[[], Coroutine[Any, Any, T]], *, within_seconds: float
    ) -> T:
        """Have something done at once on the other side, and wait for its answer.

        Raises:
            NoAnswer: If none came in time.
        """
        answer: asyncio.Future[T] = self.loop.create_future()

        def arrive() -> None:
            reply = _reply(serve())
            self.carry(link, lambda: settle(answer, reply))

        self.carry(link, arrive)
        return await self.answer_to(answer, within_seconds)

    async def answer_to(self, answer: asyncio.Future[T], within_seconds: float) -> T:
        """Wait for an answer.

        Raises:
            NoAnswer: If none came in time.
        """
        given_up = self.loop.call_later(within_seconds, settle, answer, NoAnswer())
        try:
            return await answer
        finally:
            given_up.cancel()


class Process:
    """Something that runs tasks until it is killed, and starts anew without its memory."""

    def __init__(self, name: str, world: World) -> None:
        self.name = name
        self.world = world
        self.alive = False
        self._tasks: dict[asyncio.Task[Any], None] = {}

    def start(self) -> None:
        """Begin. Subclasses build what lives in memory."""
        self.alive = True

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something for as long as this process lives."""
        task = self.world.loop.create_task(work)
        self._tasks[task] = None
        task.add_done_callback(self._ended)

    def kill(self, *, back_after: float) -> None:
        """End every task at the point where it waits; start anew some seconds later."""
        if not self.alive:
            return
        self.world.note(self.name, "dies")
        self.alive = False
        for task in [*self._tasks]:
            task.cancel()
        self.world.loop.call_later(back_after, self.start)

    async def perhaps_die(self) -> None:
        """A moment between two awaits at which this process may end."""
        if self.world.happens(self.world.crash_share):
            self.kill(back_after=self.world.chance.uniform(0.1, 5.0))
            # Whoever asks is cancelled with all others: it never goes on from here.
            await self.world.loop.create_future()

    async def perhaps_stall(self) -> None:
        """A moment at which everyone else may go on long enough for a lease to end."""
        if self.world.happens(self.world.stall_share):
            self.world.note(self.name, "stalls")
            await self.world.pause(10.0, 40.0)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled() and (fault := task.exception()) is not None:
            self.world.faults.append(fault)


def settle(answer: asyncio.Future[T], reply: T | Exception) -> None:
    """Give an answer to whoever still waits for it; further answers change nothing."""
    if answer.done():
        return
    if isinstance(reply, Exception):
        answer.set_exception(reply)
    else:
        answer.set_result(reply)


def _at_once(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never waits."""
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise RuntimeError("it waited")


def _reply(work: Coroutine[Any, Any, T]) -> T | Exception:
    try:
        return _at_once(work)
    except (ApplicationError, OrderError) as refusal:
        return refusal
