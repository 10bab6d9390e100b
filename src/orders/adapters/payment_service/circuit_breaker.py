"""A circuit breaker: stops calls to a service that fails, and lets a few probe it later.

One event loop uses it. No method awaits, so none needs a lock.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass


class CircuitOpen(Exception):
    """The service fails, or enough probes are under way. Nothing was sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerRules:
    """When to open and when to try again.

    It opens if at least `minimum_calls` ended within `window_seconds`, and at least the share
    `failure_ratio` of them failed. It stays open for `open_seconds`. Then it lets at most `probes`
    calls through: if all of them succeed it closes, and the first failure opens it again.
    """

    window_seconds: int = 30
    minimum_calls: int = 20
    failure_ratio: float = 0.5
    open_seconds: float = 10.0
    probes: int = 3


@dataclass(slots=True)
class _Second:
    """The calls that ended within one second of the clock."""

    second: int
    calls: int = 0
    failures: int = 0


class CircuitBreaker:
    """Call `admit` before each call to the service, and `record` once when it has ended."""

    def __init__(
        self, rules: BreakerRules | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Start closed. `clock` counts seconds and never goes back."""
        self._rules = rules or BreakerRules()
        self._clock = clock
        self._window: deque[_Second] = deque()
        self._opened_at: float | None = None
        # Incremented with every change of state, so that calls from before the change do not count.
        self._generation = 0
        self._probes_left = 0
        self._probes_passed = 0

    @property
    def state(self) -> str:
        """`closed`, `open`, or `half-open` while probes are allowed."""
        if self._opened_at is None:
            return "closed"
        waited = self._clock() - self._opened_at
        return "open" if waited < self._rules.open_seconds else "half-open"

    def admit(self) -> int:
        """Let a call through; when half-open, as one of the probes.

        Returns:
            The admission, to pass to `record` when the call has ended.

        Raises:
            CircuitOpen: If the call must not be made.
        """
        if self._opened_at is not None:
            waited = self._clock() - self._opened_at
            if waited < self._rules.open_seconds or not self._probes_left:
                raise CircuitOpen
            self._probes_left -= 1
        return self._generation

    def record(self, admission: int, *, healthy: bool | None) -> None:
        """Count how an admitted call ended; None if the caller gave up, which says nothing."""
        if admission != self._generation:
            return
        if self._opened_at is not None:
            self._judge_probe(healthy=healthy)
        elif healthy is not None:
            self._count(failed=not healthy)

    def _judge_probe(self, *, healthy: bool | None) -> None:
        if healthy is None:
            self._probes_left += 1
        elif not healthy:
            self._change(opened_at=self._clock())
        else:
            self._probes_passed += 1
            if self._probes_passed == self._rules.probes:
                self._change(opened_at=None)

    def _count(self, *, failed: bool) -> None:
        second = int(self._clock())
        while self._window and self._window[0].second <= second - self._rules.window_seconds:
            self._window.popleft()
        if not self._window or self._window[-1].second != second:
            self._window.append(_Second(second))
        self._window[-1].calls += 1
        if failed:
            self._window[-1].failures += 1
            self._open_if_failing()

    def _open_if_failing(self) -> None:
        calls = sum(one.calls for one in self._window)
        failures = sum(one.failures for one in self._window)
        if calls >= self._rules.minimum_calls and failures >= calls * self._rules.failure_ratio:
            self._change(opened_at=self._clock())

    def _change(self, *, opened_at: float | None) -> None:
        self._opened_at = opened_at
        self._generation += 1
        self._window.clear()
        self._probes_left = self._rules.probes
        self._probes_passed = 0
