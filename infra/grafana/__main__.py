"""Write the dashboards from `boards.py`, or check that they match it.

Run as `python -m infra.grafana` from the top of the tree.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from infra.grafana.boards import dashboards

FOLDER = Path(__file__).parent / "dashboards"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check every file; 1 if one differs from the code."""
    parser = argparse.ArgumentParser(prog="python -m infra.grafana", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing")
    check = parser.parse_args(arguments).check
    wanted = {name: json.dumps(board, indent=1) + "\n" for name, board in dashboards().items()}
    there = {file.name: file.read_text() for file in FOLDER.glob("*.json")}
    stale = {name for name in {*wanted, *there} if wanted.get(name) != there.get(name)}
    for name in sorted(stale):
        print(
            f"{name} {'is not as the code says: python -m infra.grafana' if check else 'written'}"
        )
        if not check:
            _put(FOLDER / name, wanted.get(name))
    return int(check and bool(stale))


def _put(file: Path, text: str | None) -> None:
    if text is None:
        file.unlink()
    else:
        file.write_text(text)


if __name__ == "__main__":
    sys.exit(main())
