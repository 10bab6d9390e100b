"""What cannot be written: records and mappings that refuse every write with a `TypeError`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import FrozenInstanceError
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")


class ReadOnly(FrozenInstanceError, TypeError):
    """A part of an order's state was written to. Only the order's commands change it."""


def read_only(record: type[T]) -> type[T]:
    """Let a frozen dataclass refuse writes as tuples do: with a `TypeError`.

    Dataclasses alone raise `FrozenInstanceError`, an `AttributeError`; `ReadOnly` is both.
    """

    def refuse(self: object, name: str, *_: object) -> NoReturn:
        raise ReadOnly(f"{type(self).__name__}.{name} is read-only: use the order's commands")

    for writer in ("__setattr__", "__delattr__"):
        setattr(record, writer, refuse)
    return record


class ReadOnlyDict(dict[K, V]):
    """A mapping that cannot be written.

    It is a `dict`, so that whatever writes JSON or BSON knows it; a `MappingProxyType` can be
    neither encoded nor copied.
    """

    __slots__ = ()

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise ReadOnly("this mapping is read-only: use the order's commands")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        # Unpickling and copying a subclass of dict would write into it.
        return type(self), (dict(self),)


def freeze(record: object, field: str) -> None:
    """Make a mapping in a field of a new record read-only. For `__post_init__`."""
    value: Mapping[Any, Any] = getattr(record, field)
    if type(value) is not ReadOnlyDict:
        object.__setattr__(record, field, ReadOnlyDict(value))
