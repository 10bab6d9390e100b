"""The hosted workflow: valid, with the least rights, and nothing in it changes by itself."""

from __future__ import annotations

import re
import subprocess

import yaml

from tests.operating.deployment.chart import ROOT, tool

FILE = ROOT / ".github" / "workflows" / "ci.yml"
TEXT = FILE.read_text()


def jobs() -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = yaml.safe_load(TEXT)["jobs"]
    return found


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [tool(program), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def test_it_is_valid() -> None:
    done = run("actionlint", "-no-color")
    assert done.returncode == 0, done.stdout


def test_nothing_in_it_can_be_turned_against_us() -> None:
    done = run("zizmor", "--offline", "--no-progress", "--format=plain", str(FILE))
    assert done.returncode == 0, done.stdout


def test_actions_are_what_they_were_when_they_were_chosen() -> None:
    uses = re.findall(r"uses: (.*)", TEXT)
    assert uses
    for each in uses:
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each), each


def test_every_job_has_its_own_rights_and_an_end() -> None:
    assert yaml.safe_load(TEXT)["permissions"] == {}
    for name, job in jobs().items():
        assert isinstance(job["permissions"], dict), name
        assert "timeout-minutes" in job, name
    writing = {name for name, job in jobs().items() if "write" in str(job["permissions"])}
    assert writing == {"image"}


def test_tests_have_a_replica_set_whose_commands_can_fail() -> None:
    """A stand-alone MongoDB has no retryable writes, and skips the tests of its failures."""
    steps = str(jobs()["test"]["steps"])
    assert "--replSet rs0" in steps
    assert "enableTestCommands=1" in steps
    assert "replicaSet=rs0" in str(jobs()["test"]["strategy"])


def test_callers_are_sent_to_a_new_colour_by_a_person_only() -> None:
    switching = [name for name, job in jobs().items() if "blue-green.sh" in str(job["steps"])]
    assert switching == ["switch"]
    assert jobs()["switch"]["environment"] == "production"
    assert jobs()["switch"]["needs"] == "preview"
