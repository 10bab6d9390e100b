"""Cursors: the place where the next page of a list begins, signed against forgery."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final, NamedTuple
from uuid import UUID

from orders.application.ports import Position
from orders.domain.identifiers import OrderId
from orders.entrypoints.http.problems import RequestRefused

_TAG_BYTES: Final = 16


class Place(NamedTuple):
    """What a cursor holds."""

    position: Position
    since: datetime | None


class Cursors:
    """Writes and reads cursors. A cursor is valid for one list of one caller."""

    def __init__(self, secret: bytes) -> None:
        self._key = hashlib.sha256(b"orders cursor 1" + secret).digest()

    def write(self, position: Position, *, of: str, since: datetime | None = None) -> str:
        """The cursor of the page after a position, in the list named `of`. It keeps `since`."""
        place = _to_bytes(position.at) + position.order_id.bytes
        if since is not None:
            place += _to_bytes(since)
        return base64.urlsafe_b64encode(place + self._tag(place, of)).decode().rstrip("=")

    def read(self, cursor: str, *, of: str) -> Place:
        """The position before the page that a cursor leads to, and what the cursor keeps.

        Raises:
            RequestRefused: 400 if it was forged, or is of another list or caller.
        """
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise _refused() from None
        place, tag = raw[:-_TAG_BYTES], raw[-_TAG_BYTES:]
        canonical = base64.urlsafe_b64encode(raw).decode().rstrip("=")
        if canonical != cursor or not hmac.compare_digest(tag, self._tag(place, of)):
            raise _refused()
        position = Position(at=_to_time(place[:8]), order_id=OrderId(UUID(bytes=place[8:24])))
        return Place(position, _to_time(place[24:]) if place[24:] else None)

    def _tag(self, place: bytes, of: str) -> bytes:
        return hmac.digest(self._key, place + of.encode(), "sha256")[:_TAG_BYTES]


def _to_bytes(at: datetime) -> bytes:
    return round(at.timestamp() * 1000).to_bytes(8)


def _to_time(raw: bytes) -> datetime:
    return datetime.fromtimestamp(int.from_bytes(raw) / 1000, UTC)


def _refused() -> RequestRefused:
    return RequestRefused(
        HTTPStatus.BAD_REQUEST, "invalid-cursor", "Use the next_cursor of a page of this list."
    )
