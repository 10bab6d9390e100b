"""The forms of schemas that generators of clients read well.

Tried with generators for Go, Java, Python, Rust and TypeScript: an integer without a format is cut
to 32 bits, a choice of one schema and an object as default do not compile, and a closed answer
breaks a client as soon as a member is added.
"""

from __future__ import annotations

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
    for name, schema in shown["components"]["schemas"].items():
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
    return {
        key: _shaped(each)
        for key, each in node.items()
        if not (key == "default" and isinstance(each, dict | list | tuple | None))
        # OpenAPI 3.0 allows no empty list.
        and not (key == "required" and each == [])
    }


def _with_one_choice(node: Schema) -> Schema:
    """Name every choice `oneOf`, and take the only schema of a choice of one."""
    choice = node.get("oneOf", node.get("anyOf"))
    if choice is None:
        return node
    rest = {key: each for key, each in node.items() if key not in {"oneOf", "anyOf"}}
    return {**rest, **choice[0]} if len(choice) == 1 else {**rest, "oneOf": choice}


def _pascal_case(value: str) -> str:
    return value.replace("_", " ").title().replace(" ", "")
