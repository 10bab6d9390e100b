"""The last report of `make databases`."""

from __future__ import annotations

from pathlib import Path

from tests.databases.contracts import Outcome, outcome_in
from tests.databases.report import REPORT, known, report

RESULTS = """<testsuites><testsuite>
<testcase classname="tests.a" name="one"/>
<testcase classname="tests.a" name="two"><failure message="no">text</failure></testcase>
<testcase classname="tests.b" name="three"><error message="no">text</error></testcase>
<testcase classname="tests.b" name="four"><skipped message="no fail points: none"/></testcase>
<testcase classname="tests.b" name="five"><skipped message="no fail points: none"/></testcase>
</testsuite></testsuites>"""


def test_the_report_shows_what_was_seen() -> None:
    assert REPORT.read_text(encoding="utf-8") == report(known())


def test_no_engine_failed() -> None:
    tried = known()

    assert {each.engine for each in tried} >= {"SecantusDB, replica set", "mongo-java-server"}
    assert [fault for each in tried for fault in each.faults] == []


def test_what_failed_and_what_is_excused_is_told_apart(tmp_path: Path) -> None:
    results = tmp_path / "results.xml"
    results.write_text(RESULTS)

    assert outcome_in(results) == Outcome(
        1, ("tests.a::two", "tests.b::three"), {"no fail points: none": 2}
    )
