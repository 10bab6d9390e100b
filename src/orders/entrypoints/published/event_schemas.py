"""The published JSON Schemas of events, open to what a later version of the service may add.

`docs/events.md` has the promise that they keep. Each event has two: of the message, and of its
`data`, which `dataschema` names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from orders.adapters.messages import EVENTS, CloudEvent, data_schema_id, message_type

Kind = Literal["Event", "Data"]
"""Which of the two schemas: of the message, or of its `data`."""

_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
_GROWS: Final = "Further values may be added."
_OPTIONAL: Final = frozenset({"traceparent"})


def components(events: tuple[type[Any], ...], ref_template: str) -> dict[str, Any]:
    """All schemas of these events, by a name that is a good name for a class."""
    _, found = msgspec.json.schema_components(
        [CloudEvent[event] for event in events],  # type: ignore[valid-type] # a class at run time
        ref_template="{name}",
    )
    names = {name: _class_name(name, {event.__name__ for event in events}) for name in found}
    renamed = {names[name]: schema for name, schema in found.items()}
    for event in events:
        properties = renamed[f"{event.__name__}Event"]["properties"]
        properties["type"]["const"] = message_type(event.__name__)
        properties["dataschema"]["const"] = data_schema_id(event.__name__)
    return {
        name: {"title": name} | _opened(schema, names, ref_template)
        for name, schema in sorted(renamed.items())
    }


def schema_of(event: type[Any], kind: Kind = "Event") -> dict[str, Any]:
    """One schema of an event, with all that it refers to."""
    parts = components((event,), "#/$defs/{name}")
    needed = _reachable(f"{event.__name__}{kind}", parts)
    (_, own), *rest = needed.items()
    name = data_schema_id(event.__name__)
    return {
        "$schema": _DRAFT,
        "$id": name if kind == "Data" else f"{name}:message",
        **own,
        "$defs": dict(sorted(rest)),
    }


def schema_file(event: type[Any], kind: Kind = "Event") -> str:
    """The name of a schema's file."""
    return f"{event.__name__}.v1.{'data.' if kind == 'Data' else ''}schema.json"


def schemas_by_name() -> dict[str, dict[str, Any]]:
    """Every schema, by the name of its file and by its `$id`."""
    found = {}
    for event in EVENTS:
        for kind in ("Event", "Data"):
            schema = schema_of(event, kind)
            found[schema_file(event, kind)] = found[schema["$id"]] = schema
    return found


def _class_name(name: str, events: set[str]) -> str:
    """The name of a schema: msgspec calls them `CloudEvent_X_`, `Data_X_` and `X`."""
    if generic := re.fullmatch(r"(CloudEvent|Data)_(\w+)_", name):
        return generic[2] + ("Event" if generic[1] == "CloudEvent" else "Data")
    return f"{name}Change" if name in events else name


def _opened(schema: Any, names: Mapping[str, str], ref_template: str) -> Any:
    """A schema as it is published: its references renamed, and nothing closed that may grow."""
    if isinstance(schema, list):
        return [_opened(each, names, ref_template) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        # Alone: before draft 2019-09, which generators still read, what is beside it is ignored.
        return {"$ref": ref_template.format(name=names[schema["$ref"]])}
    found = {name: _opened(each, names, ref_template) for name, each in schema.items()}
    found.pop("title", None)
    found.pop("default", None)
    if "enum" in found:
        found |= _values(found.pop("enum"), found.get("description", ""))
    elif found.get("type") == "integer":
        found["format"] = "int64"
    elif "properties" in found:
        # msgspec does not require members with a default, but we always send them.
        found["required"] = sorted(found["properties"].keys() - _OPTIONAL)
        found["additionalProperties"] = True
    return found


def _values(values: list[str], description: str) -> dict[str, Any]:
    if len(values) == 1:
        return {"type": "string", "const": values[0]}
    return {
        "type": "string",
        "description": f"{description} {_GROWS}".strip(),
        "x-extensible-enum": values,
    }


def _reachable(name: str, parts: Mapping[str, Any]) -> dict[str, Any]:
    """A schema and all that it refers to, itself first."""
    found = {name: parts[name]}
    for each in re.findall(r'"#/\$defs/(\w+)"', msgspec.json.encode(parts[name]).decode()):
        found |= {key: part for key, part in _reachable(each, parts).items() if key not in found}
    return found
