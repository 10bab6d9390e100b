"""Moments an equal time apart, as exactly as the kernel keeps time.

The timers of event loops are of whole milliseconds: requests sent by them come in bunches, and
wait for each other. One of `timerfd_create(2)` is of nanoseconds, and is waited for like a socket.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

_SOON_SECONDS: Final = 0.01
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


class _Time(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))

    @classmethod
    def of(cls, seconds: float) -> _Time:
        return cls(*divmod(round(seconds * 1e9), 1_000_000_000))


class _Timer(ctypes.Structure):
    _fields_ = (("interval", _Time), ("first", _Time))


@contextmanager
def ticking(per_second: float, tick: Callable[[int], None]) -> Iterator[float]:
    """Call `tick` that often, with how many moments have come; gives when the first one is due.

    In seconds of `time.perf_counter`.
    """
    descriptor = _LIBC.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "there is no timer")
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, lambda: tick(int.from_bytes(os.read(descriptor, 8), "little")))
    began = time.perf_counter() + _SOON_SECONDS
    try:
        timer = _Timer(_Time.of(1 / per_second), _Time.of(_SOON_SECONDS))
        _LIBC.timerfd_settime(descriptor, 0, ctypes.byref(timer), None)
        yield began
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
