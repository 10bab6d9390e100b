"""One run of Schemathesis against a service that answers."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

_ROOT = Path(__file__).parents[2]
_CONFIG = Path(__file__).with_name("schemathesis.toml").relative_to(_ROOT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What to do. Without a token, every request is sent without one."""

    url: str
    token: str | None
    examples: int
    seed: int = 1
    phases: str = "examples,coverage,fuzzing,stateful"


class Done(NamedTuple):
    """What came of it; 0 if nothing was found."""

    exit_code: int
    output: str
    command: str


def run(asked: Run) -> Done:
    """Run it, in a process of its own, and wait."""
    # fmt: off
    command = [
        str(Path(sys.executable).with_name("st")), "--no-color", "--config-file", str(_CONFIG),
        "run", f"{asked.url}/schema/openapi.json", "--phases", asked.phases,
        "--max-examples", str(asked.examples), "--seed", str(asked.seed),
        "--continue-on-failure", "--generation-database", "none",
    ]
    # fmt: on
    shown = " ".join(command[1:])
    if asked.token is not None:
        command += ["--header", f"Authorization: Bearer {asked.token}"]
    environ = os.environ | {"PYTHONPATH": str(_ROOT)}
    done = subprocess.run(
        command, cwd=_ROOT, env=environ, capture_output=True, text=True, check=False
    )
    return Done(done.returncode, done.stdout + done.stderr, shown)
