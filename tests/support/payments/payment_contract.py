"""The published contract of the payment service, as something to check messages against."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from jsonschema import Draft202012Validator

FILE = Path(__file__).parents[3] / "infra" / "contracts" / "payment-service.openapi.json"
CONTRACT: dict[str, Any] = msgspec.json.decode(FILE.read_bytes())
OPERATIONS: dict[str, tuple[str, str, dict[str, Any]]] = {
    operation["operationId"]: (method.upper(), path, operation)
    for path, item in CONTRACT["paths"].items()
    for method, operation in item.items()
    if method != "parameters"
}


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    """What a node refers to, or itself."""
    while "$ref" in node:
        target: Any = CONTRACT
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def check(schema: dict[str, Any], value: object) -> None:
    """Fail unless a value is of a schema of the contract."""
    whole = schema | {"components": CONTRACT["components"]}
    Draft202012Validator(whole).validate(value)


def check_request(operation_id: str, headers: dict[str, str], body: bytes) -> None:
    """Fail unless a request is one that the contract allows."""
    _, _, operation = OPERATIONS[operation_id]
    content = operation["requestBody"]["content"]
    check(content[headers["Content-Type"]]["schema"], msgspec.json.decode(body))
    check_headers(operation, headers)


def check_headers(operation: dict[str, Any], headers: dict[str, str]) -> None:
    """Fail unless all header parameters of an operation are there and of their form."""
    for parameter in map(resolved, operation["parameters"]):
        if parameter["in"] == "header":
            check(parameter["schema"], headers[parameter["name"]])


def check_answer(operation_id: str, status: int, headers: dict[str, str], body: bytes) -> None:
    """Fail unless the contract knows an answer of this status, form and header fields."""
    _, _, operation = OPERATIONS[operation_id]
    response = resolved(operation["responses"][str(status)])
    media_type = headers["Content-Type"].partition(";")[0]
    check(response["content"][media_type]["schema"], msgspec.json.decode(body))
    if "Idempotency-Replayed" in headers:
        field = resolved(response["headers"]["Idempotency-Replayed"])
        check(field["schema"], headers["Idempotency-Replayed"])
