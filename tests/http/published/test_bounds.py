"""What the description says of text is what the domain takes. Schemathesis does the numbers."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from orders.domain.errors import InvalidValue
from orders.domain.validation import (
    MAX_NAME,
    MAX_NOTE,
    MAX_TEXT,
    validate_code,
    validate_method_token,
    validate_reference,
    validate_sku,
    validate_text,
)
from orders.entrypoints.http.app import description
from orders.entrypoints.http.openapi.bounds import PublishedLimits
from tests.support.published_api import Published

KINDS: dict[str, tuple[Callable[[str, str], str], list[tuple[str, str]]]] = {
    "note": (
        partial(validate_text, most=MAX_NOTE),
        [("PlaceOrderBody", "note"), ("NoteBody", "text")],
    ),
    "name": (partial(validate_text, most=MAX_NAME), [("LineBody", "name")]),
    "part of an address": (partial(validate_text, most=MAX_TEXT), [("AddressBody", "line1")]),
    "tracking": (partial(validate_text, most=MAX_TEXT), [("DispatchBody", "tracking")]),
    "sku": (validate_sku, [("LineBody", "sku")]),
    "reason": (validate_code, [("ReasonBody", "reason"), ("CreditBody", "reason")]),
    "reference": (validate_reference, [("PlaceOrderBody", "external_reference")]),
    "method": (
        validate_method_token,
        [("PaymentBody", "method"), ("InitialPaymentBody", "method")],
    ),
}
SEPARATORS = {"\u2028", "\u2029"}
"""Blank to the domain. A pattern with them would not compile as a literal of JavaScript."""
LENGTHS = (0, 1, 2, 63, 64, 65, 127, 128, 129, 199, 200, 201, 255, 256, 499, 501, 2_000, 2_001)
SAMPLES = [
    *(chr(point) for point in range(0x10000) if not 0xD800 <= point < 0xE000),
    *(f"a{chr(point)}" for point in range(0x3100)),
    *(f"{chr(point)}a" for point in range(0x3100)),
    *("a" * length for length in LENGTHS),
    *("\N{GRINNING FACE}" * length for length in LENGTHS),
    *(" a", "a ", "a\n", "\na", " \t\n", "a b", "A-1", "a-1", "\U0010ffff", "\x85\u2028"),
]


@pytest.fixture(scope="module")
def published() -> Published:
    return Published(description())


def takes(rule: Callable[[str, str], str], value: str) -> bool:
    try:
        rule(value, "it")
    except InvalidValue:
        return False
    return True


@pytest.mark.parametrize("kind", KINDS)
def test_the_description_allows_the_texts_that_the_domain_takes(
    published: Published, kind: str
) -> None:
    rule, members = KINDS[kind]
    for schema, member in members:
        bound = published.document["components"]["schemas"][schema]["properties"][member]
        bound = next(each for each in bound.get("oneOf", [bound]) if each["type"] == "string")
        allows = allowed_by(bound)
        differ = {each for each in SAMPLES if allows(each) != takes(rule, each)}
        assert differ <= SEPARATORS


def allowed_by(bound: dict[str, Any]) -> Callable[[str], bool]:
    """Read a bound as ECMA-262 does: its `$` is the end, and lets no newline through."""
    pattern = re.compile(bound["pattern"].removesuffix("$") + r"\Z")
    least, most = bound.get("minLength", 0), bound.get("maxLength", 10_000)
    return lambda value: least <= len(value) <= most and pattern.search(value) is not None


def test_a_setting_of_the_service_shows_in_its_description() -> None:
    limits = PublishedLimits(key_length=20, page=7)
    document = description(limits)

    parameters = {
        parameter["name"]: parameter["schema"]
        for method in ("get", "post")
        for parameter in document["paths"]["/v1/orders"][method]["parameters"]
    }
    assert parameters["limit"]["maximum"] == 7
    assert re.search(parameters["Idempotency-Key"]["pattern"], "k" * 20)
    assert not re.search(parameters["Idempotency-Key"]["pattern"], "k" * 21)
