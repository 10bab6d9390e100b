"""Real processes, killed at every crash point and at random: no promise is broken."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.chaos.crash_points import NAMES
from tests.chaos.deployment import Deployment, Plan
from tests.chaos.storm import storm
from tests.chaos.trial import Trial, run_points
from tests.support.processes.brokers import RABBITMQ_MISSING, rabbitmq_is_installed

STORM_ORDERS = 40

pytestmark = [
    pytest.mark.skipif(not rabbitmq_is_installed(), reason=RABBITMQ_MISSING),
    # aio_pika leaves a connection that did not come about to the garbage collector.
    pytest.mark.filterwarnings("ignore:coroutine 'Connection.close' was never awaited"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def swept() -> Iterator[None]:
    """Collect what killed connections left behind here, and not in somebody else's test."""
    yield
    gc.collect()


@pytest.fixture
async def trial(tmp_path: Path) -> AsyncIterator[Trial]:
    async with Trial(Deployment(tmp_path, Plan()), seed=1) as trial:
        yield trial


async def test_nothing_is_lost_and_nothing_is_charged_twice(trial: Trial) -> None:
    """`make chaos` does the same for longer."""
    runs = await run_points(trial, NAMES, [0], lanes=10, tell=lambda case: None)
    assert {case.point for case in runs if not case.missed} == {*NAMES}
    await storm(trial, STORM_ORDERS, tell=lambda case: None)
    assert await trial.judge_all() == []
