"""Generate the published schemas of events and GraphQL from the code, or check them.

A golden message is written once and stays: a form that would change it is a new version.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import UUID

import msgspec

from orders.adapters.contracts.events.event_samples import EVERY_EVENT, logged_events
from orders.adapters.messages import EVENTS, encode, event_name, schema_of
from orders.entrypoints.published import asyncapi
from orders.entrypoints.published.schema import graphql_text, text_of

CONTRACTS = Path(__file__).parent
ORDER_ID = UUID("6f1c7a52-9c1e-8d0b-a4c3-1f2e3d4c5b6a")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check every file. Returns 1 if one differs from the code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing")
    check = parser.parse_args(arguments).check
    stale = [path for path, text in files() if not path.exists() or path.read_text() != text]
    for path, text in files():
        if path in stale:
            print(f"{path.name} {'is not as the code says' if check else 'written'}")
            if not check:
                _write(path, text)
    return int(check and bool(stale))


def files() -> Iterator[tuple[Path, str]]:
    """Every file with its content according to the code."""
    yield CONTRACTS / "asyncapi.json", text_of(asyncapi.description()) + "\n"
    yield CONTRACTS / "orders.graphql", graphql_text() + "\n"
    for event in EVENTS:
        yield CONTRACTS / asyncapi.schema_file(event), text_of(schema_of(event)) + "\n"
    for sample in EVERY_EVENT:
        (logged,) = logged_events((sample,), order_id=ORDER_ID)
        path = CONTRACTS / "events" / f"{event_name(logged.recorded)}.v1.golden.json"
        yield path, msgspec.json.format(encode(logged), indent=2).decode() + "\n"


def _write(path: Path, text: str) -> None:
    if path.name.endswith(".golden.json") and path.exists():
        raise SystemExit(f"{path.name} is published: give the new form a new version")
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


if __name__ == "__main__":
    raise SystemExit(main())
