"""Generate the published schemas of events and GraphQL from the code, or check them.

What is published keeps the promise of `docs/events.md`: members are only added. A change that would
break it is not written: it is a new version of the event.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from orders.adapters.messages import EVENTS
from orders.entrypoints.published import asyncapi
from orders.entrypoints.published.event_samples import MESSAGES
from orders.entrypoints.published.event_schemas import schema_file, schema_of
from orders.entrypoints.published.schema import graphql_text, text_of

CONTRACTS = Path(__file__).parent


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check every file. Returns 1 if one differs from the code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing")
    check = parser.parse_args(arguments).check
    stale = [path for path, text in files() if not path.exists() or path.read_text() != text]
    for path, text in files():
        if path in stale:
            if not check:
                _write(path, text)
            print(f"{path.name} {'is not as the code says' if check else 'written'}")
    return int(check and bool(stale))


def files() -> Iterator[tuple[Path, str]]:
    """Every file with its content according to the code."""
    yield CONTRACTS / "asyncapi.json", text_of(asyncapi.description()) + "\n"
    yield CONTRACTS / "orders.graphql", graphql_text() + "\n"
    events = CONTRACTS / "events"
    for event in EVENTS:
        yield events / schema_file(event), text_of(schema_of(event)) + "\n"
        yield events / schema_file(event, "Data"), text_of(schema_of(event, "Data")) + "\n"
        golden = msgspec.json.format(MESSAGES[event.__name__], indent=2).decode()
        yield events / f"{event.__name__}.v1.golden.json", golden + "\n"


def broken(old: Any, new: Any, where: str = "") -> Iterator[str]:
    """What a consumer of the old contract would miss in the new one.

    Members may be added anywhere, and values to a list of values that may grow. Texts for people
    may change.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        for name, value in old.items():
            if name in {"description", "title"} and isinstance(value, str):
                continue
            if name not in new:
                yield f"{where}/{name} is gone"
            else:
                yield from broken(value, new[name], f"{where}/{name}")
    elif where.endswith(("/required", "/x-extensible-enum")):
        if gone := set(old) - set(new):
            yield f"{where} lacks {', '.join(sorted(gone))}"
    elif old != new:
        yield f"{where} was {old!r} and is {new!r}"


def _write(path: Path, text: str) -> None:
    if path.parent.name == "events" and path.exists():
        for what in broken(json.loads(path.read_text()), json.loads(text)):
            raise SystemExit(f"{path.name} is published, and {what}: make a new version")
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


if __name__ == "__main__":
    raise SystemExit(main())
