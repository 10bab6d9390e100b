"""The numbered parts of an order, such as payments, shipments and holds, and what is in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from orders.domain.errors import InvalidValue, OrderError, PartNotFound
from orders.domain.identifiers import PartId
from orders.domain.validation import validate_str


class _Part(Protocol):
    @property
    def id(self) -> PartId: ...


P = TypeVar("P", bound=_Part)


def next_id(parts: Sequence[object]) -> PartId:
    """The number of the next part. Parts are never removed, so it is new."""
    return str(len(parts) + 1)


def part(parts: Sequence[P], kind: str, part_id: str) -> P:
    """The part with this number.

    Raises:
        InvalidValue: If the number is not text.
        PartNotFound: If there is no such part.
    """
    validate_str(part_id, f"{kind}_id")
    for candidate in parts:
        if candidate.id == part_id:
            return candidate
    raise PartNotFound(kind, part_id)


def replaced(parts: tuple[P, ...], new: P) -> tuple[P, ...]:
    """The parts with one of them in its new form."""
    return tuple(new if old.id == new.id else old for old in parts)


def amount_within(
    amount: int | None, most: int, refusal: Callable[..., OrderError], *, least: int = 1
) -> int:
    """The amount asked for, or all that is available if it is None. Minor units.

    Raises:
        InvalidValue: If it is not a whole number from `least`.
        OrderError: `refusal`, if it is more than is available.
    """
    wanted = max(least, most) if amount is None else amount
    if type(wanted) is not int or wanted < least:
        raise InvalidValue("amount", f"must be a whole number of at least {least}")
    if wanted > most:
        raise refusal(wanted=wanted, available=most)
    return wanted


def in_whole_milliseconds(at: datetime) -> datetime:
    """The time as every store keeps it."""
    return at.astimezone(UTC).replace(microsecond=at.microsecond // 1_000 * 1_000)
