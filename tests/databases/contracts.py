"""Run the repository's contract tests on a database, and say what they showed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple
from xml.etree import ElementTree

from tests.databases.engines import GIVEN

ROOT: Final = Path(__file__).parents[2]
# These start the database that they are about themselves.
_OWN: Final = ("engines/test_stand_alone.py", "test_stored_form.py")


class Outcome(NamedTuple):
    """What became of the tests."""

    passed: int
    failed: tuple[str, ...]
    excused: dict[str, int]
    """How many were skipped, by the limit of the engine that they name."""

    @property
    def total(self) -> int:
        """All tests."""
        return self.passed + len(self.failed) + sum(self.excused.values())


def try_contracts(uri: str, folder: Path, only: Sequence[str] = ()) -> Outcome:
    """Run the contract tests that need a database on this one: all, or only these files."""
    results = folder / "contracts.xml"
    tests = ROOT / "tests" / "contract" / "mongo"
    chosen = [str(tests / each) for each in only] or [str(tests)]
    # fmt: off
    subprocess.run(
        [
            sys.executable, "-m", "pytest", *chosen, "-q", "-k", "not InMemory",
            *(f"--ignore={tests / each}" for each in _OWN),
            "-p", "no:cacheprovider", f"--junitxml={results}", "--tb=short",
        ],
        cwd=ROOT,
        env={**os.environ, GIVEN: uri},
        check=False,
    )
    # fmt: on
    return outcome_in(results)


def outcome_in(results: Path) -> Outcome:
    """What a file of JUnit's form says."""
    passed, failed, excused = 0, list[str](), Counter[str]()
    for case in ElementTree.parse(results).iter("testcase"):
        skipped = case.find("skipped")
        if skipped is not None:
            excused[skipped.get("message", "")] += 1
        elif case.find("failure") is not None or case.find("error") is not None:
            failed.append(f"{case.get('classname')}::{case.get('name')}")
        else:
            passed += 1
    return Outcome(passed, tuple(failed), dict(excused.most_common()))
