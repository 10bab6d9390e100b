"""The same description as OpenAPI 3.0, for generators and gateways that read no 3.1.

Lost on the way: the names that members of `metadata` may have, and that a body which may be left
out may also be null. Whoever sends no such body loses nothing.
"""

from __future__ import annotations

from typing import Any, Final

from orders.entrypoints.http.openapi.shapes import NULL, Schema

VERSION: Final = "3.0.3"
_UNKNOWN: Final = frozenset({"propertyNames"})
_EXCLUSIVE: Final = {"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"}


def as_openapi_3_0(description: Schema) -> Schema:
    """A copy of an OpenAPI 3.1 description in the words of 3.0.

    Raises:
        ValueError: If a schema says what 3.0 has no word for.
    """
    shown: Schema = _lowered({**description, "openapi": VERSION})
    for methods in shown["paths"].values():
        for operation in methods.values():
            for content in operation.get("requestBody", {}).get("content", {}).values():
                if "nullable" in content["schema"]:
                    (content["schema"],) = content["schema"]["allOf"]
    return shown


def _lowered(node: Any) -> Any:
    if isinstance(node, list):
        return [_lowered(each) for each in node]
    if not isinstance(node, dict):
        return node
    lowered: Schema = {}
    for key, value in _without_null(node).items():
        if key in _UNKNOWN:
            continue
        if key == "const":
            lowered["enum"] = [value]
        elif key == "examples" and isinstance(value, list):
            lowered["example"] = value[0]
        elif key in _EXCLUSIVE:
            lowered |= {_EXCLUSIVE[key]: value, key: True}
        else:
            lowered[key] = _lowered(value)
    return lowered


def _without_null(node: Schema) -> Schema:
    """Say `nullable` instead of the type null."""
    if isinstance(types := node.get("type"), list):
        node = {**node, "type": _only([each for each in types if each != "null"])}
        return {**node, "nullable": True} if "null" in types else node
    if NULL not in (choice := node.get("oneOf", ())):
        return node
    only = _only([each for each in choice if each != NULL])
    # 3.0 ignores keywords beside a reference, and `nullable` without a type. We refer to objects.
    schema = {"type": "object", "allOf": [only]} if "$ref" in only else only
    rest = {key: value for key, value in node.items() if key != "oneOf"}
    return {**schema, **rest, "nullable": True}


def _only(others: list[Any]) -> Any:
    if len(others) != 1:
        raise ValueError(f"not one schema or null, but one of {others}")
    return others[0]
