"""The checks of the order machine find faults: some are planted, and each is caught.
`make properties` plants the others, which take longer.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from tests.domain.machine.planted import QUICK, Plant, name_of, search


@pytest.mark.parametrize("plant", QUICK, ids=name_of)
def test_the_machine_finds(
    plant: Plant,
    record_property: Callable[[str, object], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = search(plant)
    assert found.runs, "not found"
    record_property("runs", found.runs)
    with capsys.disabled():
        sys.stdout.write(f"\n{found.name}: in {found.runs} runs ({found.rule}) ")
