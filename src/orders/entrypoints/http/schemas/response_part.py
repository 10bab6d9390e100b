"""What all parts of answers have in common."""

from __future__ import annotations

from msgspec import Struct


class ResponsePart(Struct, frozen=True, kw_only=True):
    """A part of an answer. Versions of the service may add members."""
