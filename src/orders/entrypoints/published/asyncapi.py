"""The published description of the events: AsyncAPI 3.0, made from their types."""

from __future__ import annotations

import inspect
from importlib import metadata
from typing import Any, Final

from orders.adapters.messages import CONTENT_TYPE, EVENTS, message_type

ADDRESS: Final = "orders.events"
"""The exchange or topic."""


def description() -> dict[str, Any]:
    """The AsyncAPI document. Its payloads refer to the files of `schema_file`, next to it."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Order Service: events",
            "version": metadata.version("orders"),
            "description": "The events of orders: CloudEvents 1.0, structured mode. Each event is "
            "delivered at least once, in sequence for each order. Duplicates have the same `id` "
            "and are byte for byte equal.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": {
            "events": {
                "address": ADDRESS,
                "description": "A RabbitMQ topic exchange, a Kafka topic, or both.",
                "messages": {e.__name__: _ref("messages", e.__name__) for e in EVENTS},
                "bindings": {
                    "amqp": {
                        "is": "routingKey",
                        "exchange": {"name": ADDRESS, "type": "topic", "durable": True},
                        "bindingVersion": "0.3.0",
                    },
                    "kafka": {"topic": ADDRESS, "bindingVersion": "0.5.0"},
                },
            }
        },
        "operations": {
            "tellWhatHappened": {
                "action": "send",
                "channel": {"$ref": "#/channels/events"},
                "summary": "Publish the events of orders",
            }
        },
        "components": {"messages": {event.__name__: _message(event) for event in EVENTS}},
    }


def schema_file(event: type[Any]) -> str:
    """Where the schema of an event's messages is, beside the document."""
    return f"events/{event.__name__}.v1.schema.json"


def _message(event: type[Any]) -> dict[str, Any]:
    name = event.__name__
    return {
        "name": message_type(name),
        "title": name,
        "summary": inspect.cleandoc(event.__doc__ or "").partition("\n")[0],
        "contentType": CONTENT_TYPE,
        "headers": {
            "type": "object",
            "properties": {
                "traceparent": {
                    "type": "string",
                    "description": "W3C trace context of this delivery, if it belongs to a "
                    "trace; the payload has that of the event",
                }
            },
        },
        "payload": {"$ref": f"./{schema_file(event)}"},
        "bindings": {
            "amqp": {"messageType": message_type(name), "bindingVersion": "0.3.0"},
            "kafka": {
                "key": {"type": "string", "format": "uuid", "description": "the order's id"},
                "bindingVersion": "0.5.0",
            },
        },
    }


def _ref(kind: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/components/{kind}/{name}"}
