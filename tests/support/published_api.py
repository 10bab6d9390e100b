"""The published description of the API, as a judge of every answer.

The description leaves answers open, because they grow. The judge closes them: an answer with a
member or a value that is not described fails.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import httpx
from jsonschema import Draft202012Validator, FormatChecker

_ANY_SEGMENT = "[^/]+"


@dataclass
class Published:
    """An OpenAPI 3.1 document. `seen` holds each operation's statuses that were judged."""

    document: dict[str, Any]
    seen: set[tuple[str, int]] = field(default_factory=set)
    _validators: dict[tuple[str, int], Draft202012Validator] = field(default_factory=dict)

    @cached_property
    def operations(self) -> dict[str, dict[str, Any]]:
        """Every operation by "method path"."""
        return {
            f"{method} {path}": operation
            for path, methods in self.document["paths"].items()
            for method, operation in methods.items()
        }

    @cached_property
    def _templates(self) -> list[tuple[re.Pattern[str], str]]:
        """Paths with parameters last: /orders/quote is not /orders/{order_id}."""
        paths = sorted(self.document["paths"], key=lambda path: path.count("{"))
        return [
            (re.compile(re.sub(r"\\{[^}]*\\}", _ANY_SEGMENT, re.escape(path)) + r"\Z"), path)
            for path in paths
        ]

    def operation_of(self, request: httpx.Request) -> str | None:
        """The operation that a request is for; None if it is for nothing that is published."""
        for pattern, path in self._templates:
            name = f"{request.method.lower()} {path}"
            if pattern.match(request.url.path) and name in self.operations:
                return name
        return None

    def judge(self, answer: httpx.Response) -> None:
        """Fail unless the answer's status, media type and body are as published."""
        name = self.operation_of(answer.request)
        if name is None:
            return
        status = answer.status_code
        published = self.operations[name]["responses"]
        assert str(status) in published, f"{name} answers {status}, which is not published"
        self.seen.add((name, status))
        content = published[str(status)].get("content")
        if not content or status == 304:
            assert answer.content == b"", f"{name} answers {status} with a body"
            return
        media_type = answer.headers["content-type"].partition(";")[0]
        assert media_type in content, f"{name} answers {status} as {media_type}"
        self._validator(name, status, content[media_type]["schema"]).validate(answer.json())

    def validator_of(self, schema: dict[str, Any]) -> Draft202012Validator:
        """A validator of a schema that may refer to the document's components, all closed."""
        return Draft202012Validator(
            {**schema, "components": {"schemas": self._schemas}}, format_checker=FormatChecker()
        )

    @cached_property
    def _schemas(self) -> dict[str, Any]:
        schemas = self.document["components"]["schemas"]
        return {name: _closed(schema) for name, schema in schemas.items()}

    def _validator(self, name: str, status: int, schema: dict[str, Any]) -> Draft202012Validator:
        if (name, status) not in self._validators:
            self._validators[name, status] = self.validator_of(schema)
        return self._validators[name, status]


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    if "properties" not in schema:
        return schema
    properties = {
        name: {**member, "enum": [*member["x-extensible-enum"], None]}
        if "x-extensible-enum" in member
        else member
        for name, member in schema["properties"].items()
    }
    return {**schema, "properties": properties, "additionalProperties": False}
