"""Processes that end with the run."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from orders.entrypoints.processes import end_with

_PATIENCE_SECONDS = 30


@contextmanager
def running(
    command: Sequence[str], log: Path, environ: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that runs until the block is left; what it writes goes to `log`."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=partial(end_with, os.getpid()),  # noqa: PLW1509  # one system call
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=_PATIENCE_SECONDS)
