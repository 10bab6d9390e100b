"""Admission control: a bounded number of requests run, a few wait up to 0.4 s, the rest get 503.

A request needs a slot to run, and waits in a queue for it. Once the CPU or the database is busy,
more concurrent requests only slow each other down.

Overload starts when a queue has not been empty for 0.4 s. The time decides, not the number of
waiting requests, so that a short burst is served (controlled delay: RFC 8289, and B. Maurer, Fail
at Scale, 2015). Overload also starts when a request comes while `max_requests` requests run or
wait.

Under overload the service refuses every request in the queue that has waited 20 ms or longer. It
refuses a new request at once if the oldest one in the queue has waited 10 ms, or if as many
requests wait as there are slots. Overload ends 1 s after the last refusal.

Lists are the most expensive and the least urgent requests. They have a separate queue, which is
served when the other one is empty. Lists may use 60 % of the slots (at least 1), and a list is
refused when 60 % of `max_requests` requests run or wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Final, NamedTuple, Self

MAX_QUEUE_SECONDS: Final = 0.4
"""The longest wait for a slot. A queue that has not been empty for this time is overloaded."""
MAX_QUEUE_SECONDS_OVERLOADED: Final = 0.02
"""The longest wait for a slot under overload."""
RECOVERY_SECONDS: Final = 1.0
"""The time without a refusal after which overload ends."""
LIST_SHARE: Final = 0.6
"""The share of the slots that lists may use (at least 1), and of `max_requests` at which they are
refused. The rest stays free for commands and reads of one order.
"""


class QueueEntry(NamedTuple):
    """One request that waits for a slot."""

    queued_at: float
    admitted: asyncio.Future[bool]


class _Queue:
    """The waiting requests of one kind, and whether that kind is overloaded."""

    def __init__(self) -> None:
        self.entries: deque[QueueEntry] = deque()
        self._nonempty_since = 0.0
        self._last_refusal_at = float("-inf")
        self._is_overloaded = False

    def append(self, now: float) -> QueueEntry:
        """Add an entry at the end."""
        if not self.entries:
            self._nonempty_since = now
        entry = QueueEntry(now, asyncio.get_running_loop().create_future())
        self.entries.append(entry)
        return entry

    def record_refusal(self, now: float, *, starts_overload: bool = False) -> None:
        """A request was refused, which prolongs overload or starts it."""
        self._last_refusal_at = now
        self._is_overloaded |= starts_overload

    def is_overloaded(self, now: float) -> bool:
        """Whether there is more to do than can be done in time."""
        if self._is_overloaded:
            if now - self._last_refusal_at >= RECOVERY_SECONDS:
                self._is_overloaded = False
                self._nonempty_since = now
        elif self.entries and now - self._nonempty_since >= MAX_QUEUE_SECONDS:
            self._is_overloaded = True
            self._last_refusal_at = now
        return self._is_overloaded

    def refuse_older_than(self, seconds: float, now: float) -> None:
        """Refuse the requests that have waited for `seconds`."""
        while self.entries and now - self.entries[0].queued_at >= seconds:
            entry = self.entries.popleft()
            if not entry.admitted.done():
                entry.admitted.set_result(False)
                self.record_refusal(now)


class AdmissionQueue:
    """Admits requests to `slots` slots; at most `max_requests` requests run or wait.

    Belongs to one event loop.
    """

    def __init__(self, slots: int, max_requests: int) -> None:
        self._slots = slots
        self._list_slots = max(1, int(slots * LIST_SHARE))
        self._max_requests = max(slots, max_requests)
        self._max_requests_for_lists = max(1, int(max_requests * LIST_SHARE))
        self._running = 0
        self._running_lists = 0
        self._queue = _Queue()  # of everything but lists
        self._list_queue = _Queue()
        self._timer: asyncio.TimerHandle | None = None  # while a request waits

    def has_capacity(self) -> bool:
        """Whether no request waits, and a new one, even a list, would not be refused."""
        return not self._waiting() and self._running < self._max_requests_for_lists

    def is_overloaded(self, *, is_list: bool = False) -> bool:
        """Whether a new request may wait for `MAX_QUEUE_SECONDS_OVERLOADED` only."""
        now = asyncio.get_running_loop().time()
        return any(queue.is_overloaded(now) for queue in self._queues_ahead(is_list=is_list))

    def refuses(self, *, is_list: bool) -> bool:
        """Whether a new request is refused at once; if so, the refusal is recorded."""
        limit = self._max_requests_for_lists if is_list else self._max_requests
        is_full = self._running + self._waiting() >= limit
        if not is_full and not self._would_wait_too_long(is_list=is_list):
            return False
        queue = self._list_queue if is_list else self._queue
        queue.record_refusal(asyncio.get_running_loop().time(), starts_overload=is_full)
        return True

    async def acquire(self, *, is_list: bool) -> bool:
        """Wait for a slot; False if the request is refused. The caller must `release` the slot."""
        has_capacity = self.has_capacity()
        if not has_capacity and self.refuses(is_list=is_list):
            return False
        is_next = has_capacity or not any(
            queue.entries for queue in self._queues_ahead(is_list=is_list)
        )
        if is_next and self._has_free_slot(is_list=is_list):
            self.occupy(is_list=is_list)
            return True
        return await self._wait(is_list=is_list)

    def occupy(self, *, is_list: bool) -> None:
        """Take a slot without waiting, even if none is free: for a request that already ran."""
        self._running += 1
        self._running_lists += is_list

    def release(self, *, is_list: bool) -> None:
        """Free a slot, and admit the next waiting request."""
        self._running -= 1
        self._running_lists -= is_list
        if self._waiting():
            self._admit_from(self._queue, is_list=False)
            if not self._queue.entries:
                self._admit_from(self._list_queue, is_list=True)

    async def _wait(self, *, is_list: bool) -> bool:
        loop = asyncio.get_running_loop()
        entry = (self._list_queue if is_list else self._queue).append(loop.time())
        if self._timer is None:
            self._start_timer()
        try:
            return await entry.admitted
        except asyncio.CancelledError:
            admitted = entry.admitted
            if admitted.done() and not admitted.cancelled() and admitted.result():
                self.release(is_list=is_list)
            raise

    def _admit_from(self, queue: _Queue, *, is_list: bool) -> None:
        while queue.entries and self._has_free_slot(is_list=is_list):
            entry = queue.entries.popleft()
            if not entry.admitted.done():  # its client may have gone
                self.occupy(is_list=is_list)
                entry.admitted.set_result(True)

    def _would_wait_too_long(self, *, is_list: bool) -> bool:
        ahead = [queue.entries for queue in self._queues_ahead(is_list=is_list) if queue.entries]
        if not ahead or not self.is_overloaded(is_list=is_list):
            return False
        # A new request will wait about as long as the oldest one already has. Refusing it now
        # costs a tenth of refusing it after a wait.
        oldest_waited = asyncio.get_running_loop().time() - ahead[0][0].queued_at
        return (
            sum(map(len, ahead)) >= self._slots or oldest_waited >= MAX_QUEUE_SECONDS_OVERLOADED / 2
        )

    def _queues_ahead(self, *, is_list: bool) -> tuple[_Queue, ...]:
        """The queues whose requests get a slot before a new request."""
        return (self._list_queue, self._queue) if is_list else (self._queue,)

    def _has_free_slot(self, *, is_list: bool) -> bool:
        if is_list and self._running_lists >= self._list_slots:
            return False
        return self._running < self._slots

    def _waiting(self) -> int:
        return len(self._queue.entries) + len(self._list_queue.entries)

    def _start_timer(self) -> None:
        seconds = MAX_QUEUE_SECONDS_OVERLOADED / 2
        self._timer = asyncio.get_running_loop().call_later(seconds, self._refuse_late)

    def _refuse_late(self) -> None:
        """Refuse requests that have waited too long. Repeats while any request waits."""
        now = asyncio.get_running_loop().time()
        for is_list, queue in ((False, self._queue), (True, self._list_queue)):
            is_overloaded = self.is_overloaded(is_list=is_list)
            queue.refuse_older_than(
                MAX_QUEUE_SECONDS_OVERLOADED if is_overloaded else MAX_QUEUE_SECONDS, now
            )
        self._timer = None
        if self._waiting():
            self._start_timer()


class Slot:
    """The slot of one request. Inside its `with` block, `yield_slot` finds it."""

    def __init__(self, queue: AdmissionQueue, *, is_list: bool = False) -> None:
        self._queue = queue
        self._is_list = is_list
        self._is_held = False
        self._token: Token[Slot | None] | None = None

    def __enter__(self) -> Self:
        self._token = _slot.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        if self._token is not None:
            _slot.reset(self._token)
        self._release()

    async def acquire(self) -> bool:
        """Wait for the slot; False if the request is refused. The `with` block releases it."""
        self._is_held = await self._queue.acquire(is_list=self._is_list)
        return self._is_held

    @contextmanager
    def yielded(self) -> Iterator[None]:
        """Release the slot for a block; take one again afterwards, without waiting."""
        was_held = self._is_held
        self._release()
        try:
            yield
        finally:
            if was_held:
                self._queue.occupy(is_list=self._is_list)
                self._is_held = True

    def _release(self) -> None:
        if self._is_held:
            self._is_held = False
            self._queue.release(is_list=self._is_list)


_slot: ContextVar[Slot | None] = ContextVar("orders.slot", default=None)


@contextmanager
def yield_slot() -> Iterator[None]:
    """Let another request run while this one waits for another service or for its client."""
    slot = _slot.get()
    if slot is None:
        yield
        return
    with slot.yielded():
        yield
