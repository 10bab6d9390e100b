"""The contracts of the events over HTTP: the AsyncAPI document, and each schema alone."""

from collections.abc import Mapping, Sequence
from functools import cache

import msgspec
from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from orders.entrypoints.http.openapi.description import ASYNCAPI, EVENT_SCHEMAS
from orders.entrypoints.published import asyncapi
from orders.entrypoints.published.event_schemas import schemas_by_name

# The first answer takes a while to make: a thread makes it, and the event loop goes on.


@get(ASYNCAPI, include_in_schema=False, sync_to_thread=True)
def asyncapi_document() -> Response[bytes]:
    """The AsyncAPI document. It refers to nothing outside of it."""
    return Response(_asyncapi(), media_type="application/json")


@get(EVENT_SCHEMAS, include_in_schema=False, sync_to_thread=True)
def event_schema(name: FromPath[str]) -> Response[bytes]:
    """A schema by its `$id`, such as the `dataschema` of an event, or by the name of its file."""
    schema = _schemas().get(name)
    if schema is None:
        raise NotFoundException
    return Response(schema, media_type="application/schema+json")


def contract_handlers() -> Sequence[HTTPRouteHandler]:
    """Every handler of this module. They need no token."""
    return [asyncapi_document, event_schema]


@cache
def _asyncapi() -> bytes:
    return msgspec.json.encode(asyncapi.description())


@cache
def _schemas() -> Mapping[str, bytes]:
    return {name: msgspec.json.encode(schema) for name, schema in schemas_by_name().items()}
