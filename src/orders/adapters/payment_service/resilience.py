"""Around every request: a deadline, a bulkhead, the circuit breaker, and bounded retries."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import aiohttp
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from orders.adapters.http_client import HttpRoute
from orders.adapters.payment_service.circuit_breaker import (
    BreakerRules,
    CircuitBreaker,
    CircuitOpen,
)
from orders.adapters.payment_service.http_call import Request, RetryableFailure, call_once
from orders.adapters.payment_service.retry_policy import RetryBudget, wait_seconds
from orders.application.deadline import TO_BOOK_SECONDS, seconds_left
from orders.application.errors import (
    PaymentDeclined,
    PaymentNotAttempted,
    PaymentRefused,
    PaymentUnavailable,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLimits:
    """The bounds of one call. `total_seconds` includes the wait for a slot and all retries.

    At most `in_flight` calls have a slot. At most `waiting` calls wait for one, each for at most
    `slot_seconds`. A call without a slot is not sent, and a worker soon retries it: a slow service
    must not build a queue of requests.
    """

    connect_seconds: float = 1.0
    read_seconds: float = 5.0
    total_seconds: float = 8.0
    tries: int = 3
    in_flight: int = 32
    waiting: int = 224
    slot_seconds: float = 1.0
    breaker: BreakerRules = field(default_factory=BreakerRules)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """The sources of time and randomness. A test replaces them.

    `clock` counts seconds and never goes back; `jitter` returns numbers from 0 to 1.
    """

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    jitter: Callable[[], float] = random.random


class _NoSlot(Exception):
    """Too many calls are in flight. Nothing was sent."""


class ResilientClient:
    """Sends requests over one session. Create, open, use and close it in one event loop."""

    def __init__(self, limits: CallLimits, timing: Timing) -> None:
        self._limits = limits
        self._timing = timing
        self._breaker = CircuitBreaker(limits.breaker, clock=timing.clock)
        self._budget = RetryBudget(clock=timing.clock)
        self._slots = asyncio.Semaphore(limits.in_flight)
        self._waiting = 0
        self._session: aiohttp.ClientSession | None = None

    @property
    def breaker_state(self) -> str:
        """Closed, half-open or open."""
        return self._breaker.state

    async def open(self, route: HttpRoute) -> None:
        """Make the session. The first request connects."""
        self._session = route.session(
            timeout=aiohttp.ClientTimeout(
                connect=self._limits.connect_seconds, sock_read=self._limits.read_seconds
            ),
            # The slots bound the connections already. A second bound would only hide the first.
            limit=0,
            auto_decompress=False,
        )

    async def close(self) -> None:
        """Close all connections. Closing twice does nothing."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def send(self, request: Request, read: Callable[[bytes], T]) -> T:
        """Send a request, with retries if needed, and read the response body with `read`.

        It leaves enough of the current request's time to store the result.

        Raises:
            PaymentDeclined: The payer's bank declined. Final.
            PaymentRefused: The service refused the request, which was sent once. Final.
            PaymentUnavailable: The outcome is unknown; `PaymentNotAttempted` if nothing was sent.
        """
        seconds = min(self._limits.total_seconds, seconds_left() - TO_BOOK_SECONDS)
        if seconds <= 0:
            raise PaymentUnavailable("there is no time left to call the payment service")
        self._budget.pay_in()
        retrying = self._retrying(seconds)
        try:
            async with asyncio.timeout(seconds) as deadline:
                result: T = await retrying(self._try, request, read, deadline)
                return result
        except (CircuitOpen, _NoSlot) as error:
            message = "the payment service fails, or is slow, and was not called"
            was_sent = retrying.statistics["attempt_number"] > 1
            raise (PaymentUnavailable if was_sent else PaymentNotAttempted)(message) from error
        except TimeoutError as error:
            raise PaymentUnavailable("the payment service gave no response in time") from error
        except PaymentRefused as error:
            # An earlier try may have moved money, which the refusal of a later one does not undo.
            if retrying.statistics["attempt_number"] > 1:
                raise PaymentUnavailable(str(error)) from error
            raise

    async def _try(
        self, request: Request, read: Callable[[bytes], T], deadline: asyncio.Timeout
    ) -> T:
        async with self._slot():
            admission = self._breaker.admit()
            healthy: bool | None = False
            try:
                result = await call_once(self._opened(), request, read)
                healthy = True
                return result
            except (PaymentDeclined, PaymentRefused):
                healthy = True
                raise
            except RetryableFailure as error:
                healthy = error.healthy
                raise
            except asyncio.CancelledError:
                # Our deadline says that the service is slow. A caller who gives up says nothing.
                healthy = False if deadline.expired() else None
                raise
            finally:
                self._breaker.record(admission, healthy=healthy)

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        if self._slots.locked():
            await self._wait_for_slot()
        else:
            await self._slots.acquire()  # without a wait
        try:
            yield
        finally:
            self._slots.release()

    async def _wait_for_slot(self) -> None:
        if self._waiting >= self._limits.waiting:
            raise _NoSlot
        self._waiting += 1
        try:
            async with asyncio.timeout(self._limits.slot_seconds):
                await self._slots.acquire()
        except TimeoutError as error:
            raise _NoSlot from error
        finally:
            self._waiting -= 1

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("open() comes before the first call")
        return self._session

    def _retrying(self, seconds: float) -> AsyncRetrying:
        # A new one for each call, because it holds the state of that call.
        ends_at = asyncio.get_running_loop().time() + seconds
        return AsyncRetrying(
            sleep=self._timing.sleep,
            retry=retry_if_exception_type(RetryableFailure),
            wait=self._wait,
            stop=lambda state: self._stop(state, ends_at),
            reraise=True,
        )

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        retry_after = error.retry_after if isinstance(error, RetryableFailure) else 0.0
        return wait_seconds(state.attempt_number, retry_after, jitter=self._timing.jitter())

    def _stop(self, state: RetryCallState, ends_at: float) -> bool:
        """Whether no tries, no time or no budget is left. Takes from the budget last."""
        return (
            state.attempt_number >= self._limits.tries
            or asyncio.get_running_loop().time() + state.upcoming_sleep >= ends_at
            or not self._budget.take()
        )
