"""GraphQL types made from REST's answers: a member is named in one place and shown by one rule.

What a role may not see is left out of the answer, and so null here. Enumerations are spelled as
in REST and in events.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec
from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLError,
    GraphQLField,
    GraphQLID,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLString,
)
from msgspec import Struct, UnsetType

from orders.domain.lifecycle import (
    OrderFulfillmentStatus,
    OrderPaymentStatus,
    OrderReturnStatus,
    OrderStatus,
)
from orders.domain.order_changes import ChangeStatus
from orders.domain.payments import (
    DisputeStatus,
    ManualMethod,
    PaymentStatus,
    RefundStatus,
    TermsKind,
)
from orders.domain.pricing import Confirmation
from orders.domain.returns import ReturnStatus
from orders.domain.shipments import ShipmentStatus

LONG: Final = GraphQLScalarType(
    "Long", description="A whole number of up to 53 bits; an amount is in minor units."
)


def _time_of(value: Any) -> datetime:
    try:
        # Strict: a number is no time, as in REST.
        return msgspec.convert(value, datetime)
    except msgspec.ValidationError:
        raise GraphQLError("a time must be in RFC 3339") from None


TIME: Final = GraphQLScalarType("DateTime", description="RFC 3339, in UTC.", parse_value=_time_of)
JSON: Final = GraphQLScalarType("JSON", description="An object, as in REST.")

_COUNTS: Final = frozenset(
    {"quantity", "cancelled", "allocated", "shipped", "delivered", "returned", "undeliverable"}
    | {"version", "base_version", "sequence", "due_in_days"}
)
"""Whole numbers that fit into the 32 bits of an Int; any other may be an amount."""
_ENUMS: Final[Mapping[tuple[str, str], type[StrEnum]]] = {
    ("Order", "status"): OrderStatus,
    ("Order", "payment_status"): OrderPaymentStatus,
    ("Order", "fulfillment_status"): OrderFulfillmentStatus,
    ("Order", "return_status"): OrderReturnStatus,
    ("Order", "terms"): TermsKind,
    ("Order", "confirmation"): Confirmation,
    ("Payment", "status"): PaymentStatus,
    ("ManualPayment", "method"): ManualMethod,
    ("Refund", "status"): RefundStatus,
    ("Dispute", "status"): DisputeStatus,
    ("Shipment", "status"): ShipmentStatus,
    ("Return", "status"): ReturnStatus,
    ("Change", "status"): ChangeStatus,
}
_SCALARS: Final[Mapping[type, GraphQLScalarType]] = {
    UUID: GraphQLID,
    datetime: TIME,
    str: GraphQLString,
    bool: GraphQLBoolean,
    dict: JSON,
}


class Types:
    """Makes each type once: a schema has one of each name."""

    def __init__(self) -> None:
        self._made: dict[type, Any] = {}

    def enum(self, kind: type[StrEnum]) -> GraphQLEnumType:
        """An enumeration, in the words of REST."""
        if kind not in self._made:
            values = {member.value: member.value for member in kind}
            self._made[kind] = GraphQLEnumType(kind.__name__, values)
        made: GraphQLEnumType = self._made[kind]
        return made

    def of(self, answer: type[Struct]) -> GraphQLObjectType:
        """The type of an answer, with its parts."""
        if answer not in self._made:
            name = re.sub("(Response|Body)$", "", answer.__name__)
            hints = get_type_hints(answer)
            fields = {
                camel(member): a_field(member, self._type(name, member, hint))
                for member, hint in hints.items()
                if not member.startswith("__")
            }
            text = (answer.__doc__ or "").strip().partition("\n\n")[0]
            self._made[answer] = GraphQLObjectType(name, fields, description=" ".join(text.split()))
        made: GraphQLObjectType = self._made[answer]
        return made

    def _type(self, owner: str, member: str, hint: Any) -> Any:
        options = get_args(hint) if get_origin(hint) in {Union, UnionType} else (hint,)
        (kind,) = (each for each in options if each not in {NoneType, UnsetType})
        found = self._present(owner, member, kind)
        return found if len(options) > 1 else GraphQLNonNull(found)

    def _present(self, owner: str, member: str, kind: Any) -> Any:
        if get_origin(kind) is list:
            (item,) = get_args(kind)
            return GraphQLList(GraphQLNonNull(self._present(owner, member, item)))
        kind = get_origin(kind) or kind
        if enum := _ENUMS.get((owner, member)):
            return self.enum(enum)
        if kind is str and member == "id":
            return GraphQLID
        if kind is int:
            return GraphQLInt if member in _COUNTS else LONG
        return self.of(kind) if issubclass(kind, Struct) else _SCALARS[kind]


def camel(name: str) -> str:
    """A name as GraphQL writes it."""
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def a_field(member: str, kind: Any) -> GraphQLField:
    """A field that shows a member of REST's answer."""
    return GraphQLField(kind, extensions={"member": member})
