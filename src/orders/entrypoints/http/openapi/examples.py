"""Bodies that work, for the published description and for people to copy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

_LINES: Final = [{"sku": "MUG-RED", "name": "Red mug", "quantity": 2, "unit_price": 1250}]
_ITEMS: Final = [{"line_id": "1", "quantity": 1}]

EXAMPLES: Final[Mapping[str, Any]] = {
    "PlaceOrderBody": {
        "currency": "GBP",
        "lines": _LINES,
        "shipping": {
            "method": "standard",
            "price": 495,
            "address": {
                "name": "Ada Lovelace",
                "line1": "12 St James's Square",
                "city": "London",
                "postal_code": "SW1Y 4JH",
                "country": "GB",
            },
            "instructions": "Ring twice",
        },
        "contact": {"email": "ada@shop.example", "phone": "+44 20 7946 0000"},
        "billing": {"company": "Analytical Engines Ltd", "vat_id": "GB 123 4567 89"},
        "gift_message": "Happy birthday",
        "payment": {"method": "tok_ok"},
        "external_reference": "cart-7391",
        "expected_total": 2995,
    },
    "DraftBody": {
        "currency": "EUR",
        "lines": [
            {"sku": "TEA", "name": "Tea", "quantity": 3, "unit_price": 999, "tax_rate": "0.19"},
            {"sku": "BOOK", "name": "Book", "quantity": 1, "unit_price": 1070, "tax_rate": "0.07"},
        ],
        "shipping": {"method": "standard", "price": 595, "tax_rate": "0.19"},
        "prices_include_tax": True,
    },
    "EditOrderBody": {
        "note": "Call before you come",
        "metadata": {"gift": "yes"},
        "shipping": {"address": {"line2": "Flat 2"}, "instructions": "Leave it in the porch"},
        "contact": {"email": "ada@shop.example"},
    },
    "ChangeBody": {
        "items": _ITEMS,
        "lines": _LINES,
        "shipping": {"method": "express", "price": 1295},
        "reason": "customer",
    },
    "CancelBody": {"reason": "customer"},
    "CancelItemsBody": {"items": _ITEMS, "reason": "customer"},
    "ReasonBody": {"reason": "suspected-fraud"},
    "CustomerBody": {"customer_id": "ada"},
    "NoteBody": {"text": "The customer called about the delivery date."},
    "PaymentBody": {"method": "tok_ok", "capture": False},
    "ManualPaymentBody": {
        "method": "bank_transfer",
        "reference": "Order 7391, Ada Lovelace",
        "received_at": "2026-03-02T09:30:00Z",
    },
    "AmountBody": {"amount": 1250},
    "RefundBody": {"reason": "customer"},
    "CreditBody": {"amount": 500, "reason": "goodwill", "line_id": "1"},
    "ShipmentBody": {"items": _ITEMS, "carrier": "Royal Mail", "tracking": "RM123456785GB"},
    "LateShipmentBody": {"items": _ITEMS, "dispatched_at": "2026-11-30T09:30:00Z"},
    "FailDeliveryBody": {"reason": "lost"},
    "CorrectShipmentBody": {"carrier": "Royal Mail", "tracking": "RM123456785GB"},
    "ReceiveReturnBody": {"items": _ITEMS, "credit": 1125},
    "DispatchBody": {"tracking": "RM123456785GB"},
    "ReturnBody": {"items": _ITEMS, "reason": "damaged"},
    "EmptyBody": {},
    "PaymentMessage": {
        "type": "payment.captured",
        "data": {
            "id": "pay_1",
            "reference": "8c9e6b1e-2f0a-8d3b-9c58-0f6a4b1d2e3f:1",
            "status": "captured",
            "amount": 2500,
            "currency": "GBP",
            "captured": 2500,
            "refunded": 0,
            "decline_code": None,
        },
    },
}

OTHER_EXAMPLES: Final[Mapping[str, Sequence[Any]]] = {
    "PlaceOrderBody": [
        {
            "currency": "GBP",
            "lines": _LINES,
            "customer_id": "ada",
            "terms": "invoice",
            "due_in_days": 14,
            "holds": ["credit-check"],
        }
    ],
    "EditOrderBody": [{"lines": {"1": {"metadata": {"engraving": "To Bea"}}}}],
    "PaymentBody": [{"amount": 2995, "manual": EXAMPLES["ManualPaymentBody"]}],
    "RefundBody": [{"amount": 1250, "recorded": True, "reference": "SEPA 2026-03-09/4"}],
    "CreditBody": [{"amount": 2995, "reason": "write-off"}],
}
"""What else the same bodies can ask for."""
