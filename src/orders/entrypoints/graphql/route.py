"""`POST /v1/graphql`: one query, through everything that a REST request passes.

What stops a request before its query is read is a problem, as are faults of ours. What the query
itself is refused for is in `errors`, with REST's code in `extensions`.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from graphql import GraphQLError, GraphQLSchema, execute
from litestar import Response, post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody
from msgspec import Struct

from orders.application.errors import ApplicationError
from orders.application.read_orders import ReadOrders
from orders.domain.errors import OrderError
from orders.entrypoints.graphql.documents import (
    INVALID,
    Documents,
    InvalidQuery,
    require_affordable,
)
from orders.entrypoints.graphql.queries import Asked, build_schema
from orders.entrypoints.http.audit import REFUSALS
from orders.entrypoints.http.errors import STATUS
from orders.entrypoints.http.listing import Http
from orders.entrypoints.http.problems import RequestRefused, code_of, set_code, trace_id_of

PATH: Final = "/v1/graphql"
MAX_BODY_BYTES: Final = 65_536
MAX_MESSAGE: Final = 300


class GraphQLBody(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """One query. A list of them is not taken."""

    query: str
    operation_name: str | None = None
    variables: dict[str, Any] | None = None
    extensions: dict[str, Any] | None = None


def graphql_handler(*, introspection: bool) -> HTTPRouteHandler:
    """The route, over a schema made here once."""
    schema = build_schema()
    documents = Documents(schema, introspection=introspection)

    # In the description of REST it would only be "a string"; its own file says what it takes.
    @post(
        PATH,
        status_code=HTTPStatus.OK,
        operation_id="graphql",
        include_in_schema=False,
        request_max_body_size=MAX_BODY_BYTES,
    )
    async def graphql(
        request: Http, read_orders: NamedDependency[ReadOrders], data: JSONBody[GraphQLBody]
    ) -> Response[dict[str, Any]]:
        return await _answer(request, read_orders, data, schema, documents)

    return graphql


async def _answer(
    request: Http,
    read_orders: ReadOrders,
    data: GraphQLBody,
    schema: GraphQLSchema,
    documents: Documents,
) -> Response[dict[str, Any]]:
    variables = data.variables or {}
    try:
        document = documents.read(data.query)
        max_page = request.app.state.edge.max_page
        require_affordable(document, data.operation_name, variables, max_page)
    except InvalidQuery as refusal:
        return _refused(request, refusal.errors)
    except GraphQLError as refusal:
        return _refused(request, [refusal])
    asked = Asked(request, read_orders)
    running = execute(
        schema,
        document,
        context_value=asked,
        variable_values=variables,
        operation_name=data.operation_name,
        max_coercion_errors=5,
    )
    result: Any = await running if hasattr(running, "__await__") else running
    errors = [_shown(request, error) for error in result.errors or ()]
    content = {} if result.data is None and errors else {"data": result.data}
    return Response(content | ({"errors": errors} if errors else {}))


def _refused(request: Http, errors: list[GraphQLError]) -> Response[dict[str, Any]]:
    return Response({"errors": [_shown(request, error) for error in errors]})


def _shown(request: Http, error: GraphQLError) -> dict[str, Any]:
    """An error as it is answered.

    Raises:
        Exception: What REST answers with 5xx, for the handlers of those: half an answer that
            looks like a whole one helps nobody.
    """
    code = _code_of(error)
    if code_of(request.scope) not in REFUSALS:
        # The audit trail is told of a refusal, whatever else was wrong.
        set_code(request.scope, code)
    formatted: dict[str, Any] = dict(error.formatted)
    formatted["message"] = error.message[:MAX_MESSAGE]
    formatted["extensions"] = {"code": code, "trace_id": trace_id_of(request.scope)}
    return formatted


def _code_of(error: GraphQLError) -> str:
    cause = error.original_error
    if cause is None or isinstance(cause, GraphQLError):
        return str((error.extensions or {}).get("code", INVALID))
    if isinstance(cause, RequestRefused):
        return cause.code
    if isinstance(cause, OrderError | ApplicationError):
        status = next(STATUS[kind] for kind in type(cause).__mro__ if kind in STATUS)
        if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return cause.code
    raise cause
