"""Measure what the service promises for bad days; writes docs/reports/availability.md."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.availability import brokers, overload, slow_bodies, steady
from tests.availability.figures import REPORT, publish

EXPERIMENTS: dict[str, Callable[[Path, argparse.Namespace], str]] = {
    "roll": steady.roll,
    "crash": steady.crash,
    "idle": steady.idle,
    "overload": overload.overload,
    "slow-bodies": slow_bodies.slow_bodies,
    "soak": steady.soak,
    "two-brokers": brokers.two_brokers,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.availability", description=__doc__)
    parser.add_argument("name", nargs="*", help=f"of {', '.join(EXPERIMENTS)}; all by default")
    parser.add_argument("--rate", type=float, default=0, help="requests a second, where it is set")
    parser.add_argument("--seconds", type=float, default=0, help="how long, where it is set")
    parser.add_argument(
        "--runs", type=int, default=3, help="how often overload and slow-bodies are repeated"
    )
    parser.add_argument("--database", help="a program that serves MongoDB as SecantusDB does")
    options = parser.parse_args()
    for name in options.name or EXPERIMENTS:
        with tempfile.TemporaryDirectory(prefix="orders-availability-") as folder:
            text = EXPERIMENTS[name](Path(folder), options)
        flags = [
            f"--{each} {getattr(options, each):g}"
            for each in ("rate", "seconds")
            if getattr(options, each)
        ]
        if options.database:
            flags.append(f"--database {Path(options.database).name}")
            text += "\n\nThe database is SecantusDB's Rust server, with synced commits."
        publish(name, text, command=" ".join(["python -m tests.availability", name, *flags]))
        print(f"{text}\n\nin {REPORT}", flush=True)  # noqa: T201 - a command


if __name__ == "__main__":
    main()
