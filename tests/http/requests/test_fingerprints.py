"""A request key is kept with the fingerprint of its body, and both outlive a release."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import pytest

from orders.entrypoints.http.routes.commands import COMMANDS
from orders.entrypoints.http.schemas.body import Body
from orders.entrypoints.http.schemas.edit_requests import EditOrderBody
from orders.entrypoints.http.schemas.requests import ChangeBody, DraftBody, PlaceOrderBody

ADDRESS: Final = {"name": "Ada", "line1": "1 Mill Lane", "city": "Cork", "country": "IE"}
LINES: Final = [{"sku": "A", "name": "A", "quantity": 1}]
DRAFT: Final = {
    "currency": "EUR",
    "lines": LINES,
    "shipping": {"method": "standard", "address": ADDRESS},
}
ONE: Final = {"items": [{"line_id": "1", "quantity": 1}]}
BODY_OF: Final[dict[str, type[Body]]] = {each.operation.value: each.body for each in COMMANDS} | {
    "quote": DraftBody,
    "place": PlaceOrderBody,
    "propose_change": ChangeBody,
    "edit": EditOrderBody,
}
LINE_TEXT: Final = (
    '{"sku":"A","name":"A","quantity":1,"unit_price":null,"discount":0,"tax":0,"shippable":true}'
)
ADDRESS_TEXT: Final = '{"name":"Ada","line1":"1 Mill Lane","city":"Cork","country":"IE"}'
DRAFT_TEXT: Final = (
    f'"currency":"EUR","lines":[{LINE_TEXT}],"customer_id":null,'
    f'"shipping":{{"address":{ADDRESS_TEXT},"method":"standard","price":0}},"discount":0,'
    '"external_reference":null,"note":null,"expected_total":null,"metadata":{}'
)
BEFORE: Final[dict[str, tuple[Any, str]]] = {
    **{
        name: ({}, "{}")
        for name in (
            *("confirm", "complete", "apply_change", "decline_change", "release", "void"),
            *("dismiss_payment", "deliver", "cancel_shipment", "approve_return"),
            *("decline_return", "receive_return", "close_return"),
        )
    },
    "cancel": ({}, '{"reason":"customer"}'),
    "cancel_items": (ONE, '{"items":[{"line_id":"1","quantity":1}],"reason":"customer"}'),
    "request_return": (ONE, '{"items":[{"line_id":"1","quantity":1}],"reason":"customer"}'),
    "create_shipment": (
        ONE,
        '{"items":[{"line_id":"1","quantity":1}],"carrier":null,"tracking":null}',
    ),
    "dispatch": ({}, '{"tracking":null}'),
    "hold": ({"reason": "address"}, '{"reason":"address"}'),
    "add_note": ({"text": "x"}, '{"text":"x"}'),
    "pay": ({"method": "tok_ok"}, '{"method":"tok_ok","amount":null,"capture":false}'),
    "capture": ({}, '{"amount":null}'),
    "refund": ({}, '{"amount":null,"payment_id":null,"reason":"customer"}'),
    "grant_credit": ({"amount": 1, "reason": "other"}, '{"amount":1,"reason":"other"}'),
    "quote": (DRAFT, f"{{{DRAFT_TEXT}}}"),
    "place": (
        {**DRAFT, "payment": {"method": "tok_ok"}},
        f'{{{DRAFT_TEXT},"payment":{{"method":"tok_ok","capture":false}}}}',
    ),
    "propose_change": (
        {"lines": LINES, "reason": "other"},
        f'{{"items":[],"reason":"other","lines":[{LINE_TEXT}],"expected_total":null}}',
    ),
    "edit": (
        {"note": None, "shipping": {"address": ADDRESS}},
        f'{{"note":null,"shipping":{{"address":{ADDRESS_TEXT}}}}}',
    ),
}
"""A body of each operation, and what an earlier release made its fingerprint of."""


@pytest.mark.parametrize("operation", BEFORE)
def test_a_body_without_newer_members_keeps_its_fingerprint(operation: str) -> None:
    """A retry that meets a newer release is no other request. `Body` says how members are added."""
    sent, text = BEFORE[operation]

    read = msgspec.convert(sent, BODY_OF[operation])

    encoded = msgspec.json.encode(read, order="deterministic")
    assert encoded.decode() == text
