"""What a process says at an end that nobody expected: what it was and where, and no text of it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from orders.adapters.mongo.documents import PUBLISHERS
from tests.support.processes.orders_process import environment

MARKER = "canary7f3a"
# Does what the test plants, and then is `orders`.
PLANTED = """
import asyncio, gc, logging, os, sys, threading, traceback, warnings
from pymongo.errors import BulkWriteError

def fault():
    return BulkWriteError({"writeErrors": [{"op": {"name": "canary7f3a"}, "errmsg": "canary7f3a"}]})

def fail(*_, **__):
    raise fault()

async def fail_later(*_, **__):
    raise fault()

exec(sys.argv[1])
from orders.entrypoints.cli import main
sys.exit(main(sys.argv[2:]))
"""
FAULT = "pymongo.errors.BulkWriteError"
# Does something in a worker that is up, which then ends.
ONCE_UP = """
import orders.entrypoints.worker as w
async def once_up(_publish_backlog, stop):
{}
    stop.set()
w._watch = once_up
"""
MIGRATES = """
import orders.entrypoints.migration as migration
migration.migrate = fail_later
"""
CALLS_BACK = """
    asyncio.get_running_loop().call_soon(fail, {'name': 'canary7f3a'})
    await asyncio.sleep(0.01)
"""


def run(planted: str, *arguments: str) -> tuple[int, str]:
    """How it ended, and all that it wrote."""
    done = subprocess.run(
        [sys.executable, "-c", PLANTED, planted, *arguments],
        env=environment({}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
        text=True,
        check=False,
    )
    assert MARKER not in done.stdout
    assert "Traceback" not in done.stdout
    return done.returncode, done.stdout


def logged(planted: str, *arguments: str, code: int = 1) -> list[dict[str, Any]]:
    """The lines of a process that logs JSON, and nothing else."""
    ended, said = run(planted, *arguments)
    assert ended == code, said
    return [json.loads(line) for line in said.splitlines()]


def test_a_worker_says_which_of_its_tasks_failed_and_how() -> None:
    planted = "import orders.entrypoints.worker as w; w._relay = w._due_work = fail_later"
    lines = logged(planted, "worker")
    (line,) = (line for line in lines if line["level"] == "critical")
    assert line["event"] == "ended by an exception"
    group, *members = line["exception"]
    assert group["type"] == "builtins.ExceptionGroup"
    assert 1 <= group["members"] == len(members)
    assert {(each["type"], each["code"]) for each in members} == {(FAULT, 65)}
    assert all(each["frames"][-1].endswith(" fail_later") for each in members)


def test_a_server_says_why_its_workers_cannot_be_made() -> None:
    planted = "import orders.entrypoints.server.application as app; app.build = fail"
    (line,) = logged(planted, "serve")
    assert line["event"] == "ended by an exception"
    assert [(each["type"], each["code"]) for each in line["exception"]] == [(FAULT, 65)]


def test_a_server_says_why_its_application_does_not_start() -> None:
    """Also where that takes longer than a crash does."""
    planted = """
import contextlib, orders.entrypoints.container as container
@contextlib.asynccontextmanager
async def opened(*_):
    await asyncio.sleep(3.5)
    fail()
    yield
container.opened = opened
"""
    line, *others = logged(planted, "serve")
    assert [each["type"] for each in line["exception"]] == [FAULT]
    assert [each["logger"] for each in others] == ["uvicorn.error"] * 2


def test_a_server_says_why_it_ended_itself() -> None:
    planted = """
import signal
waits, sigwait = iter([fail]), signal.sigwait
signal.sigwait = lambda of: next(waits, sigwait)(of)
"""
    (line,) = logged(planted, "serve")
    assert [each["type"] for each in line["exception"]] == [FAULT]


@pytest.mark.parametrize(
    ("planted", "arguments"),
    [
        (MIGRATES, ["migrate"]),
        ("import orders.entrypoints.cli.outbox as o; o.listed = fail_later", ["outbox", "list"]),
        ("import orders.entrypoints.cli.outbox as o; o.resend = fail_later", ["outbox", "resend"]),
        ("import orders.entrypoints.published.schema as s; s.render = fail", ["schema", "events"]),
    ],
)
def test_a_command_says_it_in_one_line(planted: str, arguments: list[str]) -> None:
    code, said = run(planted, *arguments)
    assert code == 1
    (line,) = said.splitlines()
    assert line.startswith(f"orders: ended by an exception: {FAULT} (code 65) at <string>:")


@pytest.mark.parametrize("action", [["list"], ["resend"], ["drop", "--publisher", "kafka"]])
def test_a_command_says_that_the_database_does_not_answer(action: list[str]) -> None:
    code, said = run("", "outbox", *action)
    assert code == 1
    (line,) = said.splitlines()
    assert line.startswith("orders: the database call failed: ")
    assert line.endswith(": see ORDERS_MONGO_URI")


def test_a_publisher_that_there_is_not_is_named_wrongly() -> None:
    code, said = run("", "outbox", "resend", "--publisher", "kafak")
    assert code == 2
    assert all(name in said for name in PUBLISHERS)


def test_a_command_names_the_members_of_a_group() -> None:
    planted = """
def group(_):
    raise ExceptionGroup("canary7f3a", [fault(), ValueError("canary7f3a")])
import orders.entrypoints.published.schema as s; s.render = group
"""
    _, said = run(planted, "schema", "events")
    assert "builtins.ExceptionGroup at <string>:" in said
    assert f"; {FAULT} (code 65); builtins.ValueError" in said


@pytest.mark.parametrize(
    ("does", "event"),
    [
        (
            "asyncio.create_task(fail_later()); await asyncio.sleep(0.01); gc.collect()",
            "Task exception was never retrieved",
        ),
        (CALLS_BACK.strip(), "Exception in callback fail"),
        (
            "thread = threading.Thread(target=fail); thread.start(); thread.join()",
            "a thread ended by an exception",
        ),
        (
            "dying = type('Dying', (), {'__del__': fail})(); del dying; gc.collect()",
            "an exception could not be raised",
        ),
        (
            "logging.getLogger('a.library').error('canary %d', 'canary7f3a')",
            "a record without a text",
        ),
        (
            "try: fail()\n    except BulkWriteError: traceback.print_exc()",
            "__main__:1 printed to standard error",
        ),
        ("print('canary7f3a', file=sys.stderr)", "__main__:1 printed to standard error"),
    ],
)
def test_what_goes_wrong_on_the_way_is_a_line_without_a_text(does: str, event: str) -> None:
    lines = logged(ONCE_UP.format(f"    {does}"), "worker", code=0)
    found = [line["event"] for line in lines if "store-unavailable" not in line["event"]]
    assert len(found) == 1
    assert found[0].split(":")[0] == event.split(":", maxsplit=1)[0]
    assert found[0].rpartition(" ")[2] == event.rpartition(" ")[2]


def test_a_warning_is_a_line() -> None:
    does = "    warnings.simplefilter('always'); warnings.warn('mind the gap')"
    lines = logged(ONCE_UP.format(does), "worker", code=0)
    assert [line["logger"] for line in lines if "mind the gap" in line["event"]] == ["py.warnings"]


def test_a_line_is_never_longer_than_a_pipe_takes_whole() -> None:
    does = """
    def deep(n):
        if n:
            deep(n - 1)
        fail()
    try:
        try:
            deep(50)
        except BulkWriteError as error:
            raise ExceptionGroup("", [*([error] * 20), fault()]) from error
    except ExceptionGroup:
        logging.getLogger("orders.any").exception("deep", extra={"roles": ["r" * 200] * 50})
"""
    code, said = run(ONCE_UP.format(does), "worker")
    assert code == 0
    (line,) = (line for line in said.splitlines(keepends=True) if '"deep"' in line)
    assert 500 < len(line.encode()) <= 4_096
    assert json.loads(line)["exception"][0]["members"] == 21
