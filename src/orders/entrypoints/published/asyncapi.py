"""The published description of the events: AsyncAPI 3.0, made from their types."""

from __future__ import annotations

import inspect
from importlib import metadata
from typing import Any, Final

from orders.adapters.messages import CONTENT_TYPE, EVENTS, message_type
from orders.entrypoints.published.event_samples import sample
from orders.entrypoints.published.event_schemas import components

ADDRESS: Final = "orders.events"
"""The exchange or topic."""
_SCHEMA_FORMAT: Final = "application/schema+json;version=draft-07"
"""The newest JSON Schema that AsyncAPI's own tools read. Ours use what all drafts since have."""


def description() -> dict[str, Any]:
    """The AsyncAPI document. It refers to nothing outside of it."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Order Service: events",
            "version": metadata.version("orders"),
            "description": "The events of orders: CloudEvents 1.0, structured mode. Each event is "
            "delivered at least once, in sequence for each order. Duplicates have the same `id` "
            "and are byte for byte equal. Ignore members and values that you do not know: later "
            "versions of the service may add some.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": {"events": _channel()},
        "operations": {
            "publishOrderEvents": {
                "action": "send",
                "channel": {"$ref": "#/channels/events"},
                "summary": "Publish the events of orders",
            }
        },
        "components": {
            "messages": {event.__name__: _message(event) for event in EVENTS},
            "schemas": {
                **components(EVENTS, "#/components/schemas/{name}"),
                "DeliveryHeaders": _HEADERS,
                "OrderId": _KEY,
            },
        },
    }


def _channel() -> dict[str, Any]:
    return {
        "address": ADDRESS,
        "description": "A RabbitMQ topic exchange, a Kafka topic, or both. The service declares "
        "the exchange as it is here, without arguments, and so may a consumer. The routing key is "
        "the name of the event, such as `OrderCreated`.",
        "messages": {each.__name__: _ref("messages", each.__name__) for each in EVENTS},
        "bindings": {
            "amqp": {
                "is": "routingKey",
                "exchange": {
                    "name": ADDRESS,
                    "type": "topic",
                    "durable": True,
                    "autoDelete": False,
                },
                "bindingVersion": "0.3.0",
            },
            "kafka": {
                "topic": ADDRESS,
                "topicConfiguration": {"cleanup.policy": ["delete"]},
                "bindingVersion": "0.5.0",
            },
        },
    }


_HEADERS: Final = {
    "title": "DeliveryHeaders",
    "type": "object",
    "properties": {
        "traceparent": {
            "type": "string",
            "description": "W3C trace context of this delivery, if it belongs to a trace; the "
            "payload has that of the event",
        }
    },
    "additionalProperties": True,
}
_KEY: Final = {
    "title": "OrderId",
    "type": "string",
    "format": "uuid",
    "description": "the order's id",
}


def _message(event: type[Any]) -> dict[str, Any]:
    name = event.__name__
    return {
        "name": message_type(name),
        "title": name,
        "summary": inspect.cleandoc(event.__doc__ or "").partition("\n")[0],
        "contentType": CONTENT_TYPE,
        "headers": _schema("DeliveryHeaders"),
        "payload": _schema(f"{name}Event"),
        "bindings": {
            "amqp": {"messageType": message_type(name), "bindingVersion": "0.3.0"},
            "kafka": {"key": _ref("schemas", "OrderId"), "bindingVersion": "0.5.0"},
        },
        "examples": [{"name": name, "payload": sample(event)}],
    }


def _schema(name: str) -> dict[str, Any]:
    return {"schemaFormat": _SCHEMA_FORMAT, "schema": _ref("schemas", name)}


def _ref(kind: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/components/{kind}/{name}"}
