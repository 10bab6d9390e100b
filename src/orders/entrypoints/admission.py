"""Who is worked for now, who waits, and who is told at once that it would take too long.

More requests at once make none of them faster, once the processor or the database is busy: they
only wait for each other, each longer than its caller does. So a few are worked for, and the wait
for a turn is bounded by its time, not by a number of requests: a burst may wait for a moment, a
queue that stands may not (controlled delay, as in RFC 8289 and B. Maurer, Fail at Scale, 2015).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, NamedTuple

PATIENCE_SECONDS: Final = 0.4
"""How long a burst may take to be worked off."""
SHORT_WAIT_SECONDS: Final = 0.02
"""How long a request waits for its turn at most while there is too much to do."""
CALM_AFTER_SECONDS: Final = 1.0
"""Without a refusal, until bursts may wait again."""
LISTING_SHARE: Final = 0.6
"""Of all turns, and of all requests; the rest is kept for those that place, pay and cancel."""


class _Waiting(NamedTuple):
    since: float
    turn: asyncio.Future[bool]


class _Queue:
    """Requests that wait for a turn, and whether there have been some for too long."""

    def __init__(self) -> None:
        self.waiting: deque[_Waiting] = deque()
        self._stands_since = 0.0
        self._refused_at = float("-inf")
        self._overloaded = False

    def join(self, now: float) -> _Waiting:
        """Wait behind all others."""
        if not self.waiting:
            self._stands_since = now
        place = _Waiting(now, asyncio.get_running_loop().create_future())
        self.waiting.append(place)
        return place

    def note_refusal(self, now: float, *, is_full: bool = False) -> None:
        """Somebody was refused. With `is_full`, that alone says that there is too much to do."""
        self._refused_at = now
        self._overloaded |= is_full

    def is_overloaded(self, now: float) -> bool:
        """Whether there is more to do than can be done in time."""
        if self._overloaded:
            self._overloaded = now - self._refused_at < CALM_AFTER_SECONDS
            if not self._overloaded:
                self._stands_since = now
        elif self.waiting:
            self._overloaded = now - self._stands_since >= PATIENCE_SECONDS
            if self._overloaded:
                self._refused_at = now
        return self._overloaded

    def refuse_late(self, now: float, longest: float) -> None:
        """Refuse those who have waited for so long."""
        while self.waiting and now - self.waiting[0].since >= longest:
            place = self.waiting.popleft()
            if not place.turn.done():
                place.turn.set_result(False)
                self.note_refusal(now)


class AdmissionQueue:
    """Gives turns to requests: `at_once` have one, at most `most` have one or wait.

    Lists wait behind everything else, are refused first, and never have all turns.
    """

    def __init__(self, at_once: int, most: int) -> None:
        """Take how many. Use it in one event loop only."""
        self._at_once = at_once
        self._lists_at_once = max(1, int(at_once * LISTING_SHARE))
        self._most = max(at_once, most)
        self._most_with_lists = max(1, int(most * LISTING_SHARE))
        self._taken = 0
        self._taken_by_lists = 0
        self._others = _Queue()
        self._lists = _Queue()
        self._sweep: asyncio.TimerHandle | None = None

    def is_overloaded(self, *, is_list: bool = False) -> bool:
        """Whether those who come now wait for a short time only."""
        now = asyncio.get_running_loop().time()
        return any(queue.is_overloaded(now) for queue in self._before(is_list=is_list))

    def has_capacity(self) -> bool:
        """Whether nobody waits, and nobody who comes now is refused."""
        return not self._waiting() and self._taken < self._most_with_lists

    def refuses(self, *, is_list: bool) -> bool:
        """Whether whoever comes now is refused, without a wait."""
        most = self._most_with_lists if is_list else self._most
        is_full = self._taken + self._waiting() >= most
        if not is_full and not self._would_wait_too_long(is_list=is_list):
            return False
        queue = self._lists if is_list else self._others
        queue.note_refusal(asyncio.get_running_loop().time(), is_full=is_full)
        return True

    def _would_wait_too_long(self, *, is_list: bool) -> bool:
        before = [queue.waiting for queue in self._before(is_list=is_list) if queue.waiting]
        if not before or not self.is_overloaded(is_list=is_list):
            return False
        # Whoever comes now will wait as long as the first in the line has; to be refused at once
        # costs a tenth of being refused after a wait.
        has_waited = asyncio.get_running_loop().time() - before[0][0].since
        return sum(map(len, before)) >= self._at_once or has_waited >= SHORT_WAIT_SECONDS / 2

    async def take(self, *, is_list: bool) -> bool:
        """Wait for a turn; False if it would take too long. Whoever gets one must `leave`."""
        are_free = self.has_capacity()
        if not are_free and self.refuses(is_list=is_list):
            return False
        is_next = are_free or not any(each.waiting for each in self._before(is_list=is_list))
        if is_next and self._may_have_one(is_list=is_list):
            self.come_back(is_list=is_list)
            return True
        loop = asyncio.get_running_loop()
        place = (self._lists if is_list else self._others).join(loop.time())
        if self._sweep is None:
            self._sweep = loop.call_later(SHORT_WAIT_SECONDS / 2, self._look)
        try:
            return await place.turn
        except asyncio.CancelledError:
            if place.turn.done() and not place.turn.cancelled() and place.turn.result():
                self.leave(is_list=is_list)
            raise

    def leave(self, *, is_list: bool) -> None:
        """Give the turn to whoever waits for one."""
        self._taken -= 1
        self._taken_by_lists -= is_list
        if self._others.waiting or self._lists.waiting:
            self._pass_on(self._others, is_list=False)
            if not self._others.waiting:
                self._pass_on(self._lists, is_list=True)

    def come_back(self, *, is_list: bool) -> None:
        """Have a turn without a wait: what is begun is finished first."""
        self._taken += 1
        self._taken_by_lists += is_list

    def _before(self, *, is_list: bool) -> tuple[_Queue, ...]:
        return (self._lists, self._others) if is_list else (self._others,)

    def _waiting(self) -> int:
        return len(self._others.waiting) + len(self._lists.waiting)

    def _may_have_one(self, *, is_list: bool) -> bool:
        return self._taken < self._at_once and (
            not is_list or self._taken_by_lists < self._lists_at_once
        )

    def _pass_on(self, queue: _Queue, *, is_list: bool) -> None:
        while queue.waiting and self._may_have_one(is_list=is_list):
            place = queue.waiting.popleft()
            if not place.turn.done():  # whoever waited may have gone away
                self.come_back(is_list=is_list)
                place.turn.set_result(True)

    def _look(self) -> None:
        """Refuse those who have waited too long, as long as anybody waits."""
        loop = asyncio.get_running_loop()
        for is_list, queue in ((False, self._others), (True, self._lists)):
            is_short = self.is_overloaded(is_list=is_list)
            queue.refuse_late(loop.time(), SHORT_WAIT_SECONDS if is_short else PATIENCE_SECONDS)
        again = SHORT_WAIT_SECONDS / 2
        self._sweep = loop.call_later(again, self._look) if self._waiting() else None


class Slot:
    """One request's turn, while it has one."""

    def __init__(self, turns: AdmissionQueue, *, is_list: bool = False) -> None:
        """Have none yet."""
        self._turns = turns
        self._is_list = is_list
        self._is_taken = False

    async def take(self) -> bool:
        """Wait for it; False if it would take too long."""
        self._is_taken = await self._turns.take(is_list=self._is_list)
        return self._is_taken

    @contextmanager
    def given_back(self) -> Iterator[None]:
        """Give it back when the block is left, if it was taken; `yield_slot` leaves it."""
        token = _turn.set(self)
        try:
            yield
        finally:
            _turn.reset(token)
            self._leave()

    @contextmanager
    def left(self) -> Iterator[None]:
        """Have none meanwhile: then nobody else is kept out."""
        was_taken = self._is_taken
        self._leave()
        try:
            yield
        finally:
            if was_taken:
                self._turns.come_back(is_list=self._is_list)
                self._is_taken = True

    def _leave(self) -> None:
        if self._is_taken:
            self._is_taken = False
            self._turns.leave(is_list=self._is_list)


_turn: ContextVar[Slot | None] = ContextVar("orders.turn", default=None)


@contextmanager
def yield_slot() -> Iterator[None]:
    """Let others work while this request waits for another service, or for its caller."""
    turn = _turn.get()
    if turn is None:
        yield
        return
    with turn.left():
        yield
