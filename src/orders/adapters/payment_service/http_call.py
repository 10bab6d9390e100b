"""One request to the payment service, and what its response means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

import aiohttp
from yarl import URL

from orders.adapters.http_client import NO_CONNECTION, why
from orders.adapters.payment_service.retry_policy import retry_after_seconds
from orders.adapters.payment_service.schema import UnreadableResponse, read_decline_code
from orders.application.errors import PaymentDeclined, PaymentRefused, PaymentUnavailable

BODY_LIMIT = 2**20
_RETRYABLE = frozenset({408, 409, 425, 429})

T = TypeVar("T")


class RetryableFailure(PaymentUnavailable):
    """The outcome is unknown. A retry with the same key may find it.

    `healthy` is true if the service works but asks to wait; `retry_after` is in seconds.
    """

    def __init__(self, message: str, *, retry_after: float = 0.0, healthy: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.healthy = healthy


@dataclass(frozen=True, slots=True)
class Request:
    """Everything that is sent, so that a retry sends the same."""

    method: str
    url: URL
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = None


async def call_once(
    session: aiohttp.ClientSession, request: Request, read: Callable[[bytes], T]
) -> T:
    """Send a request once, and read the response body with `read`.

    Raises:
        PaymentDeclined: The status is 402.
        PaymentRefused: Another 4xx that a retry would not change.
        RetryableFailure: No response, or a status that allows a retry.
        PaymentUnavailable: The response is not valid: a redirect, an unreadable body.
    """
    try:
        async with session.request(
            request.method,
            request.url,
            headers=request.headers,
            data=request.body,
            allow_redirects=False,
        ) as response:
            return await _result(response, read)
    except (TimeoutError, *NO_CONNECTION, aiohttp.ClientPayloadError) as error:
        raise RetryableFailure(f"the payment service gave no response: {why(error)}") from error
    except (aiohttp.ClientError, UnreadableResponse) as error:
        raise PaymentUnavailable("the payment service's response cannot be read") from error


async def _result(response: aiohttp.ClientResponse, read: Callable[[bytes], T]) -> T:
    status = response.status
    if status in (200, 201):
        return read(await _body(response))
    if status == 402:
        raise PaymentDeclined(await _decline_code(response))
    message = f"the payment service returned {status}"
    if status in _RETRYABLE or (status >= 500 and status != 501):
        wanted = retry_after_seconds(response.headers.get("Retry-After"), now=datetime.now(UTC))
        raise RetryableFailure(message, retry_after=wanted, healthy=status < 500)
    if 400 <= status < 500:
        raise PaymentRefused(message)
    raise PaymentUnavailable(message)


async def _decline_code(response: aiohttp.ClientResponse) -> str:
    try:
        return read_decline_code(await _body(response))
    except UnreadableResponse:
        return "declined"


async def _body(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > BODY_LIMIT:
            raise UnreadableResponse("too long")
    return bytes(body)
