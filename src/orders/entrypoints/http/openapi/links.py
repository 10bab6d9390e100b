"""The headers of responses, and the links from a response to the requests that can follow it."""

from __future__ import annotations

import re
from typing import Any, Final

_LIST: Final = re.compile(r"/v1/orders/\{order_id\}/(\w+)")
_PART: Final = re.compile(r"/v1/orders/\{order_id\}/(\w+)/\{part_id\}")

_TEXT: Final = {"type": "string"}
_ETAG: Final = {
    "description": "The version of the order, for If-Match and If-None-Match.",
    "schema": {"type": "string", "pattern": '^"[0-9]+"$'},
    "required": True,
}
_LOCATION: Final = {
    "description": "The address of the order.",
    "schema": {"type": "string", "pattern": "^/v1/orders/[0-9a-f-]{36}$"},
    "required": True,
}
_REPLAYED: Final = {
    "description": "An earlier request with this Idempotency-Key was processed.",
    "schema": {"enum": ["true"], **_TEXT},
}
_NEXT: Final = {"description": 'The next page (RFC 8288, rel="next").', "schema": _TEXT}
_AUTHENTICATE: Final = {
    "description": "RFC 6750.",
    "schema": {**_TEXT, "pattern": "^Bearer.*$"},
    "required": True,
}
_RETRY_AFTER: Final = {
    "description": "Send the request again after this many seconds.",
    "schema": {"type": "integer", "minimum": 0},
}
_LIMITS: Final = {
    "RateLimit": {
        "description": (
            "`r` requests may follow within `t` seconds (draft-ietf-httpapi-ratelimit-headers-11). "
            "Every response to a known caller has it, unless the limit is switched off."
        ),
        "schema": {**_TEXT, "pattern": '^"principal";r=[0-9]+;t=[0-9]+$'},
    },
    "RateLimit-Policy": {
        "description": "`q` requests may be sent at once, and as many in `w` seconds.",
        "schema": {**_TEXT, "pattern": '^"principal";q=[0-9]+;w=[0-9]+$'},
    },
}


def add_headers(description: dict[str, Any]) -> None:
    """Declare the headers of responses."""
    for methods in description["paths"].values():
        for operation in methods.values():
            for status, answer in operation["responses"].items():
                if found := _headers(operation, status, answer):
                    answer["headers"] = found


def _headers(operation: dict[str, Any], status: str, answer: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if operation.get("security") != [] and (status < "400" or status == "429"):
        found |= _LIMITS
    if status == "401":
        found["WWW-Authenticate"] = _AUTHENTICATE
    # 429 and 503 always have it, 409 if the other request is still running, or another one was
    # faster. It is nowhere required: ogen has one type for all, and does not compile otherwise.
    if status in {"429", "503"} or (
        status == "409" and operation["operationId"] != "read_by_reference"
    ):
        found["Retry-After"] = _RETRY_AFTER
    if status == "304" or ("OrderResponse" in str(answer) and status < "300"):
        found["ETag"] = _ETAG
        if operation["operationId"] == "place" and status == "201":
            found["Location"] = _LOCATION
        if any(each["name"] == "Idempotency-Key" for each in operation["parameters"]):
            found["Idempotency-Replayed"] = _REPLAYED
    if "cursor" in {each["name"] for each in operation.get("parameters", ())} and status == "200":
        found["Link"] = _NEXT
    return found


def add_links(description: dict[str, Any]) -> None:
    """Link each placed order, and each created part, to the operations on it."""
    operations = {
        operation["operationId"]: (path, operation)
        for path, methods in description["paths"].items()
        for operation in methods.values()
    }
    answers = {name: each["responses"] for name, (_, each) in operations.items()}
    # The operation that creates a part, by the name of the list that the part is in.
    creators = {
        found[1]: name
        for name, (path, _) in operations.items()
        if "201" in answers[name] and (found := _LIST.fullmatch(path))
    }
    for name, (path, _) in operations.items():
        part = _PART.match(path)
        if part is not None:
            answers[creators[part[1]]]["201"].setdefault("links", {})[name] = _link(
                name, order_id="id", part_id=f"{part[1]}/0/id"
            )
        elif "{order_id}" in path:
            answers["place"]["201"].setdefault("links", {})[name] = _link(name, order_id="id")
    answers["place"]["201"]["links"]["read_by_number"] = _link("read_by_number", number="number")
    answers["list"]["200"]["links"] = {"list": _link("list", cursor="next_cursor")}


def _link(operation_id: str, **parameters: str) -> dict[str, Any]:
    pointers = {name: f"$response.body#/{pointer}" for name, pointer in parameters.items()}
    return {"operationId": operation_id, "parameters": pointers}
