"""What can be asked. Every field at the root is one question to a use case."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import msgspec
from graphql import (
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLField,
    GraphQLID,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLString,
)

from orders.application.access import Operation, View, view_of
from orders.application.errors import OrderNotFound
from orders.application.ports import OrderFilter
from orders.application.read_orders import ReadOrders
from orders.domain.identifiers import OrderId, read_order_number
from orders.domain.lifecycle import (
    OrderFulfillmentStatus,
    OrderPaymentStatus,
    OrderReturnStatus,
    OrderStatus,
)
from orders.domain.payments import DisputeStatus
from orders.domain.state import OrderState
from orders.domain.validation import validate_reference
from orders.entrypoints.graphql.documents import PAGE
from orders.entrypoints.graphql.types import TIME, Types, a_field, camel
from orders.entrypoints.http.pagination import Http, Pagination, aware
from orders.entrypoints.http.schemas.part_responses import NoteResponse
from orders.entrypoints.http.schemas.responses import EventResponse, OrderResponse
from orders.entrypoints.observability.unreadable import tell_unreadable_events

SORTS: Final = {
    "CREATED_AT_ASC": "created_at",
    "CREATED_AT_DESC": "-created_at",
    "UPDATED_AT_ASC": "updated_at",
}
_STATUSES: Final[dict[str, type[StrEnum]]] = {
    "status": OrderStatus,
    "payment_status": OrderPaymentStatus,
    "fulfillment_status": OrderFulfillmentStatus,
    "return_status": OrderReturnStatus,
    "dispute_status": DisputeStatus,
}
_TIMES: Final = ("created_from", "created_before", "updated_from")


@dataclass(frozen=True, slots=True)
class Asked:
    """Who sent the query, and what answers it."""

    request: Http
    read_orders: ReadOrders
    pagination: Pagination


async def _order(asked: Asked, id: str) -> Any:  # noqa: A002 - the argument's published name
    order = await asked.read_orders.get(_order_id(id), caller=asked.request.user)
    return _shown(order, asked)


async def _by_number(asked: Asked, number: str) -> Any:
    canonical = read_order_number(number)
    order = await asked.read_orders.by_number(canonical, caller=asked.request.user)
    return _shown(order, asked)


async def _by_reference(asked: Asked, reference_: str) -> Any:
    wanted = validate_reference(reference_, "external_reference")
    return _shown(await asked.read_orders.by_reference(wanted, caller=asked.request.user), asked)


async def _events(asked: Asked, id: str) -> Any:  # noqa: A002
    caller = asked.request.user
    to_staff = view_of(caller) is View.STAFF
    found = await asked.read_orders.timeline(_order_id(id), caller=caller)
    tell_unreadable_events(found.unreadable)
    return [_plain(EventResponse.of(event, to_staff=to_staff)) for event in found.events]


async def _notes(asked: Asked, id: str) -> Any:  # noqa: A002
    order = await asked.read_orders.get(
        _order_id(id), caller=asked.request.user, operation=Operation.SEE_NOTES
    )
    return [_plain(NoteResponse.of(note)) for note in order.notes]


async def _orders(
    asked: Asked,
    first: int,
    sort: Any = None,
    filter: dict[str, Any] | None = None,  # noqa: A002
    after: str | None = None,
) -> Any:
    given = filter or {}
    listed = asked.pagination.listed(
        asked.request.user, _where(asked, given), sort, given.get("updated_from")
    )
    page = await listed.page(asked.read_orders, limit=first, cursor=after)
    edges = [
        {"cursor": listed.cursor_of(order), "node": _shown(order, asked)} for order in page.orders
    ]
    ends = [edge["cursor"] for edge in edges]
    # What leads on is the end of the page, which may be an order that is not shown.
    end = listed.cursor_at(page.next) if page.next else None
    return {
        "edges": edges,
        "page_info": {
            "has_next_page": page.next is not None,
            "has_previous_page": after is not None,
            "start_cursor": ends[0] if ends else None,
            "end_cursor": end or (ends[-1] if ends else None),
        },
        "unreadable": len(page.unreadable),
        "next_updated_from": msgspec.to_builtins(listed.next_updated_from),
    }


def _where(asked: Asked, given: dict[str, Any]) -> OrderFilter:
    number = given.get("number")
    statuses: dict[str, Any] = {
        name: tuple(dict.fromkeys(map(kind, given.get(name) or ())))
        for name, kind in _STATUSES.items()
    }
    return OrderFilter(
        tenant=asked.request.user.tenant,
        customer_id=given.get("customer_id"),
        number=None if number is None else read_order_number(number),
        external_reference=given.get("external_reference"),
        outstanding=given.get("outstanding"),
        ready_to_ship=given.get("ready_to_ship"),
        overdue=given.get("overdue"),
        created_from=aware(given.get("created_from"), "created_from"),
        created_before=aware(given.get("created_before"), "created_before"),
        **statuses,
    )


def _shown(state: OrderState, asked: Asked) -> Any:
    return _plain(OrderResponse.shown_to(asked.request.user, state))


def _plain(answer: msgspec.Struct) -> Any:
    """An answer as REST would write it: what is hidden is not in it."""
    return msgspec.to_builtins(answer)


def _order_id(text: str) -> OrderId:
    try:
        return OrderId(UUID(text))
    except ValueError:
        raise OrderNotFound("with this id") from None


def build_schema() -> GraphQLSchema:
    """The published schema."""
    types = Types()
    order = types.of(OrderResponse)
    an_id = {"id": GraphQLArgument(GraphQLNonNull(GraphQLID))}
    text = GraphQLNonNull(GraphQLString)
    query = {
        "order": GraphQLField(order, an_id, _order, description="One order, by its id."),
        "orderByNumber": GraphQLField(
            order,
            {"number": GraphQLArgument(text)},
            _by_number,
            description="One order, by its number; case and spaces do not matter.",
        ),
        "orderByReference": GraphQLField(
            order,
            {"reference": GraphQLArgument(text, out_name="reference_")},
            _by_reference,
            description="The order with this external reference: the newest that you placed, or "
            "else the only one of others.",
        ),
        "orders": GraphQLField(
            _connection(order),
            _list_arguments(types),
            _orders,
            description="The caller's orders that match every filter, newest first. With "
            "`updatedFrom` they are those that changed since then, in the order of their changes.",
        ),
        "orderEvents": GraphQLField(
            _list_of(types.of(EventResponse)),
            an_id,
            _events,
            description="The events of an order.",
        ),
        "orderNotes": GraphQLField(
            _list_of(types.of(NoteResponse)),
            an_id,
            _notes,
            description="The notes of an order, for staff.",
        ),
    }
    return GraphQLSchema(GraphQLObjectType("Query", query))


def _connection(order: GraphQLObjectType) -> GraphQLObjectType:
    """A page, in the form that Relay and others know."""
    text, yes_or_no = GraphQLNonNull(GraphQLString), GraphQLNonNull(GraphQLBoolean)
    edge = _object("OrderEdge", {"cursor": text, "node": GraphQLNonNull(order)})
    page = _object(
        "PageInfo",
        {
            "has_next_page": yes_or_no,
            "has_previous_page": yes_or_no,
            "start_cursor": GraphQLString,
            "end_cursor": GraphQLString,
        },
    )
    edges = GraphQLNonNull(GraphQLList(GraphQLNonNull(edge)))
    members = {
        "edges": edges,
        "page_info": GraphQLNonNull(page),
        "unreadable": GraphQLNonNull(GraphQLInt),
        "next_updated_from": TIME,
    }
    says = (
        "`unreadable` is the number of orders of the page that only a newer version can read. "
        "`nextUpdatedFrom`, in a list by UPDATED_AT_ASC, is the `updatedFrom` of the next time."
    )
    return _object("OrderConnection", members, description=says)


def _object(
    name: str, members: dict[str, Any], *, description: str | None = None
) -> GraphQLObjectType:
    fields = {camel(member): a_field(member, kind) for member, kind in members.items()}
    return GraphQLObjectType(name, fields, description=description)


def _list_of(kind: GraphQLObjectType) -> GraphQLList[Any]:
    return GraphQLList(GraphQLNonNull(kind))


def _list_arguments(types: Types) -> dict[str, GraphQLArgument]:
    statuses = {
        camel(name): GraphQLInputField(GraphQLList(GraphQLNonNull(types.enum(kind))), out_name=name)
        for name, kind in _STATUSES.items()
    }
    texts = {
        camel(name): GraphQLInputField(GraphQLString, out_name=name)
        for name in ("customer_id", "number", "external_reference")
    }
    times = {camel(name): GraphQLInputField(TIME, out_name=name) for name in _TIMES}
    flags = {
        camel(name): GraphQLInputField(GraphQLBoolean, out_name=name)
        for name in ("outstanding", "ready_to_ship", "overdue")
    }
    where = GraphQLInputObjectType("OrderFilter", {**statuses, **texts, **times, **flags})
    return {
        "filter": GraphQLArgument(where),
        "sort": GraphQLArgument(GraphQLEnumType("OrderSort", SORTS)),
        "first": GraphQLArgument(GraphQLNonNull(GraphQLInt), default_value=PAGE),
        "after": GraphQLArgument(GraphQLString),
    }
