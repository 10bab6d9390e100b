"""Many orders at once while a random process is killed every two seconds, and an outage."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from typing import Final

from tests.chaos.client_journeys import (
    Case,
    Story,
    cancels_in_flight,
    captures,
    pays,
    pays_by_hand,
    pays_on_delivery,
    refunds,
    ships,
)
from tests.chaos.crash_points import (
    ASKED,
    BY_HAND,
    DECLINED,
    DISPUTED,
    DISPUTED_WON,
    FLAKY,
    HELD,
    LAPSED,
    LATE,
    LOST,
    PENDING,
    REFUNDED_ELSEWHERE,
    SENT_BACK,
    SLOW,
    SLOWLY_HELD,
    TAKEN,
    Payment,
)
from tests.chaos.trial import Trial

KILL_EVERY_SECONDS: Final = 2.0
FAULT_SHARE: Final = 0.1
CLIENTS: Final = 24
_KINDS: Final = ("api", "worker", "broker", "sandbox", "database")

# What customers do, and how many of each in thirty.
_MIX: Final[Sequence[tuple[int, Story, Payment]]] = (
    (4, pays, TAKEN),
    (2, pays, HELD),
    (1, pays, FLAKY),
    (1, pays, LATE),
    (1, pays, LOST),
    (1, pays, PENDING),
    (1, pays, DECLINED),
    (3, refunds, TAKEN),
    (1, refunds, HELD),
    (1, cancels_in_flight, SLOW),
    (1, cancels_in_flight, SLOWLY_HELD),
    (1, captures, HELD),
    (2, ships, TAKEN),
    (1, pays, ASKED),
    (2, pays, DISPUTED),
    (1, pays, DISPUTED_WON),
    (1, pays, LAPSED),
    (1, pays, REFUNDED_ELSEWHERE),
    (1, refunds, SENT_BACK),
    (2, pays_by_hand, BY_HAND),
    (1, pays_on_delivery, BY_HAND),
)


async def storm(trial: Trial, orders: int, *, tell: Callable[[Case], None]) -> list[Case]:
    """So many orders, and no peace until each client has its answer; then wait for quiet."""
    mix = [(story, payment) for times, story, payment in _MIX for _ in range(times)]
    waiting = [mix[number % len(mix)] for number in range(orders)]
    trial.chance.shuffle(waiting)
    before = len(trial.cases)
    trial.disturb_payments(FAULT_SHARE)
    killing = asyncio.create_task(_kill_on(trial))

    async def client() -> None:
        while waiting:
            story, (method, capture) = waiting.pop()
            case = trial.new_case(method, capture=capture, point="storm")
            await story(case, trial.scene())
            case.done = True
            tell(case)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(CLIENTS):
                group.create_task(client())
    finally:
        killing.cancel()
        trial.disturb_payments(0)
    cases = trial.cases[before:]
    await trial.quiet(cases)
    await trial.judge(cases)
    return cases


async def _kill_on(trial: Trial) -> None:
    kinds = itertools.cycle(_KINDS)
    while True:
        await asyncio.sleep(KILL_EVERY_SECONDS)  # the beat of the storm
        for kind in itertools.islice(kinds, len(_KINDS)):
            if up := trial.deployment.up(kind):
                trial.deployment.kill(trial.chance.choice(up))
                break


async def outage(trial: Trial, orders: int, *, seconds: float) -> list[float]:
    """Place orders while the payment service is away.

    Returns how long after its return each payment's outcome was known.
    """
    before = len(trial.cases)
    away = asyncio.create_task(trial.deployment.down_for("sandbox", seconds))

    async def place(number: int) -> None:
        await asyncio.sleep(seconds * number / orders)  # spread over the outage
        case = trial.new_case("tok_ok", capture=True, point="outage")
        await pays(case, trial.scene())
        case.done = True

    async with asyncio.TaskGroup() as group:
        for number in range(orders):
            group.create_task(place(number))
    await away
    back = max(end for name, _, end in trial.deployment.outages if name == "sandbox")
    cases = trial.cases[before:]
    await trial.quiet(cases)
    await trial.judge(cases)
    return [(case.money_known_at or time.monotonic()) - back for case in cases]
