"""The rules of the payment adapter's breaker, retry budget and waits, at their limits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.adapters.payment_service.circuit_breaker import CircuitBreaker, CircuitOpen
from orders.adapters.payment_service.retry_policy import (
    RetryBudget,
    retry_after_seconds,
    wait_seconds,
)

NOON = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


@dataclass
class Clock:
    seconds: float = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker(clock=clock)


def end_calls(breaker: CircuitBreaker, count: int, *, healthy: bool | None) -> None:
    for _ in range(count):
        breaker.record(breaker.admit(), healthy=healthy)


def is_open(breaker: CircuitBreaker) -> bool:
    try:
        breaker.record(breaker.admit(), healthy=None)
    except CircuitOpen:
        return True
    return False


def opened(breaker: CircuitBreaker, clock: Clock, *, half: bool) -> CircuitBreaker:
    end_calls(breaker, 20, healthy=False)
    assert is_open(breaker)
    if half:
        clock.seconds += 10
    return breaker


@pytest.mark.parametrize(
    ("healthy", "failed", "opens"),
    [(0, 19, False), (0, 20, True), (10, 10, True), (11, 10, False), (19, 19, True)],
)
def test_opens_at_twenty_calls_with_half_of_them_failed(
    breaker: CircuitBreaker, *, healthy: int, failed: int, opens: bool
) -> None:
    end_calls(breaker, healthy, healthy=True)
    end_calls(breaker, failed, healthy=False)

    assert is_open(breaker) is opens


@pytest.mark.parametrize(("seconds", "opens"), [(29, True), (30, False)])
def test_forgets_failures_after_thirty_seconds(
    breaker: CircuitBreaker, clock: Clock, *, seconds: int, opens: bool
) -> None:
    end_calls(breaker, 19, healthy=False)
    clock.seconds += seconds
    end_calls(breaker, 1, healthy=False)

    assert is_open(breaker) is opens


def test_calls_given_up_count_for_nothing(breaker: CircuitBreaker) -> None:
    end_calls(breaker, 19, healthy=False)
    end_calls(breaker, 100, healthy=None)
    assert not is_open(breaker)

    end_calls(breaker, 1, healthy=False)
    assert is_open(breaker)


def test_stays_open_for_ten_seconds(breaker: CircuitBreaker, clock: Clock) -> None:
    opened(breaker, clock, half=False)
    clock.seconds += 9.99
    with pytest.raises(CircuitOpen):
        breaker.admit()

    clock.seconds += 0.01
    breaker.admit()


def test_lets_three_probes_through_and_closes_when_all_succeed(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    opened(breaker, clock, half=True)
    probes = [breaker.admit() for _ in range(3)]
    assert is_open(breaker)

    breaker.record(probes[0], healthy=True)
    breaker.record(probes[1], healthy=True)
    assert is_open(breaker)

    breaker.record(probes[2], healthy=True)
    end_calls(breaker, 19, healthy=False)
    assert not is_open(breaker)


def test_one_failed_probe_opens_it_for_another_ten_seconds(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    opened(breaker, clock, half=True)
    probes = [breaker.admit() for _ in range(3)]
    breaker.record(probes[0], healthy=False)
    # The other two began before it opened again: they neither close nor re-open it.
    breaker.record(probes[1], healthy=True)
    clock.seconds += 9.99
    breaker.record(probes[2], healthy=False)
    assert is_open(breaker)

    clock.seconds += 0.01
    assert not is_open(breaker)


def test_a_probe_given_up_leaves_room_for_another(breaker: CircuitBreaker, clock: Clock) -> None:
    opened(breaker, clock, half=True)
    probes = [breaker.admit() for _ in range(3)]
    assert is_open(breaker)

    breaker.record(probes[0], healthy=None)
    breaker.admit()
    assert is_open(breaker)


def test_a_call_from_before_it_opened_is_no_probe(breaker: CircuitBreaker, clock: Clock) -> None:
    late = [breaker.admit() for _ in range(3)]
    opened(breaker, clock, half=True)
    for admission in late:
        breaker.record(admission, healthy=True)

    probes = [breaker.admit() for _ in range(3)]
    assert len(probes) == 3
    assert is_open(breaker)


@given(wants=st.lists(st.booleans(), max_size=400))
def test_repetitions_never_pass_a_tenth_of_the_calls_and_ten(wants: list[bool]) -> None:
    budget = RetryBudget(clock=Clock())
    taken = 0
    for calls, wanted in enumerate(wants, start=1):
        budget.pay_in()
        taken += wanted and budget.take()
        assert taken <= calls / 10 + 10


def test_ten_calls_pay_for_one_repetition(clock: Clock) -> None:
    budget = RetryBudget(clock=clock)
    assert [budget.take() for _ in range(11)] == [True] * 10 + [False]

    for _ in range(9):
        budget.pay_in()
    assert not budget.take()

    budget.pay_in()
    assert [budget.take(), budget.take()] == [True, False]


def test_keeps_no_more_than_ten_repetitions(clock: Clock) -> None:
    budget = RetryBudget(clock=clock)
    for _ in range(10_000):
        budget.pay_in()

    assert [budget.take() for _ in range(11)] == [True] * 10 + [False]


def test_a_spent_budget_is_full_again_after_a_minute_of_calm(clock: Clock) -> None:
    budget = RetryBudget(clock=clock)
    while budget.take():
        pass
    clock.seconds += 59.9
    assert not budget.take()
    clock.seconds += 59.9
    assert not budget.take()

    clock.seconds += 60
    assert budget.take()


@pytest.mark.parametrize(
    ("attempt", "retry_after", "jitter", "seconds"),
    [
        (1, 0.0, 0.0, 0.0),
        (1, 0.0, 1.0, 0.5),
        (2, 0.0, 1.0, 1.0),
        (3, 0.0, 1.0, 2.0),
        (9, 0.0, 1.0, 2.0),
        (1, 2.0, 0.0, 2.0),
        (1, 2.0, 0.5, 2.25),
    ],
)
def test_waits_with_full_jitter_and_never_less_than_asked(
    attempt: int, retry_after: float, jitter: float, seconds: float
) -> None:
    assert wait_seconds(attempt, retry_after, jitter=jitter) == seconds


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, 0),
        ("0", 0),
        (" 7 ", 7),
        ("9" * 400, float("inf")),
        ("Sun, 01 Nov 2026 12:00:05 GMT", 5),
        ("Sun, 01 Nov 2026 12:00:05 -0000", 5),
        ("Sun, 01 Nov 2026 13:00:05 +0100", 5),
        ("Sun, 01 Nov 2026 11:59:00 GMT", 0),
        ("-3", 0),
        ("1.5", 0),
        ("٣", 0),
        ("soon", 0),
        ("Sun, 01 Nov 99999999999999 12:00:05 GMT", 0),
        ("", 0),
    ],
)
def test_reads_retry_after_as_seconds_or_date(value: str | None, seconds: float) -> None:
    assert retry_after_seconds(value, now=NOON) == seconds


@given(value=st.text(max_size=60))
def test_no_retry_after_breaks_the_reading(value: str) -> None:
    assert retry_after_seconds(value, now=NOON) >= 0
