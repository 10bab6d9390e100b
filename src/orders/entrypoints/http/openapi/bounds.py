"""The bounds that the domain keeps, as the published description states them.

Bodies check shapes only; what a member may hold is the domain's rule, so that importing services
refuse the same. Whoever reads the description should still know before sending. Schemathesis
sends what is just within and just beyond each bound.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from orders.domain.lines import RATE
from orders.domain.money import AMOUNT_LIMIT, EXPONENTS
from orders.domain.order.order import CANCEL_REASONS
from orders.domain.payments import MAX_DUE_IN_DAYS
from orders.domain.pricing import MAX_FIRST_HOLDS, Confirmation
from orders.domain.shipments import FAILURE_REASONS
from orders.domain.validation import (
    CODE,
    COUNTRY,
    EMAIL,
    MAX_EMAIL,
    MAX_MESSAGE,
    MAX_METADATA,
    MAX_METADATA_TEXT,
    MAX_NAME,
    MAX_NOTE,
    MAX_TEXT,
    METADATA_NAME,
    REFERENCE,
    SKU,
    TOKEN,
    VAT_ID,
    OrderLimits,
)
from orders.entrypoints.http.openapi.shapes import GROWS, NULL, Schema

# No control characters, and not only white space. Regular expressions of Go, Java, JavaScript,
# Python and Rust share no escape for these characters, so they stand as they are; all but the
# separators of lines and paragraphs, which cannot stand in a literal of JavaScript. `$` is the end.
_SPACE: Final = "\u1680\u2000-\u200a\u202f\u205f\u3000"
_TEXT: Final = (
    rf"^[\t\n\x20\xa0{_SPACE}]*[^\x00-\x20\x7f-\xa0{_SPACE}][^\x00-\x08\x0b-\x1f\x7f-\x9f]*$"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedLimits:
    """The settings that show in the description."""

    order: OrderLimits = field(default_factory=OrderLimits)
    key_length: int = 255
    page: int = 100
    pay_within_seconds: int = 2_592_000


def add_bounds(description: Schema, limits: PublishedLimits) -> None:
    """State the bounds of every member of every body, and of every parameter."""
    schemas = description["components"]["schemas"]
    for name, members in _members(limits).items():
        for member, bound in members.items():
            _value_of(schemas[name]["properties"][member]).update(bound)
    bounds = _parameters(limits)
    for methods in description["paths"].values():
        for operation in methods.values():
            for parameter in operation.get("parameters", ()):
                # An absent parameter is left out: there is no way to send null.
                parameter["schema"] = _value_of(parameter["schema"])
                parameter["schema"].update(bounds.get((parameter["in"], parameter["name"]), {}))


def _value_of(schema: Schema) -> Schema:
    """What a value has to be where it is not null."""
    one: Schema = next((each for each in schema.get("oneOf", ()) if each != NULL), schema)
    if None in one.get("enum", ()):
        return {**one, "type": "string", "enum": [each for each in one["enum"] if each is not None]}
    return one


def _members(limits: PublishedLimits) -> Mapping[str, Mapping[str, Schema]]:
    quantity = {"minimum": 1, "maximum": limits.order.quantity}
    draft: dict[str, Schema] = {
        "currency": {"enum": sorted(EXPONENTS), "description": f"ISO 4217. {GROWS}"},
        "lines": {"minItems": 1, "maxItems": limits.order.lines},
        "customer_id": _matching(REFERENCE),
        "discount": _AMOUNT,
        "external_reference": _matching(REFERENCE),
        "note": _text(MAX_NOTE),
        "expected_total": _AMOUNT,
        "metadata": _METADATA,
        "gift_message": _text(MAX_MESSAGE),
    }
    address = {
        **{name: _text(MAX_TEXT) for name in ("name", "line1", "line2", "city", "region")},
        **{name: _text(MAX_TEXT) for name in ("postal_code", "phone")},
        "country": _matching(COUNTRY),
    }
    contact = {"email": {"maxLength": MAX_EMAIL} | _matching(EMAIL), "phone": _text(MAX_TEXT)}
    billing = {"company": _text(MAX_TEXT), "vat_id": _matching(VAT_ID)}
    return {
        "DraftBody": draft,
        "PlaceOrderBody": draft
        | {
            "due_in_days": {"minimum": 0, "maximum": MAX_DUE_IN_DAYS},
            "pay_within_seconds": {"minimum": 1, "maximum": limits.pay_within_seconds},
            "holds": {
                "maxItems": MAX_FIRST_HOLDS,
                "uniqueItems": True,
                "items": {"type": "string", **_matching(CODE)},
            },
            "confirmation": {"enum": [str(each) for each in Confirmation], "description": GROWS},
        },
        "LineBody": {
            "sku": _matching(SKU),
            "name": _text(MAX_NAME),
            "quantity": quantity,
            "unit_price": {"minimum": 0, "maximum": limits.order.unit_price},
            "discount": _AMOUNT,
            "tax": _AMOUNT,
            "tax_rate": _matching(RATE),
            "metadata": _METADATA,
        },
        "ShippingBody": {
            "method": _matching(CODE),
            "price": _AMOUNT,
            "tax": _AMOUNT,
            "tax_rate": _matching(RATE),
            "instructions": _text(MAX_MESSAGE),
        },
        "EditShippingBody": {"instructions": _text(MAX_MESSAGE)},
        "AddressBody": address,
        "EditAddressBody": address,
        "ContactBody": contact,
        "EditContactBody": contact,
        "BillingBody": billing,
        "EditBillingBody": billing,
        "InitialPaymentBody": {"method": _matching(TOKEN)},
        "EditOrderBody": {
            "note": _text(MAX_NOTE),
            "external_reference": _matching(REFERENCE),
            "metadata": {"maxProperties": MAX_METADATA},
            "gift_message": _text(MAX_MESSAGE),
        },
        "EditLineBody": {"metadata": {"maxProperties": MAX_METADATA}},
        "CustomerBody": {"customer_id": _matching(REFERENCE)},
        "ShippingChangeBody": {
            "method": _matching(CODE),
            "price": _AMOUNT,
            "tax": _AMOUNT,
            "tax_rate": _matching(RATE),
        },
        "ChangeBody": {"reason": _matching(CODE), "expected_total": _AMOUNT},
        "CancelBody": {"reason": {"enum": list(CANCEL_REASONS), "description": GROWS}},
        "CancelItemsBody": {"items": _SOME, "reason": _matching(CODE)},
        "ReturnBody": {"items": _SOME, "reason": _matching(CODE)},
        "ShipmentBody": {"items": _SOME, "carrier": _text(MAX_TEXT), "tracking": _text(MAX_TEXT)},
        "ItemBody": {"quantity": quantity},
        "DispatchBody": {"tracking": _text(MAX_TEXT)},
        "ReasonBody": {"reason": _matching(CODE)},
        "NoteBody": {"text": _text(MAX_NOTE)},
        "PaymentBody": {"method": _matching(TOKEN), "amount": _PART},
        "ManualPaymentBody": {"reference": _text(MAX_TEXT)},
        "AmountBody": {"amount": _PART},
        "RefundBody": {
            "amount": _PART,
            "reason": _matching(CODE),
            "reference": _text(MAX_TEXT),
        },
        "CreditBody": {
            "amount": _AMOUNT,
            "reason": _matching(CODE),
            "undeliverable": {"minimum": 0, "maximum": limits.order.quantity},
        },
        "FailDeliveryBody": {"reason": {"enum": list(FAILURE_REASONS), "description": GROWS}},
        "LateShipmentBody": {
            "items": _SOME,
            "carrier": _text(MAX_TEXT),
            "tracking": _text(MAX_TEXT),
        },
        "CorrectShipmentBody": {"carrier": _text(MAX_TEXT), "tracking": _text(MAX_TEXT)},
        "ReceiveReturnBody": {"items": _SOME, "credit": _AMOUNT},
    }


def _parameters(limits: PublishedLimits) -> Mapping[tuple[str, str], Schema]:
    longest = limits.key_length
    raw, quoted = r"[!#-~][!-~]", r'(?:[ !#-\[\]-~]|\\["\\])'
    return {
        ("header", "Idempotency-Key"): {
            "pattern": rf'^(?:{raw}{{0,{longest - 1}}}|"{quoted}{{1,{longest}}}")$',
            "examples": ["cart-7391"],
        },
        ("header", "If-Match"): _TAGS,
        ("header", "If-None-Match"): _TAGS,
        ("path", "number"): _NUMBER,
        ("query", "number"): _NUMBER,
        ("path", "external_reference"): _matching(REFERENCE),
        ("query", "limit"): {"minimum": 1, "maximum": limits.page},
        ("query", "sort"): {
            "description": f"Without it `-created_at`; with `updated_from`, `updated_at`. {GROWS}"
        },
        ("query", "cursor"): {"pattern": r"^[A-Za-z0-9_-]+$"},
    }


def _matching(pattern: re.Pattern[str]) -> Schema:
    # Python's `\Z` is what ECMA-262 writes as `$`.
    return {"pattern": "^" + pattern.pattern.removesuffix(r"\Z") + "$"}


def _text(most: int) -> Schema:
    return {"minLength": 1, "maxLength": most, "pattern": _TEXT}


_AMOUNT: Final = {"minimum": 0, "maximum": AMOUNT_LIMIT - 1}
_PART: Final = {"minimum": 1, "maximum": AMOUNT_LIMIT - 1}
_SOME: Final = {"minItems": 1}
_METADATA: Final = {
    "maxProperties": MAX_METADATA,
    "propertyNames": _matching(METADATA_NAME),
    "additionalProperties": {"type": "string", **_text(MAX_METADATA_TEXT)},
}
_TAG: Final = r'(?:W/)?"[!#-~]*"'
_TAGS: Final = {
    "pattern": rf"^(?:\*|[ \t,]*{_TAG}(?:[ \t]*,[ \t,]*{_TAG})*[ \t,]*)$",
    "examples": ['"1"'],
}
# Case, spaces and I, L, O are forgiven; the last character checks the others.
_NUMBER: Final = {"pattern": "^[ -]*(?:[0-9A-TV-Za-tv-z][ -]*){13}$"}
