"""What every body of a request has in common."""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType

T = TypeVar("T")

FEW: Final = msgspec.Meta(max_length=1_000)
"""No bound of the domain's, but of the work for members that it will refuse."""


class Body(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A body that is refused if it has a member we do not know.

    A member that is added later is `UNSET` if it is left out. Then a body without it keeps its
    fingerprint, and a retry that meets a newer version of the service is still known.
    """


def stated(value: T | UnsetType) -> T | None:
    """A member of a body; None if it is left out."""
    return None if value is UNSET else value
