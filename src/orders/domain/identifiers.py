"""Names of things: orders, their parts, and who acts on them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import NewType
from uuid import UUID

from orders.domain.errors import InvalidValue

OrderId = NewType("OrderId", UUID)
PartId = NewType("PartId", str)
"""A part's number within its order ("1", "2", …): payments, refunds, shipments, returns."""

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no letter that is read as a digit (I, L, O) and no U."""
_READ_AS = str.maketrans("ILO", "110")
_NUMBER = re.compile(r"[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{5}\Z")


def derive_order_id(*, tenant: str, subject: str, request_key: str) -> OrderId:
    """The order's id, fixed by who asked with which key, so that asking twice is one order.

    The primary key itself makes placing idempotent, on a sharded store too. The id is a
    UUID version 8 (RFC 9562, 5.8) of a SHA-256; it need not be secret, only unique.
    """
    # Lengths go in too: without them ("a", "bc") and ("ab", "c") would be one order.
    parts = (tenant, subject, request_key)
    text = "".join(f"{len(part)}:{part}" for part in parts)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    value = int.from_bytes(digest[:16])
    value = value & ~(0xF << 76) | (8 << 76)
    value = value & ~(0x3 << 62) | (2 << 62)
    return OrderId(UUID(int=value))


def order_number(randomness: int) -> str:
    """The number people read out: twelve characters of 60 random bits and a check character.

    Args:
        randomness: At least 60 unguessable bits; higher ones are ignored.
    """
    digits = [ALPHABET[(randomness >> (5 * place)) & 31] for place in range(12)]
    text = "".join(digits) + _check_character(digits)
    return f"{text[:4]}-{text[4:8]}-{text[8:]}"


def read_order_number(text: str) -> str:
    """The number as written by a person, in its canonical form.

    Case, spaces, and I, L, O for 1, 1, 0 are forgiven.

    Raises:
        InvalidValue: If it is no number, or one character of it was misread.
    """
    compact = text.upper().replace("-", "").replace(" ", "").translate(_READ_AS)
    number = f"{compact[:4]}-{compact[4:8]}-{compact[8:]}"
    if not _NUMBER.match(number) or _check_character(list(compact[:12])) != compact[12]:
        raise InvalidValue("number", "is no order number; check it for a misread character")
    return number


def _check_character(digits: list[str]) -> str:
    # Odd weights are invertible modulo 32, so every single wrong character changes the sum.
    total = sum((2 * place + 1) * ALPHABET.index(digit) for place, digit in enumerate(digits))
    return ALPHABET[total % 32]


class ActorKind(StrEnum):
    """In what capacity someone acts. Events tell this and no more."""

    CUSTOMER = "customer"
    STAFF = "staff"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who made a change. `subject` is the token's `sub`, or the name of a process."""

    kind: ActorKind
    subject: str


SYSTEM = Actor(ActorKind.SYSTEM, "orders")
PROVIDER = Actor(ActorKind.SYSTEM, "payment-service")
