"""What processes cost, by the kernel's own accounts: a busy machine changes times, not these."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

_HELD_UP_SECONDS: Final = 0.0005
_CPU_CLOCK: Final = 2  # CPUCLOCK_SCHED of another process, see clock_getcpuclockid(3)


def family_of(pid: int) -> list[int]:
    """The process and all that descend from it."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:  # it has ended
                continue
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    family = [pid]
    for member in family:
        family += [child for child, parent in parents.items() if parent == member]
    return family


def cpu_seconds(pids: list[int]) -> float:
    """User and system time that the processes have taken so far, to the nanosecond."""
    return sum(time.clock_gettime((~pid << 3) | _CPU_CLOCK) for pid in pids)


def resident_bytes(pids: list[int]) -> int:
    """Memory the processes hold, what they share counted once per process."""
    page = os.sysconf("SC_PAGE_SIZE")
    return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page for pid in pids)


def held_up(seconds: float = 5.0) -> str:
    """What the machine takes from a process that does nothing but look at the clock.

    A virtual machine has its processors from others: no request is quicker than that allows.
    """
    held: list[float] = []
    last = began = time.perf_counter()
    while last - began < seconds:
        now = time.perf_counter()
        if now - last > _HELD_UP_SECONDS:
            held.append(now - last)
        last = now
    longest = max(held, default=0) * 1e3
    return f"{sum(held) / seconds:.1%} of the time, {longest:.0f} ms at a stretch"


def machine() -> dict[str, str]:
    """What this ran on, how busy that was, and how much of it was there."""
    processor = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        "unknown",
    )
    return {
        "processor": processor,
        "cores": str(os.cpu_count()),
        "kernel": os.uname().release.partition("-")[0],
        "load average before": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "CPU taken by other work, before": held_up(),
    }
