"""The published contracts of events, as files, and what they say of a message."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

CONTRACTS = Path(__file__).parents[3] / "infra" / "contracts"


def published(name: str) -> Any:
    """A file of the contracts."""
    return json.loads((CONTRACTS / "events" / f"{name}.json").read_text())


def strict(schema: Any) -> Any:
    """A published schema without its room for additions: for what this version itself sends."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: strict(each) for name, each in schema.items()}
    if "properties" in closed:
        closed["additionalProperties"] = False
    if "x-extensible-enum" in closed:
        closed["enum"] = closed["x-extensible-enum"]
    return closed


def validator(schema: Any) -> Draft202012Validator:
    """What judges by a schema, formats included."""
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=FormatChecker())


def judge_strictly(message: Any) -> None:
    """Check that a message is as published, and has nothing besides."""
    name = message["type"].split(".")[1]
    validator(strict(published(f"{name}.v1.schema"))).validate(message)
