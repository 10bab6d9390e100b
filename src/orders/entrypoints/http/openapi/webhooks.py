"""How the payment service's messages look, for the published description.

Their handler takes the bytes as they came, as the signature is over them, so its own signature
says nothing of their form. Theirs is `infra/contracts/payment-service.openapi.json`.
"""

from __future__ import annotations

from typing import Any, Final

from orders.application.ports import PaymentEventType
from orders.domain.money import AMOUNT_LIMIT, EXPONENTS
from orders.domain.payments import ProviderStatus
from orders.entrypoints.http.openapi.examples import EXAMPLES

_AMOUNT: Final = {"type": "integer", "minimum": 0, "maximum": AMOUNT_LIMIT - 1}
_SIGNATURE: Final = r"v1,[A-Za-z0-9+/]{43}="
_HEADERS: Final[dict[str, dict[str, Any]]] = {
    "webhook-id": {"minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    "webhook-timestamp": {"pattern": "^[0-9]{1,12}$"},
    "webhook-signature": {"pattern": f"^{_SIGNATURE}( {_SIGNATURE})*$"},
}
_PAYMENT: Final = {
    "type": "object",
    "required": ["id", "reference", "status", "amount", "currency", "captured", "refunded"],
    "properties": {
        "id": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
        "reference": {"type": "string", "minLength": 1, "maxLength": 255},
        "status": {"type": "string", "enum": list(ProviderStatus)},
        "amount": _AMOUNT,
        "currency": {"type": "string", "enum": sorted(EXPONENTS)},
        "captured": _AMOUNT,
        "refunded": _AMOUNT,
        "decline_code": {"type": ["string", "null"]},
    },
}
_MESSAGE: Final = {
    "description": "What the payment service says of a payment, in the form of Standard Webhooks.",
    "type": "object",
    "required": ["type", "data"],
    "properties": {
        "type": {"type": "string", "enum": list(PaymentEventType)},
        "data": _PAYMENT,
    },
    "examples": [EXAMPLES["PaymentMessage"]],
}


def describe_webhook(description: dict[str, Any]) -> None:
    """Add the headers and the body of the operation that hears from the payment service."""
    operation = description["paths"]["/v1/payment-events"]["post"]
    operation["parameters"] = [
        {"name": name, "in": "header", "required": True, "schema": {"type": "string", **schema}}
        for name, schema in _HEADERS.items()
    ]
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/PaymentMessage"}}}
    operation["requestBody"] = {"required": True, "content": content}
    description["components"]["schemas"]["PaymentMessage"] = _MESSAGE
