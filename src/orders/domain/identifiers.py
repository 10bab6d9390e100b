"""Names of things: orders, their parts, and who acts on them.

One rule for ids: the id of an order is an `OrderId`, a UUID. The id of a part of an order is
plain text, "1", "2", and so on. What an order shows goes into a command as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import NewType, TypeAlias
from uuid import UUID

from orders.domain.errors import InvalidValue

OrderId = NewType("OrderId", UUID)
PartId: TypeAlias = str
"""The number of a line, payment, refund, shipment or return within its order: "1", "2", …"""

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: without I, L and O, which people read as digits, and without U."""
_READ_AS = str.maketrans("ILO", "110")
_NUMBER = re.compile(r"[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{5}\Z")


def derive_order_id(*, tenant: str, subject: str, request_key: str) -> OrderId:
    """The id of the order that this subject places with this key: the same key, the same order.

    So the primary key makes placing idempotent, also on a sharded store. The id is a UUID
    version 8 (RFC 9562, 5.8) made from a SHA-256. It need not be secret, only unique.
    """
    # The lengths are hashed too: without them ("a", "bc") and ("ab", "c") would be one order.
    parts = (tenant, subject, request_key)
    text = "".join(f"{len(part)}:{part}" for part in parts)
    from hashlib import sha256  # noqa: PLC0415  # it loads OpenSSL: not with the whole domain

    digest = sha256(text.encode("utf-8", "surrogatepass")).digest()
    value = int.from_bytes(digest[:16])
    value = value & ~(0xF << 76) | (8 << 76)
    value = value & ~(0x3 << 62) | (2 << 62)
    return OrderId(UUID(int=value))


def order_number(randomness: int) -> str:
    """The number that people read out: 12 characters from 60 random bits, and a check character.

    Args:
        randomness: At least 60 unguessable bits; higher ones are ignored.
    """
    digits = [ALPHABET[(randomness >> (5 * place)) & 31] for place in range(12)]
    text = "".join(digits) + _check_character(digits)
    return f"{text[:4]}-{text[4:8]}-{text[8:]}"


def read_order_number(text: str) -> str:
    """The canonical form of a number that a person typed.

    Accepts any case, spaces, and I, L, O for 1, 1, 0.

    Raises:
        InvalidValue: If it is not an order number, or one character of it was misread.
    """
    compact = text.upper().replace("-", "").replace(" ", "").translate(_READ_AS)
    number = f"{compact[:4]}-{compact[4:8]}-{compact[8:]}"
    if not _NUMBER.match(number) or _check_character(list(compact[:12])) != compact[12]:
        raise InvalidValue("number", "is not an order number; check it for a misread character")
    return number


def _check_character(digits: list[str]) -> str:
    # Odd weights are invertible modulo 32, so every single wrong character changes the sum.
    total = sum((2 * place + 1) * ALPHABET.index(digit) for place, digit in enumerate(digits))
    return ALPHABET[total % 32]


class ActorKind(StrEnum):
    """In what capacity someone acts. Published events contain this, and not the subject."""

    CUSTOMER = "customer"
    STAFF = "staff"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who makes a change. `subject` is the token's `sub`, or the name of a process.

    Raises:
        InvalidValue: If the kind is not an `ActorKind`, or the subject is empty or not text.
    """

    kind: ActorKind
    subject: str

    def __post_init__(self) -> None:
        if not isinstance(self.kind, ActorKind):
            raise InvalidValue("by", "must be an Actor with an ActorKind")
        if not self.subject or not isinstance(self.subject, str):
            raise InvalidValue("by", "must be an Actor whose subject is text that is not empty")

    @classmethod
    def customer(cls, subject: str) -> Actor:
        """A customer, who acts on their own order."""
        return cls(ActorKind.CUSTOMER, subject)

    @classmethod
    def staff(cls, subject: str) -> Actor:
        """A member of staff, or a service that acts for the shop."""
        return cls(ActorKind.STAFF, subject)

    @classmethod
    def system(cls, subject: str) -> Actor:
        """A process that acts without a person."""
        return cls(ActorKind.SYSTEM, subject)


SYSTEM = Actor.system("orders")
PROVIDER = Actor.system("payment-service")
