"""`POST /v1/graphql`: one query, through everything that a REST request passes.

What stops a request before its query is read is a problem, as are faults of ours. What the query
itself is refused for is in `errors`, with REST's code in `extensions`.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from graphql import GraphQLError, GraphQLSchema
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
from orders.entrypoints.graphql.execution import Plan, Query, Selected, picked
from orders.entrypoints.graphql.queries import Asked, build_schema
from orders.entrypoints.http.errors import STATUS
from orders.entrypoints.http.middleware.audit import REFUSALS
from orders.entrypoints.http.pagination import Http, Pagination
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


def graphql_handler(pagination: Pagination) -> HTTPRouteHandler:
    """The route, over a schema made here once."""
    schema = build_schema()
    documents = Documents(schema)

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
        return await _answer(Asked(request, read_orders, pagination), data, schema, documents)

    return graphql


async def _answer(
    asked: Asked, data: GraphQLBody, schema: GraphQLSchema, documents: Documents
) -> Response[dict[str, Any]]:
    request, variables = asked.request, data.variables or {}
    try:
        document = documents.read(data.query)
        max_page = asked.pagination.max_page
        require_affordable(document, data.operation_name, variables, max_page)
        query = Query(schema, document, data.operation_name, variables)
        questions = [_Question.of(query, key, root) for key, root in query.roots().items()]
    except InvalidQuery as refusal:
        return _refused(request, refusal.errors)
    except GraphQLError as refusal:
        return _refused(request, [refusal])
    found: dict[str, Any] = {}
    errors: list[dict[str, Any]] = []
    # One after the other: a request has one turn at the database.
    for question in questions:
        try:
            found[question.key] = await question.answer(asked)
        except (RequestRefused, OrderError, ApplicationError) as refusal:
            found[question.key] = None
            error = GraphQLError(
                str(refusal), question.root.node, path=[question.key], original_error=refusal
            )
            errors.append(_shown(request, error))
    return Response({"data": found} | ({"errors": errors} if errors else {}))


@dataclass(frozen=True, slots=True)
class _Question:
    """A field at the root, all that can be wrong with it having been looked at."""

    key: str
    root: Selected
    arguments: dict[str, Any]
    plan: Plan | None

    @classmethod
    def of(cls, query: Query, key: str, root: Selected) -> _Question:
        """Raises:
        GraphQLError: If it cannot be asked so.
        """
        arguments = {} if root.definition is None else query.arguments_of(root)
        return cls(key, root, arguments, query.plan_of(root))

    async def answer(self, asked: Asked) -> Any:
        """What is shown of it."""
        if self.root.definition is None:
            return self.root.of.name
        assert self.root.definition.resolve is not None
        return picked(await self.root.definition.resolve(asked, **self.arguments), self.plan)


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
        # A refusal goes to the audit trail, whatever else failed.
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
