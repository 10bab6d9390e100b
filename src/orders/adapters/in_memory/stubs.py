"""Prices, tokens, a trace and a clock with values that a test sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta

from orders.application.access import Caller
from orders.application.errors import InvalidToken, KeysUnavailable, PricesUnavailable
from orders.application.ports import ListedPrice, LoggedEvent


class StaticPriceList:
    """A `PriceList` from a mapping: prices by currency and SKU."""

    def __init__(self, prices: Mapping[str, Mapping[str, int | ListedPrice]]) -> None:
        self.unavailable = False
        self._prices = prices

    async def prices(self, skus: Sequence[str], currency: str) -> Mapping[str, int | ListedPrice]:
        """Prices by SKU, as the mapping has them. A SKU without a price is left out."""
        if self.unavailable:
            raise PricesUnavailable("the price list is switched off")
        known = self._prices.get(currency, {})
        return {sku: known[sku] for sku in skus if sku in known}


class StaticTokens:
    """A `TokenVerifier` from a mapping of tokens to callers."""

    def __init__(self, callers: Mapping[str, Caller]) -> None:
        self.unavailable = False
        self._callers = callers

    async def verify(self, token: str) -> Caller:
        """The caller of a token."""
        if self.unavailable:
            raise KeysUnavailable("the keys are switched off")
        if token not in self._callers:
            raise InvalidToken("the token is not known")
        return self._callers[token]


class FixedTraceContext:
    """A `TraceContext` in which all work belongs to one trace."""

    def __init__(self, traceparent: str) -> None:
        self._traceparent = traceparent

    def current(self) -> str | None:
        """The traceparent of that trace."""
        return self._traceparent

    def delivering(
        self,
        event: LoggedEvent,
        *,
        broker: str,  # noqa: ARG002 - the port's
        destination: str,  # noqa: ARG002 - the port's
    ) -> AbstractContextManager[str | None]:
        """Yield the trace context of the event's cause."""
        return nullcontext(event.traceparent)


class FixedClock:
    """A `Clock` that changes only with `advance`."""

    def __init__(self, at: datetime) -> None:
        self._at = at

    def __call__(self) -> datetime:
        """The time."""
        return self._at

    def advance(self, by: timedelta) -> None:
        """Move the clock forward."""
        self._at += by


class TickingClock(FixedClock):
    """A `Clock` that moves forward by `step` with each read."""

    def __init__(self, at: datetime, *, step: timedelta = timedelta(milliseconds=1)) -> None:
        super().__init__(at)
        self._step = step

    def __call__(self) -> datetime:
        """The time, one step after the last read."""
        self.advance(self._step)
        return super().__call__()
