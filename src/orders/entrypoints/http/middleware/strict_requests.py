"""Strict requests: JSON bodies within a time limit, and declared query parameters only.

A malformed body is 400, a well-formed but invalid one 422. Neither response repeats what the client
sent, except the name of an unknown member.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, ClassVar, Final, NamedTuple, cast

from litestar import Request
from litestar.config.app import AppConfig
from litestar.dto import AbstractDTO
from litestar.exceptions import InternalServerException
from litestar.openapi.spec import Reference, Schema
from litestar.plugins import InitPlugin, ReceiveRoutePlugin
from litestar.routes import BaseRoute, HTTPRoute
from litestar.types import HTTPScope
from litestar.typing import FieldDefinition

from orders.entrypoints.http.problems import InvalidMember, RequestRefused
from orders.entrypoints.http.strict_json import MAX_DEPTH, decode_json, malformed

BODY_TIMEOUT_SECONDS: Final = 10.0

_JSON: Final = "application/json"
_MERGE_PATCH: Final = "application/merge-patch+json"
_NAME: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# A parameter that the media type does not define means nothing (RFC 2046, 1).
_PARAMETER: Final = rf'charset=(?:utf-8|"utf-8")|(?!charset=){_NAME}=(?:{_NAME}|"(?:[^"\\]|\\.)*")'
_JSON_SPACE: Final = b" \t\r\n"
_CUT_SHORT: Final = "The body ended before it was complete."

# Litestar also accepts 1e1 as ten, False and 0 as false, and 0 as the year 1970.
_SPELLINGS: Final = {
    bool: ("true or false", re.compile(r"true|false")),
    int: ("a whole number", re.compile(r"0|-?[1-9][0-9]{0,18}")),
    datetime: ("a time in RFC 3339", re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt].*")),
}


class _QueryParameter(NamedTuple):
    repeatable: bool
    kind: str
    spelling: re.Pattern[str] | None

    @classmethod
    def of(cls, field: FieldDefinition, *, repeatable: bool) -> _QueryParameter:
        types = {field.annotation, *(inner.annotation for inner in field.inner_types)}
        found = [spelling for type_, spelling in _SPELLINGS.items() if type_ in types]
        return cls(repeatable, *(found[0] if found else ("text", None)))


def _one_of(media_types: Collection[str]) -> re.Pattern[str]:
    # A space is read in one way only, or a long row of them would take too long.
    names = "|".join(map(re.escape, media_types))
    return re.compile(rf"(?:{names})(?:[ \t]*;(?:[ \t]*(?:{_PARAMETER}))?)*[ \t]*", re.IGNORECASE)


class StrictJson(AbstractDTO[Any]):
    """Decodes every handler's `data`: one JSON text as the annotated type (`decode_json`).

    An empty body means the handler's default. So does `null`, which several generated clients send
    for a body that was left out.

    Raises:
        RequestRefused: 415 for another media type, charset or content encoding, and what
            `decode_json` raises.
    """

    media_types: ClassVar[tuple[str, ...]] = (_JSON,)
    _media_type: ClassVar[re.Pattern[str]] = _one_of(media_types)

    def decode_bytes(self, value: bytes) -> Any:
        connection = self.asgi_connection
        headers = connection.headers
        sent = headers.getall("content-type", ())
        if len(sent) != 1 or not self._media_type.fullmatch(sent[0]):
            accepted = ", ".join(self.media_types)
            # RFC 9110, 15.5.16 and RFC 5789, 2.2: what would have been taken.
            method = cast("HTTPScope", connection.scope)["method"].lower()
            names = ("accept", f"accept-{method}")
            raise _unsupported(
                f"Send the body as {accepted} in UTF-8.", dict.fromkeys(names, accepted)
            )
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise _unsupported(
                "Send the body without a content encoding.", {"accept-encoding": "identity"}
            )
        field = connection.route_handler.parsed_data_field
        if value.strip(_JSON_SPACE) == b"null" and field.has_default:
            return field.default
        max_depth = connection.app.plugins.get(StrictRequests).max_depth
        return decode_json(value, field.annotation, max_depth=max_depth)

    @classmethod
    def is_supported_model_type_field(
        cls,
        field_definition: FieldDefinition,  # noqa: ARG003
    ) -> bool:
        """Return False for every response: this class only decodes requests."""
        return False

    @classmethod
    def create_for_field_definition(cls, *_: Any, **__: Any) -> None:
        """Create no transfer model: the annotated type is decoded directly."""

    @classmethod
    def create_openapi_schema(
        cls,
        field_definition: FieldDefinition,
        handler_id: str,  # noqa: ARG003
        schema_creator: Any,
    ) -> Reference | Schema:
        schema: Reference | Schema = schema_creator.for_field_definition(field_definition)
        return schema


class StrictMergePatch(StrictJson):
    """`StrictJson` that also accepts application/merge-patch+json (RFC 7396)."""

    media_types = (_MERGE_PATCH, _JSON)
    _media_type = _one_of(media_types)


class BoundedRequest(Request[Any, Any, Any]):
    """A request whose whole body must arrive within `timeout_seconds`.

    With any server below, a body that was lost on the way is not taken for one that was left out.
    """

    timeout_seconds: ClassVar[float] = BODY_TIMEOUT_SECONDS

    async def body(self) -> bytes:
        """Read the whole body, once.

        Raises:
            RequestRefused: 408 if it takes too long, 400 if it does not match the head.
            RequestEntityTooLarge: As soon as the declared or the received length is too large.
        """
        try:
            async with asyncio.timeout(self.timeout_seconds):
                body = await super().body()
        except TimeoutError as error:
            raise RequestRefused(
                HTTPStatus.REQUEST_TIMEOUT,
                "body-timeout",
                "The body took too long to arrive.",
                headers={"connection": "close"},
            ) from error
        except InternalServerException as error:
            raise malformed(_CUT_SHORT) from error
        if self.content_length not in {None, len(body)}:
            raise malformed(_CUT_SHORT)
        if not body and self._promises_a_body():
            raise malformed("The body is empty: send {}, or neither a body nor its Content-Type.")
        return body

    def _promises_a_body(self) -> bool:
        """Whether the head announces a body that is not empty.

        A JSON media type does, if the handler's body is optional and has members. Without members
        it does not: some clients always send the media type, also for `confirm`.
        """
        if "transfer-encoding" in self.headers:
            return True
        field = self.route_handler.parsed_data_field
        if field is None or not field.has_default:
            return False
        members = getattr(field.annotation, "__struct_fields__", (...,))
        return bool(members) and "json" in self.headers.get("content-type", "").lower()


class StrictRequests(InitPlugin, ReceiveRoutePlugin):
    """Makes every handler of an app strict: `StrictJson`, a time limit for bodies, and only the
    query parameters that the handler declares, each in one spelling.

    `Litestar(request_max_body_size=…)` limits the size of bodies; a plugin cannot set it. A handler
    that has its own `before_request` must call `require_declared_query` there.
    """

    def __init__(
        self,
        *,
        max_depth: int = MAX_DEPTH,
        body_timeout_seconds: float = BODY_TIMEOUT_SECONDS,
    ) -> None:
        self.max_depth = max_depth
        self._request_class = type(
            "Request", (BoundedRequest,), {"timeout_seconds": body_timeout_seconds}
        )
        self._declared: dict[object, dict[str, _QueryParameter]] = {}

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        app_config.dto = StrictJson
        app_config.request_class = self._request_class
        app_config.before_request = self.require_declared_query
        return app_config

    def receive_route(self, route: BaseRoute) -> None:
        """Store which query parameters each handler of the route declares."""
        if isinstance(route, HTTPRoute):
            for handler, model in route.route_handler_map.values():
                fields = handler.parsed_fn_signature.parameters
                self._declared[handler] = {
                    p.field_alias: _QueryParameter.of(
                        fields[p.field_name], repeatable=p.is_sequence
                    )
                    for p in model.expected_query_params
                }

    async def require_declared_query(self, request: Request[Any, Any, Any]) -> None:
        """Refuse a query parameter that is not declared, is sent twice, or is misspelled.

        Raises:
            RequestRefused: 400.
        """
        if not request.scope["query_string"]:
            return
        declared = self._declared[request.scope["route_handler"]]
        seen: set[str] = set()
        for name, value in request.query_params.multi_items():
            parameter = declared.get(name)
            if parameter is None:
                raise _bad_query("This operation has no such query parameter", declared)
            if name in seen and not parameter.repeatable:
                raise _bad_query("A query parameter may occur once", declared)
            if parameter.spelling is not None and not parameter.spelling.fullmatch(value):
                raise _misspelled(name, parameter.kind)
            seen.add(name)


def _unsupported(detail: str, headers: Mapping[str, str]) -> RequestRefused:
    return RequestRefused(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail, headers=headers
    )


def _bad_query(detail: str, declared: Collection[str]) -> RequestRefused:
    known = ", ".join(sorted(declared)) or "none"
    return RequestRefused(HTTPStatus.BAD_REQUEST, "invalid-query", f"{detail}; known: {known}.")


def _misspelled(name: str, kind: str) -> RequestRefused:
    detail = f"{name}: must be {kind}"
    errors = [InvalidMember(detail, parameter=name)]
    return RequestRefused(HTTPStatus.BAD_REQUEST, "invalid-request", detail, errors=errors)
