"""Where a claim is: its name, or a JSON Pointer (RFC 6901), such as `/realm_access/roles`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final

Claims = Mapping[str, Any]

MISSING: Final = object()


def find_claim(claims: Claims, where: str) -> Any:
    """Return a claim, or `MISSING`. `where` is a name, or a pointer, which starts with `/`.

    A pointer leads through objects only, not through lists.
    """
    value: Any = claims
    for name in _names(where):
        if not isinstance(value, dict) or name not in value:
            return MISSING
        value = value[name]
    return value


def first_claim(claims: Claims, places: Iterable[str]) -> Any:
    """Return the first of several claims that is there, whatever its value; else `MISSING`."""
    found = (find_claim(claims, where) for where in places)
    return next((value for value in found if value is not MISSING), MISSING)


@cache
def _names(where: str) -> tuple[str, ...]:
    if not where.startswith("/"):
        return (where,)
    return tuple(name.replace("~1", "/").replace("~0", "~") for name in where[1:].split("/"))
