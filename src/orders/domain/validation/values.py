"""Checks of the values that callers write into an order: kinds, bounds and patterns.

Each check returns the value, or raises `InvalidValue` with the field's name and the problem.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
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
VAT_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ./*+-]{0,30}[A-Za-z0-9*+]\Z")
# Any script, but nothing that needs quotes, is blank or steers text (U+2000 to U+206F). These
# stand as they are: the languages that read the published pattern share no escape for them.
_NOT_IN_EMAIL: Final = r'\x00-\x20"(),:;<>@\[\\\]\x7f-\xa0' + "\u1680\u2000-\u206f\u3000\ufeff"
EMAIL: Final = re.compile(
    rf"[^{_NOT_IN_EMAIL}]{{1,64}}@[^.{_NOT_IN_EMAIL}]+(?:\.[^.{_NOT_IN_EMAIL}]+)*\Z"
)
# All controls of ASCII and Latin-1 except tab and line feed, and lone surrogates (not UTF-8).
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")

MAX_METADATA: Final = 50
"""The most entries of metadata on one order."""
MAX_METADATA_TEXT: Final = 500
"""The most code points of one metadata entry."""
MAX_NOTE: Final = 2_000
"""The most code points of a note, the customer's or staff's."""
MAX_NAME: Final = 500
"""The most code points of an item's name."""
MAX_TEXT: Final = 200
"""The most code points of an address part, a company, a phone, a carrier or a tracking number."""
MAX_MESSAGE: Final = 1_000
"""The most code points of a gift message, or of instructions for the delivery."""
MAX_EMAIL: Final = 254
"""The most code points of an e-mail address (RFC 5321, 4.5.3.1.3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLimits:
    """The most that one order may hold: lines, units of a line, minor units for one unit, and
    payments within an hour that were declined or have no outcome (0 sets no limit).
    """

    lines: int = 2_000
    quantity: int = 100_000
    unit_price: int = 10**10
    declines: int = 10


def validate_text(value: str, field: str, *, most: int) -> str:
    """Free text of 1 to `most` code points, without control characters."""
    if not isinstance(value, str):
        raise InvalidValue(field, "must be text")
    if not value.strip():
        raise InvalidValue(field, "must not be empty")
    if len(value) > most:
        raise InvalidValue(field, f"must have at most {most} characters")
    if _UNPRINTABLE.search(value):
        raise InvalidValue(field, "must not contain control characters")
    return value


def validate_optional_text(value: str | None, field: str) -> str | None:
    """Free text of at most `MAX_TEXT` code points, or None."""
    return None if value is None else validate_text(value, field, most=MAX_TEXT)


def validate_str(value: str, field: str) -> str:
    """A string, whatever it says."""
    if not isinstance(value, str):
        raise InvalidValue(field, "must be text")
    return value


def validate_name(value: str, field: str) -> str:
    """A string that is not blank, such as a tenant or the id of a customer."""
    if not validate_str(value, field).strip():
        raise InvalidValue(field, "must not be empty")
    return value


def validate_sku(value: str, field: str) -> str:
    """A stock keeping unit: 1 to 64 ASCII letters, digits, inner spaces and `._/+:#-`."""
    return matched(SKU, value, field, "must be 1 to 64 letters, digits, spaces or ._/+:#-")


def validate_code(value: str, field: str) -> str:
    """A machine-readable reason: a lower-case word such as `suspected-fraud`."""
    return matched(CODE, value, field, "must be a lower-case word of at most 64 characters")


def validate_reference(value: str, field: str) -> str:
    """Another system's name for a thing: 1 to 255 printable ASCII characters, no space."""
    return matched(REFERENCE, value, field, "must be 1 to 255 printable ASCII characters")


def validate_method_token(value: str, field: str) -> str:
    """The token of a payment method, as the payment service issued it. Never a card number."""
    token = matched(TOKEN, value, field, "must be a token of the payment service")
    if sum(character.isdigit() for character in token) >= 12 and not re.search("[A-Za-z]", token):
        raise InvalidValue(field, "must be a token, not a card number")
    return token


def validate_metadata(value: Mapping[str, str], field: str) -> Mapping[str, str]:
    """The caller's own data: at most 50 entries, each a short name with a short text."""
    if not isinstance(value, Mapping):
        raise InvalidValue(field, "must be texts by name")
    if len(value) > MAX_METADATA:
        raise InvalidValue(field, f"must have at most {MAX_METADATA} members")
    for name, content in value.items():
        matched(METADATA_NAME, name, field, "names must be 1 to 64 of A-Z a-z 0-9 _ -")
        validate_text(content, f"{field}/{name}", most=MAX_METADATA_TEXT)
    return dict(value)


def validate_message(value: str, field: str) -> str:
    """What the recipient of a parcel or its carrier reads: 1 to 1,000 code points."""
    return validate_text(value, field, most=MAX_MESSAGE)


def validate_email(value: str, field: str) -> str:
    """An e-mail address of at most 254 code points in any script, without quotes. Nobody checks
    that it exists.
    """
    email = matched(EMAIL, value, field, "must be an e-mail address such as ada@shop.example")
    return validate_text(email, field, most=MAX_EMAIL)


def validate_vat_id(value: str, field: str) -> str:
    """A tax number as its owner writes it: 2 to 32 letters, digits and inner ` ./*+-`. Nobody
    checks that it exists.
    """
    return matched(
        VAT_ID, value, field, "must be 2 to 32 letters, digits or inner ./*+- and spaces"
    )


def validate_amount(value: int, field: str, *, most: int = AMOUNT_LIMIT - 1, least: int = 0) -> int:
    """A whole number of minor units, or of units, from `least` to `most`."""
    # A bool is an int to Python, but no amount; a float may have lost cents already.
    if type(value) is not int or not least <= value <= most:
        raise InvalidValue(field, f"must be a whole number from {least} to {most}")
    return value


def validate_whole(value: int, field: str) -> int:
    """A whole number of any size."""
    if type(value) is not int:
        raise InvalidValue(field, "must be a whole number")
    return value


def validate_flag(value: bool, field: str) -> bool:
    """True or False, and nothing that only counts as one of them."""
    if type(value) is not bool:
        raise InvalidValue(field, "must be true or false")
    return value


def validate_time(value: datetime, field: str) -> datetime:
    """A time with its offset from UTC."""
    if not isinstance(value, datetime):
        raise InvalidValue(field, "must be a time with a time zone")
    if value.utcoffset() is None:
        raise InvalidValue(field, "must be a time with a time zone")
    return value


def validate_kind(value: object, kind: type, field: str) -> None:
    """A value of one of the domain's classes."""
    if not isinstance(value, kind):
        raise InvalidValue(field, f"must be {kind.__name__}")


def matched(pattern: re.Pattern[str], value: str, field: str, problem: str) -> str:
    """Text that the pattern matches; `problem` says what else it must be."""
    if not isinstance(value, str):
        raise InvalidValue(field, problem)
    if not pattern.match(value):
        raise InvalidValue(field, problem)
    return value
