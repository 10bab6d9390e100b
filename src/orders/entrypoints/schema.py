"""The published descriptions, as text for a file."""

from __future__ import annotations

import msgspec

from orders.entrypoints.http.app import description


def render(kind: str) -> str:
    """The description of a kind: `openapi` is the only one yet."""
    if kind != "openapi":
        raise ValueError(kind)
    return msgspec.json.format(msgspec.json.encode(description()), indent=2).decode()
