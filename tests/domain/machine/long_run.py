"""Many runs of the machine over several processes. A run follows from its seed."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.domain.machine.order_machine import OrderMachine

RUNS_OF_A_SEED = 50


@dataclass(slots=True)
class Found:
    """What some runs have seen, and the failures among them by seed."""

    seen: Counter[str] = field(default_factory=Counter)
    failures: dict[int, str] = field(default_factory=dict)

    def add(self, other: Found) -> None:
        """Count what others have found."""
        self.seen += other.seen
        self.failures |= other.failures


def run_seed(number: int, *, runs: int, steps: int) -> Found:
    """Run orders through `steps` steps each, until one of them fails."""

    class Machine(OrderMachine):
        def teardown(self) -> None:
            # What could not be begun, as chance had nothing left for it, is no run.
            type(self).seen["runs"] += getattr(self, "steps", 0) >= steps

    limits = settings(
        max_examples=runs,
        stateful_step_count=steps,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    failures = {}
    try:
        run_state_machine_as_test(seed(number)(Machine), settings=limits, _min_steps=steps)
    except Exception as failure:  # noqa: BLE001 - whatever it is, it is a failure of this seed
        story = "\n".join(getattr(failure, "__notes__", ()))
        failures[number] = f"{type(failure).__name__}: {failure}\n{story}"
    return Found(Machine.seen, failures)


def run_many(*, first: int, runs: int, steps: int) -> Iterator[Found]:
    """Run `runs` orders, on every core; yields what each seed has found when it has."""
    sizes = [min(RUNS_OF_A_SEED, runs - done) for done in range(0, runs, RUNS_OF_A_SEED)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        under_way = [
            pool.submit(run_seed, first + place, runs=size, steps=steps)
            for place, size in enumerate(sizes)
        ]
        for done in as_completed(under_way):
            yield done.result()
