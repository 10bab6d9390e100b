"""The last report of `make databases`, and what is told from it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.databases.__main__ import REPORT, ROOT
from tests.databases.contracts import Outcome, outcome_in

RESULTS = """<testsuites><testsuite>
<testcase classname="tests.a" name="one"/>
<testcase classname="tests.a" name="two"><failure message="no">text</failure></testcase>
<testcase classname="tests.b" name="three"><error message="no">text</error></testcase>
<testcase classname="tests.b" name="four"><skipped message="no fail points: none"/></testcase>
<testcase classname="tests.b" name="five"><skipped message="no fail points: none"/></testcase>
</testsuite></testsuites>"""


def rows(page: str) -> list[str]:
    """The rows of the table of engines."""
    head = "| Engine | Version | Contract tests passed |"
    after = page[page.index(head) :].splitlines()[2:]
    return after[: after.index("")]


def test_the_operators_guide_shows_the_last_report() -> None:
    guide = (ROOT / "docs" / "operate.md").read_text(encoding="utf-8")

    assert rows(guide) == rows(REPORT.read_text(encoding="utf-8"))


def test_no_engine_failed() -> None:
    failed = [row.split("|")[4].strip() for row in rows(REPORT.read_text(encoding="utf-8"))]

    assert len(failed) >= 3
    assert {*failed} == {"0"}


def test_what_failed_and_what_is_excused_is_told_apart(tmp_path: Path) -> None:
    results = tmp_path / "results.xml"
    results.write_text(RESULTS)

    assert outcome_in(results) == Outcome(
        1, ("tests.a::two", "tests.b::three"), Counter({"no fail points: none": 2})
    )
