"""What callers write into an order: text, codes and addresses that check themselves."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from orders.domain.errors import InvalidValue
from orders.domain.money import AMOUNT_LIMIT

# `\Z`, never `$`: a `$` lets a trailing newline through.
SKU: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._/+:#-]{0,62}[A-Za-z0-9._/+:#-])?\Z")
CODE: Final = re.compile(r"[a-z][a-z0-9_-]{0,63}\Z")
REFERENCE: Final = re.compile(r"[\x21-\x7e]{1,255}\Z")
TOKEN: Final = re.compile(r"[A-Za-z0-9_.:-]{1,128}\Z")
METADATA_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
COUNTRY: Final = re.compile(r"[A-Z]{2}\Z")
# The controls of ASCII and Latin-1 but tab and line feed; lone surrogates, which UTF-8 cannot hold.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")

MAX_METADATA: Final = 50
"""Entries of metadata an order may carry."""
MAX_METADATA_TEXT: Final = 500
"""Code points of one entry."""
MAX_NOTE: Final = 2_000
"""Code points of a note, the customer's or staff's."""
MAX_NAME: Final = 500
"""Code points of the name of what is ordered."""
MAX_TEXT: Final = 200
"""Code points of a part of an address, a carrier or its number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLimits:
    """How much one order may hold. Amounts are minor units."""

    lines: int = 2_000
    quantity: int = 100_000
    unit_price: int = 10**10


def validate_text(value: str, field: str, *, most: int) -> str:
    """Free text of 1 to `most` code points, without control characters.

    Raises:
        InvalidValue: If it is empty, too long or holds what cannot be shown.
    """
    if not value.strip():
        raise InvalidValue(field, "must not be empty")
    if len(value) > most:
        raise InvalidValue(field, f"must have at most {most} characters")
    if _UNPRINTABLE.search(value):
        raise InvalidValue(field, "must not hold control characters")
    return value


def validate_optional_text(value: str | None, field: str) -> str | None:
    """Free text of at most `MAX_TEXT` code points, or none."""
    return None if value is None else validate_text(value, field, most=MAX_TEXT)


def validate_sku(value: str, field: str) -> str:
    """A stock keeping unit: 1 to 64 ASCII letters, digits, inner spaces and `._/+:#-`."""
    return _matched(SKU, value, field, "must be 1 to 64 letters, digits, spaces or ._/+:#-")


def validate_code(value: str, field: str) -> str:
    """A machine-readable reason: a lower-case word such as `suspected-fraud`."""
    return _matched(CODE, value, field, "must be a lower-case word of at most 64 characters")


def validate_reference(value: str, field: str) -> str:
    """Somebody else's name for a thing: 1 to 255 printable ASCII characters, no space."""
    return _matched(REFERENCE, value, field, "must be 1 to 255 printable ASCII characters")


def validate_method_token(value: str, field: str) -> str:
    """A payment method's token, as the payment service gave it. Never a card number."""
    token = _matched(TOKEN, value, field, "must be a token of the payment service")
    if sum(character.isdigit() for character in token) >= 12 and not re.search("[A-Za-z]", token):
        raise InvalidValue(field, "must be a token, not a card number")
    return token


def validate_metadata(value: Mapping[str, str], field: str) -> Mapping[str, str]:
    """The caller's own notes for programs: up to 50 short names with short texts."""
    if len(value) > MAX_METADATA:
        raise InvalidValue(field, f"must have at most {MAX_METADATA} members")
    for name, content in value.items():
        _matched(METADATA_NAME, name, field, "names must be 1 to 64 of A-Z a-z 0-9 _ -")
        validate_text(content, f"{field}/{name}", most=MAX_METADATA_TEXT)
    return dict(value)


def validate_amount(value: int, field: str, *, most: int = AMOUNT_LIMIT - 1, least: int = 0) -> int:
    """Whole minor units within bounds.

    Raises:
        InvalidValue: If it is out of bounds, or no whole number.
    """
    if type(value) is not int or not least <= value <= most:
        raise InvalidValue(field, f"must be a whole number from {least} to {most}")
    return value


def _matched(pattern: re.Pattern[str], value: str, field: str, problem: str) -> str:
    if not pattern.match(value):
        raise InvalidValue(field, problem)
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where to deliver. `country` is ISO 3166-1 alpha-2; other parts are as on the parcel."""

    name: str
    line1: str
    city: str
    country: str
    line2: str | None = None
    region: str | None = None
    postal_code: str | None = None
    phone: str | None = None

    def __post_init__(self) -> None:
        for field in ("name", "line1", "line2", "city", "region", "postal_code", "phone"):
            value: str | None = getattr(self, field)
            if value is not None:
                validate_text(value, f"shipping/address/{field}", most=MAX_TEXT)
        _matched(COUNTRY, self.country, "shipping/address/country", "must be two capitals")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipping:
    """How it travels, to where, and for how much in minor units."""

    address: Address | None = None
    method: str | None = None
    price: int = 0
