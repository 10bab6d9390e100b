"""The published format of events: CloudEvents 1.0 in JSON, structured mode.

Other services depend on it; `infra/contracts/events` has its schemas and golden messages. It
contains ids, codes, statuses and amounts. It contains no personal data, token or name of an actor.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Generic, Literal, TypeVar, get_args
from urllib.parse import quote
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from orders.application.ports import LoggedEvent
from orders.domain.events import OrderEvent, OrderSnapshot, RecordedEvent
from orders.domain.identifiers import ActorKind
from orders.domain.lifecycle import (
    OrderFulfillmentStatus,
    OrderPaymentStatus,
    OrderReturnStatus,
    OrderStatus,
)

CONTENT_TYPE: Final = "application/cloudevents+json"
EVENTS: Final[tuple[type[Any], ...]] = get_args(OrderEvent)
"""The class of every event."""

E = TypeVar("E")
Amount = Annotated[int, Meta(ge=1 - 2**53, le=2**53 - 1)]
Balance = Annotated[int, Meta(ge=0, le=2**53 - 1)]


class OrderAfter(msgspec.Struct, frozen=True, kw_only=True):
    """How the order stood right after the change; amounts in minor units of its currency.

    `tax` is the tax in `gross`.
    """

    status: OrderStatus
    payment_status: OrderPaymentStatus
    fulfillment_status: OrderFulfillmentStatus
    return_status: OrderReturnStatus
    gross: Balance
    tax: Balance
    due: Balance
    authorized: Balance
    captured: Balance
    refunded: Balance
    charged_back: Balance
    net: Amount
    outstanding: Balance
    refund_due: Balance

    @classmethod
    def of(cls, snapshot: OrderSnapshot) -> OrderAfter:
        """The published part of a snapshot."""
        totals = snapshot.totals
        return cls(
            status=snapshot.status,
            payment_status=snapshot.payment_status,
            fulfillment_status=snapshot.fulfillment_status,
            return_status=snapshot.return_status,
            gross=totals.gross,
            tax=totals.tax,
            due=totals.due,
            authorized=totals.authorized,
            captured=totals.captured,
            refunded=totals.refunded,
            charged_back=totals.charged_back,
            net=totals.net,
            outstanding=totals.outstanding,
            refund_due=totals.refund_due,
        )


class Data(msgspec.Struct, Generic[E], frozen=True, kw_only=True):
    """What changed, and how the order stood right after."""

    change: E
    after: OrderAfter
    version: Annotated[int, Meta(ge=1, description="the version of the order after the change")]
    actor: Annotated[ActorKind, Meta(description="the role in which the change was made")]


class CloudEvent(msgspec.Struct, Generic[E], frozen=True, kw_only=True):
    """An event of an order. Everything is equal on every delivery."""

    specversion: Literal["1.0"]
    id: Annotated[
        str, Meta(min_length=1, description="unique; the same on every delivery of the event")
    ]
    type: str
    source: Annotated[
        str,
        Meta(
            min_length=1,
            extra_json_schema={"format": "uri-reference"},
            description="the tenant and its order",
        ),
    ]
    subject: Annotated[UUID, Meta(description="the order's id")]
    time: Annotated[
        str,
        Meta(
            extra_json_schema={"format": "date-time"},
            description="time of the change: RFC 3339, UTC, milliseconds",
        ),
    ]
    datacontenttype: Literal["application/json"]
    dataschema: Annotated[
        str,
        Meta(
            extra_json_schema={"format": "uri"},
            description="the schema of `data`; the HTTP API has it under /schema/events/",
        ),
    ]
    sequence: Annotated[
        str,
        Meta(
            pattern=r"^\d{10}$",
            description="position in the order's history: 1, 2, 3 … without a gap, padded with "
            "zeros so that it sorts as text",
        ),
    ]
    sequencetype: Literal["Integer"]
    partitionkey: Annotated[UUID, Meta(description="the order's id")]
    traceparent: (
        Annotated[
            str,
            Meta(
                pattern="^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}",
                description="W3C trace context of the request that caused the event",
            ),
        ]
        | UnsetType
    ) = UNSET
    data: Data[E]


class FeedEventData(Data[Any], frozen=True, kw_only=True):
    """What changed, and how the order stood right after. `type` says which members `change` has."""

    change: dict[str, Any]


class FeedEvent(CloudEvent[Any], frozen=True, kw_only=True):
    """An event in the feed: the same as brokers deliver, and its position."""

    data: FeedEventData
    position: Annotated[
        str, Meta(pattern="^[0-9]+$", description="`after` of a request for the events after it")
    ]


def cloud_event(logged: LoggedEvent) -> CloudEvent[Any]:
    """An event as other services receive it."""
    return CloudEvent(**_attributes(logged, Data))


def feed_event(logged: LoggedEvent) -> FeedEvent:
    """An event as the feed has it. It must have a position."""
    return FeedEvent(**_attributes(logged, FeedEventData), position=str(logged.position))


def _attributes(logged: LoggedEvent, data: type[Data[Any]]) -> dict[str, Any]:
    recorded = logged.recorded
    name = event_name(recorded)
    return {
        "specversion": "1.0",
        "id": logged.id,
        "type": message_type(name),
        "source": f"/tenants/{quote(logged.tenant, safe='')}/orders/{logged.order_id}",
        "subject": logged.order_id,
        "time": recorded.occurred_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "dataschema": data_schema_id(name),
        "sequence": f"{recorded.sequence:010d}",
        "sequencetype": "Integer",
        "partitionkey": logged.order_id,
        "traceparent": logged.traceparent or UNSET,
        "data": data(
            change=recorded.event,
            after=OrderAfter.of(recorded.after),
            version=recorded.version,
            actor=recorded.actor.kind,
        ),
    }


def encode(logged: LoggedEvent) -> bytes:
    """The bytes of a message. The same event always has the same bytes."""
    return msgspec.json.encode(cloud_event(logged), order="sorted")


def event_name(recorded: RecordedEvent) -> str:
    """The name of the event, as in routing keys."""
    return type(recorded.event).__name__


def message_type(name: str) -> str:
    """The `type` of an event's messages. Its version changes with their format."""
    return f"orders.{name}.v1"


def data_schema_id(name: str) -> str:
    """The `dataschema` of an event's messages. It is also the `$id` of the schema of their data."""
    return f"urn:{message_type(name).replace('.', ':')}"


def data_of(recorded: RecordedEvent) -> dict[str, Any]:
    """The change, and the state of the order after it."""
    change: dict[str, Any] = msgspec.to_builtins(recorded.event)
    return {"change": change, "after": msgspec.to_builtins(OrderAfter.of(recorded.after))}
