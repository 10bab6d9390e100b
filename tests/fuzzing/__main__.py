"""Run Schemathesis in full: every check, every phase, every operation, with and without a token.

`python -m tests.fuzzing --examples 1000 --seed 1`. The service keeps everything in memory, or is
the one that `--url` and `--token` name.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.fuzzing.schemathesis_run import Run, run
from tests.fuzzing.service import in_memory_service


def main() -> int:
    """Returns 1 if anything was found."""
    arguments = argparse.ArgumentParser(prog="python -m tests.fuzzing", description=__doc__)
    arguments.add_argument("--examples", type=int, default=1_000, help="of each operation")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--url")
    arguments.add_argument("--token")
    chosen = arguments.parse_args()
    if chosen.url:
        return _both(chosen.url, chosen.token, chosen)
    with (
        tempfile.TemporaryDirectory(prefix="orders-fuzz-") as folder,
        in_memory_service(Path(folder)) as service,
    ):
        return _both(service.url, service.token("fuzz", "admin"), chosen)


def _both(url: str, token: str, chosen: argparse.Namespace) -> int:
    found = 0
    for who in (token, None):
        done = run(Run(url=url, token=who, examples=chosen.examples, seed=chosen.seed))
        sys.stdout.write(f"\n{'with' if who else 'without'} a token: {done.command}\n{done.output}")
        found |= done.exit_code
    return found


if __name__ == "__main__":
    raise SystemExit(main())
