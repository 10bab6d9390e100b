"""The published descriptions, as text for a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from orders.adapters.messages import EVENTS, message_type
from orders.entrypoints.published import asyncapi
from orders.entrypoints.published.event_schemas import schema_of


def render(kind: str) -> str:
    """The description of a kind: `openapi` (3.1), `openapi-3.0`, `asyncapi`, `graphql`, or
    `events`, the schemas of messages by type.
    """
    if kind == "graphql":
        return graphql_text()
    return text_of(_KINDS[kind]())


def text_of(description: object) -> str:
    """A description as it stands in its file, without the last newline."""
    return msgspec.json.format(msgspec.json.encode(description), indent=2).decode()


def graphql_text() -> str:
    """The GraphQL schema in its own language, without the last newline."""
    # Late: needs an extra.
    from graphql import print_schema  # noqa: PLC0415

    from orders.entrypoints.graphql.queries import build_schema  # noqa: PLC0415

    return print_schema(build_schema())


def _openapi() -> dict[str, Any]:
    # Late: the events can be described without the web framework.
    from orders.entrypoints.http.app import description  # noqa: PLC0415

    return description()


def _openapi_3_0() -> dict[str, Any]:
    from orders.entrypoints.http.openapi.version_3_0 import as_openapi_3_0  # noqa: PLC0415

    return as_openapi_3_0(_openapi())


def _events() -> dict[str, Any]:
    return {message_type(event.__name__): schema_of(event) for event in EVENTS}


_KINDS: Mapping[str, Callable[[], dict[str, Any]]] = {
    "openapi": _openapi,
    "openapi-3.0": _openapi_3_0,
    "asyncapi": asyncapi.description,
    "events": _events,
}
