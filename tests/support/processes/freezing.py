"""Processes that stand still, as if their machine hung.

A signal returns before it acts. On a busy machine, a process that was told to stop may answer, and
even handle a later signal, before the kernel gives it the turn in which it stops.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.support.processes.service import eventually

_AT_REST = frozenset("TZX")  # stopped, or ended


def freeze(pid: int) -> None:
    """Stop a process; returns when none of its threads runs any more."""
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: _is_at_rest(Path(f"/proc/{pid}")))


def freeze_group(leader: int) -> None:
    """Stop a process and all of its group; returns when none of them runs any more."""
    os.killpg(leader, signal.SIGSTOP)
    eventually(lambda: all(map(_is_at_rest, _group_of(leader))))


def _group_of(leader: int) -> list[Path]:
    """The processes of a group, as folders of /proc."""
    return [each for each in Path("/proc").glob("[0-9]*") if _stat(each)[2:3] == [str(leader)]]


def _is_at_rest(process: Path) -> bool:
    return all(_stat(thread)[0] in _AT_REST for thread in process.glob("task/*"))


def _stat(folder: Path) -> list[str]:
    """State, parent and group of a process or thread; as if ended once it is gone."""
    try:
        return (folder / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ["X"]
