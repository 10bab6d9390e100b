"""Signed webhooks of the payment service (Standard Webhooks 1.0, symmetric signatures)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Final

import msgspec

from orders.adapters.payment_service.schema import PaymentMessage, UnreadableResponse, decode
from orders.application.errors import InvalidWebhook
from orders.application.ports import PaymentEvent, PaymentEventType, UnknownPaymentEvent

_SECRET_PREFIX = "whsec_"  # noqa: S105 - the standard's prefix, not a secret
_ID_LIMIT = 255


class _WebhookMessage(msgspec.Struct, frozen=True, gc=False):
    type: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    data: msgspec.Raw


class _UnknownData(msgspec.Struct, frozen=True, gc=False):
    reference: str | None = None


_MESSAGE = msgspec.json.Decoder(_WebhookMessage)
_PAYMENT = msgspec.json.Decoder(PaymentMessage)
_UNKNOWN = msgspec.json.Decoder(_UnknownData)
_TYPES: Final = frozenset(PaymentEventType)


class WebhookVerifier:
    """Verifies the signature of webhooks. Has no state between calls."""

    def __init__(self, secrets: Sequence[str], *, tolerance_seconds: int = 300) -> None:
        """Take the secrets (`whsec_…`, base64): two while one replaces the other.

        Raises:
            ValueError: If there is none, or one is not of that form or has less than 24 bytes.
        """
        if not secrets:
            raise ValueError("a webhook verifier needs a secret")
        self._keys = tuple(_key(secret) for secret in secrets)
        self._tolerance_seconds = tolerance_seconds

    def verify(
        self, headers: Mapping[str, str], raw_body: bytes, now: datetime
    ) -> PaymentEvent | UnknownPaymentEvent:
        """Verify the signature of a webhook, and read it. May be repeated.

        The names in `headers` are in lower case, `raw_body` has the received bytes, `now` is aware.

        Raises:
            InvalidWebhook: If a header is missing or malformed, the timestamp differs from `now` by
                more than the tolerance, no signature matches, or the body is not valid.
        """
        message_id = headers.get("webhook-id", "")
        timestamp = headers.get("webhook-timestamp", "")
        if not (0 < len(message_id) <= _ID_LIMIT and message_id.isascii()):
            raise InvalidWebhook("no webhook-id")
        self._check_age(timestamp, now)
        signed = f"{message_id}.{timestamp}.".encode() + raw_body
        self._check_signature(headers.get("webhook-signature", ""), signed)
        try:
            message = decode(_MESSAGE, raw_body)
            if message.type not in _TYPES:
                return UnknownPaymentEvent(id=message_id, reference=_reference(message.data))
            return PaymentEvent(
                id=message_id,
                type=PaymentEventType(message.type),
                payment=decode(_PAYMENT, message.data).to_report(),
            )
        except UnreadableResponse as error:
            raise InvalidWebhook("the body is not valid") from error

    def _check_age(self, timestamp: str, now: datetime) -> None:
        if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12):
            raise InvalidWebhook("no webhook-timestamp")
        if abs(now.timestamp() - int(timestamp)) > self._tolerance_seconds:
            raise InvalidWebhook("the timestamp is too far in the past or in the future")

    def _check_signature(self, given: str, signed: bytes) -> None:
        expected = [_signature(key, signed) for key in self._keys]
        # All are compared, so that the duration does not reveal which one matches.
        matches = [
            hmac.compare_digest(one, candidate.encode(errors="replace"))
            for candidate in given.split(" ")
            for one in expected
        ]
        if not any(matches):
            raise InvalidWebhook("no signature matches")


def _reference(data: msgspec.Raw) -> str | None:
    """The payment that an unknown message is about; None if its form is unknown, too."""
    try:
        return decode(_UNKNOWN, data).reference
    except UnreadableResponse:
        return None


def _signature(key: bytes, signed: bytes) -> bytes:
    return b"v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256))


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(_SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(_SECRET_PREFIX) or len(key) < 24:
        raise ValueError("a webhook secret is whsec_ and base64 of at least 24 bytes")
    return key
