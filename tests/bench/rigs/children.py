"""Processes that end with the run, on processors of their own where it has several."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from orders.entrypoints.server.child_processes import end_with

_PATIENCE_SECONDS = 30


@contextmanager
def running(
    command: Sequence[str],
    log: Path,
    environ: Mapping[str, str] | None = None,
    *,
    cores: Collection[int] = (),
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that runs until the block is left; what it writes goes to `log`.

    On `cores`, if there are any named, else where we run.
    """
    parent = os.getpid()

    def begin() -> None:
        end_with(parent)
        if cores:
            os.sched_setaffinity(0, cores)

    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=begin,  # noqa: PLW1509  # two system calls
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=_PATIENCE_SECONDS)


@contextmanager
def others_kept_off() -> Iterator[frozenset[int]]:
    """A core that we and what we start keep off, but for what is to run there, until the end.

    None on a machine with one.
    """
    all_cores = frozenset(os.sched_getaffinity(0))
    apart = frozenset({max(all_cores)}) if len(all_cores) > 1 else frozenset[int]()
    os.sched_setaffinity(0, all_cores - apart)
    try:
        yield apart
    finally:
        os.sched_setaffinity(0, all_cores)
