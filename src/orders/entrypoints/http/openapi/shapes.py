"""The forms of schemas that generators of clients read well.

Tried with generators for Go, Java, Python, Rust and TypeScript: an integer without a format is cut
to 32 bits, a choice of one schema and an object as default do not compile, and a closed answer
breaks a client as soon as a member is added.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

Schema = dict[str, Any]

GROWS: Final = "Later versions may add values."
NULL: Final = {"type": "null"}


def or_null(schema: Schema) -> Schema:
    """A schema that also allows null."""
    return {"oneOf": [schema, NULL]}


def shaped(description: Schema) -> Schema:
    """A copy of a description with every schema in these forms."""
    shown: Schema = _shaped(description)
    schemas = shown["components"]["schemas"]
    _open_answers(schemas)
    for name in [name for name in schemas if f"/{name}'" not in str(shown)]:
        del schemas[name]
    for name, schema in schemas.items():
        # Some generators name a class by its title.
        schema["title"] = name
        if name.endswith("Body"):
            schema["additionalProperties"] = False
        elif schema.get("type") == "object":
            # Answers grow. Our own tests close them, to notice what is not described.
            schema["additionalProperties"] = True
        if "enum" in schema:
            schema["description"] += f" {GROWS}"
            # Constants of Go share one scope: `pending` is a status of orders and of payments.
            schema["x-enum-varnames"] = [name + _pascal_case(value) for value in schema["enum"]]
    return shown


def _shaped(node: Any) -> Any:
    if isinstance(node, list):
        return [_shaped(each) for each in node]
    if not isinstance(node, dict):
        return node
    node = _with_one_choice(node)
    if node.get("type") == "integer":
        # Amounts need it. For the others, to add it later would break the clients made until then.
        bounds = {key: int(node[key]) for key in ("minimum", "maximum") if key in node}
        node = {**node, **bounds, "format": "int64"}
    if "-created_at" in node.get("enum", ()):
        # Generators can make no name of it: one is VALUE_1 in Python.
        node = {**node, "x-enum-varnames": ["OldestFirst", "NewestFirst", "UpdatedAt"]}
    return {
        key: each == {} or _shaped(each) if key == "additionalProperties" else _shaped(each)
        for key, each in node.items()
        if not (key == "default" and isinstance(each, dict | list | tuple | None))
        # OpenAPI 3.0 allows no empty list.
        and not (key == "required" and each == [])
    }


def _with_one_choice(node: Schema) -> Schema:
    """Name every choice `oneOf`, and take the only schema of a choice of one."""
    kind = next((key for key in ("oneOf", "anyOf", "allOf") if key in node), None)
    if kind is None:
        return node
    choice, rest = node[kind], {key: each for key, each in node.items() if key != kind}
    if len(choice) > 1:
        # No value is of two of our types, so "any" is "one".
        return {**rest, "oneOf" if kind == "anyOf" else kind: choice}
    # 3.0 allows nothing beside a reference.
    return choice[0] if "$ref" in choice[0] else {**rest, **choice[0]}


def open_value(known: list[str], schema: Schema) -> Schema:
    """A text in an answer that has one of these values, or later another one.

    An `enum` or a `const` would make generated clients fail at a new value; generators leave
    `x-extensible-enum` alone.
    """
    told = f"{schema['description']}: one of" if "description" in schema else "One of"
    text = f"{told} {', '.join(known)}. {GROWS}"
    return {**schema, "description": text, "x-extensible-enum": known}


def _open_answers(schemas: Schema) -> None:
    enums = {name: schema for name, schema in schemas.items() if "enum" in schema}
    for name, schema in schemas.items():
        if not name.endswith("Body") and name not in enums:
            schemas[name] = _opened(schema, enums)


def _opened(node: Any, enums: Mapping[str, Schema]) -> Any:
    """An answer whose members have no closed set of values."""
    if isinstance(node, list):
        return [_opened(each, enums) for each in node]
    if not isinstance(node, dict):
        return node
    name = str(node.get("$ref", "")).rpartition("/")[2]
    if name in enums:
        return open_value(enums[name]["enum"], {"type": "string"})
    if isinstance(only := node.get("const"), str):
        return open_value([only], {key: each for key, each in node.items() if key != "const"})
    return {key: _opened(each, enums) for key, each in node.items()}


def _pascal_case(value: str) -> str:
    return value.replace("_", " ").title().replace(" ", "")
