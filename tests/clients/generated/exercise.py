"""Make a client with a generator, compile it, and go through the main journey with it.

The journey is a program of some sixty lines over the generated code, in each language the same: it
is given ORDERS_URL, ORDERS_TOKEN and ORDERS_CUSTOMER, and prints what it read from the answers.
It runs twice: against the service, and against one whose answers have members that no document
knows.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.clients.generated.generators import OPENAPI_3_0, OPENAPI_3_1, Generator
from tests.clients.generated.newer_service import newer_service
from tests.clients.programs import NO_PROXY, cache_folder, need
from tests.support.processes.service import Running, key

HERE: Final = Path(__file__).parent
LOCKS: Final = HERE.parents[2] / "requirements"
PRINTED: Final = """\
placed 6000000000 authorized
repeated: the same order, replayed
captured 4500000000
refused 409 amount-exceeds-due
captured 2500 without an amount
listed 3 orders on 2 pages
edited: Leave it with the neighbour
refused 412 stale-version
"""
MOVED: Final = sorted(
    [
        [("authorization", 6_000_000_000), ("capture", 4_500_000_000)],
        [("authorization", 2_500), ("capture", 2_500)],
        [("authorization", 2_500)],
    ]
)
"""What the payment service did for the three orders of a journey."""
_STEP_SECONDS: Final = 900


class StepFailed(Exception):
    """A generator, a compiler or a journey failed, and this is what it printed."""


@dataclass(frozen=True, slots=True)
class Exercised:
    """The version of the generator, and how long each step took, in seconds."""

    version: str
    seconds: Mapping[str, float]


def exercise(generator: Generator, running: Running) -> Exercised:
    """Install, generate, compile, and run the journey.

    Raises:
        StepFailed: If a step fails, or the journey reads or does anything but what it should.
    """
    for each in generator.needs:
        need(each.program, each.argument, each.pattern, each.what)
    with working_folder(f"generated/{generator.folder}", files_of(generator)) as home:
        _fetch_documents(running, home)
        seconds = {"install": install(generator.name, generator.pins, generator.install, home)}
        subprocess.run(["rm", "-rf", *generator.output.split()], cwd=home, check=True)
        seconds["generate"] = step("generate", generator.generate, home)[0]
        seconds["compile"] = step("compile", generator.compile, home)[0]
        seconds["journey"] = _journey(generator, home, running, running.url)
        with newer_service(running.url) as url:
            _journey(generator, home, running, url)
        version = step("version", generator.version, home)[1].split()[-1].removeprefix("v")
    return Exercised(version, seconds)


def files_of(generator: Generator) -> list[Path]:
    """The journey, and what else the generator's folder begins with."""
    places = (HERE / generator.folder, LOCKS, HERE)
    own = [*places[0].iterdir()]
    others = {*generator.pins, *generator.shared} - {file.name for file in own}
    return own + [next(p / name for p in places if (p / name).exists()) for name in others]


@contextmanager
def working_folder(name: str, files: Iterable[Path]) -> Iterator[Path]:
    """A folder of the cache with copies of the files; nobody else uses it meanwhile."""
    home = cache_folder() / name
    home.mkdir(parents=True, exist_ok=True)
    with (home / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for file in files:
            shutil.copy(file, home)
        yield home


def _fetch_documents(running: Running, home: Path) -> None:
    for name in (OPENAPI_3_1, OPENAPI_3_0):
        document = httpx.get(f"{running.url}/schema/{name}").raise_for_status()
        (home / name).write_bytes(document.content)


def install(name: str, pins: Iterable[str], command: str, home: Path) -> float:
    """Install what the files `pins` say, unless it is there already; returns the seconds."""
    pinned = [(home / pin).read_bytes() for pin in pins]
    wanted = hashlib.sha256(b"\0".join([*pinned, command.encode()])).hexdigest()
    installed = home / ".installed"
    if installed.exists() and installed.read_text() == wanted:
        return 0.0
    installed.unlink(missing_ok=True)
    try:
        seconds, _ = step("install", command, home)
    except StepFailed as failed:
        pytest.skip(f"{name} is not installed, and cannot be: {failed}")
    installed.write_text(wanted)
    return seconds


def _journey(generator: Generator, home: Path, running: Running, url: str) -> float:
    """Run the journey as a new customer, and compare what it printed and what was paid."""
    before = _payments(running)
    token = running.someone("admin").token
    assert token is not None
    seconds, printed = step(
        "journey",
        generator.journey,
        home,
        **NO_PROXY,
        ORDERS_URL=url,
        ORDERS_TOKEN=token,
        ORDERS_CUSTOMER=f"customer-{key()}",
    )
    if printed != PRINTED:
        raise StepFailed(f"the journey printed\n{printed}")
    moved = sorted(_payments(running)[len(before) :])
    if moved != MOVED:
        raise StepFailed(f"the payment service did {moved}")
    return seconds


def _payments(running: Running) -> list[list[tuple[str, int]]]:
    """What the payment service did for each payment."""
    ledger = httpx.get(f"{running.addresses['payments']}/ledger").json()
    return [
        [(each["kind"], each["amount"]) for each in payment["movements"]]
        for payment in ledger["payments"]
    ]


def step(name: str, command: str, home: Path, **environ: str) -> tuple[float, str]:
    """Run lines of `sh`; returns the seconds, and what was printed."""
    programs = [home / ".venv/bin", home / "node_modules/.bin", os.environ.get("PATH", "")]
    start = time.monotonic()
    done = subprocess.run(
        ["sh", "-ec", command],
        cwd=home,
        env={
            **os.environ,
            "PATH": os.pathsep.join(map(str, programs)),
            "PYTHON": sys.executable,
            **environ,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=_STEP_SECONDS,
    )
    if done.returncode:
        raise StepFailed(f"{name}: {command}\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return time.monotonic() - start, done.stdout
