"""The published description of the API: OpenAPI 3.1, made from the handlers and completed here.

Litestar describes what it reads from the handlers' signatures. This module adds the rest: how long
the members of bodies may be (`bounds`), the problems of each operation, how to authenticate, the
headers and links of responses (`links`), examples, and forms that generators of clients read well
(`shapes`).
"""

import re
from collections.abc import Mapping
from inspect import cleandoc
from typing import Any, Final

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import License, Server, Tag
from litestar.routes import HTTPRoute

from orders.entrypoints.http.openapi.bounds import PublishedLimits, add_bounds
from orders.entrypoints.http.openapi.examples import EXAMPLES, OTHER_EXAMPLES
from orders.entrypoints.http.openapi.links import add_headers, add_links
from orders.entrypoints.http.openapi.open_values import add_open_values
from orders.entrypoints.http.openapi.shapes import or_null, shaped
from orders.entrypoints.http.openapi.texts import (
    API,
    COMMANDS,
    TAGS,
    describe_command,
    schema_texts,
)
from orders.entrypoints.http.openapi.webhooks import describe_webhook
from orders.entrypoints.http.preconditions import (
    HEADERS,
    IDEMPOTENCY_KEY,
    IF_MATCH,
    IF_NONE_MATCH,
    NEEDS_KEY,
)
from orders.entrypoints.http.problems import Problem

TITLE: Final = "Order Service"
DOCUMENT: Final = "/schema/openapi.json"
DOCUMENT_3_0: Final = "/schema/openapi-3.0.json"
DOCS: Final = "/schema/docs"
ASYNCAPI: Final = "/schema/asyncapi.json"
EVENT_SCHEMAS: Final = "/schema/events/{name:str}"
_GENERIC: Final = re.compile(r"Page_([\w.]+\.)?(\w+?)Response_")
_PAGE: Final = re.compile(r"\w+Page")
_PROBLEM_REF: Final = {"$ref": "#/components/schemas/Problem"}
_PROBLEMS: Final[Mapping[str, str]] = {
    "400": "The request is malformed",
    "401": "The request has no valid access token",
    "403": "The caller's roles and scopes do not allow the operation",
    "404": "It does not exist, or the caller may not see it",
    "406": "The response is JSON only",
    "408": "The body took too long to arrive",
    "409": "A rule of the order refuses the command; `blocked_by` lists every such rule",
    "412": "The order has another version",
    "413": "The body is too large",
    "415": "The body is not application/json",
    "422": "The request is well-formed but not valid",
    "428": "If-Match is required",
    "429": "Too many requests",
    "431": "The headers are too large, or too many",
    "500": "A fault of the service; quote the trace id",
    "503": "A dependency is down; retry after Retry-After",
}


def openapi_config(version: str) -> OpenAPIConfig:
    """Litestar's part of the description. Litestar serves none: `openapi_document` does."""
    return OpenAPIConfig(
        title=TITLE,
        version=version,
        description=API,
        license=License("Apache-2.0", url="https://www.apache.org/licenses/LICENSE-2.0"),
        # Relative to the document: wherever it was read from.
        servers=[Server("/", description="The service that publishes this document.")],
        tags=[Tag(name, description=text) for name, text in TAGS.items()],
        use_handler_docstrings=True,
        render_plugins=[],
    )


def published(app: Litestar, limits: PublishedLimits) -> dict[str, Any]:
    """The whole description of an application's API."""
    # Litestar names generic types by their modules.
    text = msgspec.json.encode(app.openapi_schema.to_schema()).decode()
    description: dict[str, Any] = msgspec.json.decode(_GENERIC.sub(r"\2Page", text))
    _complete_schemas(description["components"]["schemas"])
    description["components"]["securitySchemes"] = {
        "accessToken": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    }
    description["security"] = [{"accessToken": []}]
    handlers = _handlers(app)
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            _complete(operation, path, method, handlers[operation["operationId"]])
    add_bounds(description, limits)
    add_headers(description)
    add_links(description)
    describe_webhook(description)
    return shaped(description)


def _handlers(app: Litestar) -> Mapping[str, HTTPRouteHandler]:
    routes = (route for route in app.routes if isinstance(route, HTTPRoute))
    return {str(h.operation_id): h for route in routes for h in route.route_handlers}


def _complete_schemas(schemas: dict[str, Any]) -> None:
    (_, components) = msgspec.json.schema_components(
        [Problem], ref_template="#/components/schemas/{name}"
    )
    for schema in components.values():
        schema["description"] = cleandoc(schema["description"])
    schemas.update(components)
    texts = schema_texts()
    for name, schema in schemas.items():
        if text := texts.get(_PAGE.sub("Page", name)):
            schema["description"] = text
        if name in EXAMPLES:
            schema["examples"] = [EXAMPLES[name], *OTHER_EXAMPLES.get(name, ())]
    add_open_values(schemas)


def _complete(
    operation: dict[str, Any],
    path: str,
    method: str,
    handler: HTTPRouteHandler,
) -> None:
    if (sent := handler.parsed_data_field) is not None and sent.has_default:
        body = operation["requestBody"]
        body["required"] = False
        (content,) = body["content"].values()
        content["schema"] = or_null(content["schema"])
    if (name := operation["operationId"]) in COMMANDS:
        operation["description"] = describe_command(name)
    if is_public := handler.security == []:
        # Litestar leaves an empty list out, and the whole description's rule would hold here.
        operation["security"] = []
    answers = operation["responses"]
    _tell_conditions(operation, path, method, must=_required_header(handler))
    names = {parameter["name"] for parameter in operation.get("parameters", ())}
    if IF_NONE_MATCH in names:
        answers["304"] = {"description": "The caller has this version of the order"}
    if "dry_run" in names and "201" in answers:
        answers["200"] = answers["201"] | {"description": "A dry run: nothing is stored or sent"}
    for status in [code for code in answers if code >= "400"]:
        del answers[status]
    for status in _problems_of(operation, path, method, is_public=is_public):
        answers[status] = {
            "description": _PROBLEMS[status],
            "content": {"application/problem+json": {"schema": _PROBLEM_REF}},
        }
    if operation["operationId"] == "read_by_reference":
        answers["409"] |= {
            "description": "Others placed several orders with it; `order_ids` lists them"
        }
    if path == "/readyz":
        answers["503"] |= {
            "description": "Not ready: the process drains, or the database does not answer"
        }


def _required_header(handler: HTTPRouteHandler) -> str | None:
    if handler.opt.get(NEEDS_KEY):
        return IDEMPOTENCY_KEY
    return IF_MATCH if "PATCH" in handler.http_methods else None


def _tell_conditions(
    operation: dict[str, Any], path: str, method: str, *, must: str | None
) -> None:
    """Describe the headers that the operation reads, and that `must` be sent."""
    parameters = operation.get("parameters", [])
    names = [each["name"] for each in parameters]
    place = len(names)
    if "dry_run" in names:
        # Clients made from this take their arguments in its order: this one was always the last.
        place = names.index("dry_run")
        read = [IDEMPOTENCY_KEY] if path.endswith("/orders") else [IDEMPOTENCY_KEY, IF_MATCH]
    elif method == "get" and operation["operationId"].startswith("read"):
        read = [IF_NONE_MATCH]
    else:
        return
    parameters[place:place] = [_condition(name, is_needed=name == must) for name in read]


def _condition(name: str, *, is_needed: bool) -> dict[str, Any]:
    # OpenAPI has no "unless it is a dry run".
    return {
        "name": name,
        "in": "header",
        "schema": {"type": "string"},
        "description": HEADERS[name] + " Required, unless it is a dry run." * is_needed,
        "required": False,
        "deprecated": False,
    }


def _problems_of(
    operation: dict[str, Any], path: str, method: str, *, is_public: bool
) -> list[str]:
    """The statuses of the problems that an operation can answer with."""
    statuses = {"400", "431", "500"} if path == "/livez" else {"400", "431", "500", "503"}
    if not is_public:
        statuses |= {"401", "403", "429"}
    if "{" in path or path.endswith("/orders"):
        statuses |= {"404", "422"}
    if "requestBody" in operation:
        statuses |= {"408", "413", "415", "422", "409"}
    if any(parameter["name"] == IF_MATCH for parameter in operation.get("parameters", ())):
        statuses |= {"412"}
    if operation["operationId"] == "read_by_reference":
        statuses |= {"409"}
    if method == "patch" or path.endswith("/apply"):
        statuses |= {"428"}
    if path.endswith("/payment-events"):
        statuses |= {"408", "409", "413"}
    return sorted(statuses)
