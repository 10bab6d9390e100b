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
"""Of all requests at once; the rest is kept for those that place, pay and cancel."""


class _Waiting(NamedTuple):
    since: float
    turn: asyncio.Future[bool]


class Turns:
    """Gives turns to requests: `at_once` have one, at most `most` have one or wait.

    Lists wait behind everything else, and are refused first.
    """

    def __init__(self, at_once: int, most: int) -> None:
        """Take how many. Use it in one event loop only."""
        self._at_once = at_once
        self._most = max(at_once, most)
        self._most_with_lists = max(1, int(most * LISTING_SHARE))
        self._taken = 0
        self._away = 0
        self._others: deque[_Waiting] = deque()
        self._lists: deque[_Waiting] = deque()
        self._waiting_since = 0.0
        self._refused_at = float("-inf")
        self._overloaded = False
        self._sweep: asyncio.TimerHandle | None = None

    def is_overloaded(self) -> bool:
        """Whether there is more to do than can be done in time."""
        return self._judge(asyncio.get_running_loop().time())

    def are_free(self) -> bool:
        """Whether nobody waits, and nobody who comes now is refused."""
        nobody_waits = not self._others and not self._lists
        return nobody_waits and self._taken + self._away < self._most_with_lists

    def refuses(self, *, is_list: bool) -> bool:
        """Whether whoever comes now is refused, without a wait."""
        waiting = len(self._others) + len(self._lists)
        present = self._taken + self._away + waiting
        if present >= (self._most_with_lists if is_list else self._most):
            self._overloaded = True
        elif not waiting or not self._would_wait_too_long(waiting, is_list=is_list):
            return False
        self._refuse(asyncio.get_running_loop().time())
        return True

    def _would_wait_too_long(self, waiting: int, *, is_list: bool) -> bool:
        now = asyncio.get_running_loop().time()
        if not self._judge(now):
            return False
        # Whoever comes now will wait as long as the first in the line has; to be refused at once
        # costs a tenth of being refused after a wait.
        line = (self._lists or self._others) if is_list else self._others
        return waiting >= self._at_once or bool(
            line and now - line[0].since >= SHORT_WAIT_SECONDS / 2
        )

    async def take(self, *, is_list: bool) -> bool:
        """Wait for a turn; False if it would take too long. Whoever gets one must `leave`."""
        if self.refuses(is_list=is_list):
            return False
        waiting = self._others or self._lists
        if not waiting and self._taken < self._at_once:
            self._taken += 1
            return True
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._judge(now)
        if not waiting:
            self._waiting_since = now
        place = _Waiting(now, loop.create_future())
        (self._lists if is_list else self._others).append(place)
        if self._sweep is None:
            self._sweep = loop.call_later(SHORT_WAIT_SECONDS / 2, self._look)
        try:
            return await place.turn
        except asyncio.CancelledError:
            if place.turn.done() and not place.turn.cancelled() and place.turn.result():
                self.leave()
            raise

    def leave(self) -> None:
        """Give the turn to whoever waits for one."""
        self._taken -= 1
        self._pass_on()

    def step_out(self) -> None:
        """Give the turn away for a while, and stay."""
        self._away += 1
        self.leave()

    def step_in(self) -> None:
        """Have it back, without a wait: what is begun is finished first."""
        self._away -= 1
        self._taken += 1

    def _pass_on(self) -> None:
        while self._taken < self._at_once:
            waiting = self._others or self._lists
            if not waiting:
                return
            place = waiting.popleft()
            if not place.turn.done():  # whoever waited may have gone away
                self._taken += 1
                place.turn.set_result(True)

    def _look(self) -> None:
        """Refuse those who have waited too long, as long as anybody waits."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        longest = SHORT_WAIT_SECONDS if self._judge(now) else PATIENCE_SECONDS
        for waiting in (self._others, self._lists):
            while waiting and now - waiting[0].since >= longest:
                place = waiting.popleft()
                if not place.turn.done():
                    place.turn.set_result(self._refuse(now))
        anyone = self._others or self._lists
        self._sweep = loop.call_later(SHORT_WAIT_SECONDS / 2, self._look) if anyone else None

    def _judge(self, now: float) -> bool:
        if self._overloaded:
            self._overloaded = now - self._refused_at < CALM_AFTER_SECONDS
            if not self._overloaded:
                self._waiting_since = now
        elif self._others or self._lists:
            self._overloaded = now - self._waiting_since >= PATIENCE_SECONDS
            if self._overloaded:
                self._refused_at = now
        return self._overloaded

    def _refuse(self, now: float) -> bool:
        self._refused_at = now
        return False


_turns: ContextVar[Turns | None] = ContextVar("orders.turns", default=None)


@contextmanager
def a_turn(turns: Turns) -> Iterator[None]:
    """Hold the turn that was taken, until the block is left."""
    token = _turns.set(turns)
    try:
        yield
    finally:
        _turns.reset(token)
        turns.leave()


@contextmanager
def others_turn() -> Iterator[None]:
    """Let others work while this request waits for another service, or for its caller."""
    turns = _turns.get()
    if turns is None:
        yield
        return
    turns.step_out()
    try:
        yield
    finally:
        turns.step_in()
