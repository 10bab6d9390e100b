"""A client of the HTTP API with the few requests of a replay; it retries each of them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import urlencode

import aiohttp
import msgspec
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_delay,
    wait_exception,
    wait_random,
)

from orders.entrypoints.failures import CommandFailed
from orders.entrypoints.sandbox.replay.views import Order, OrderPage, Problem

IN_FLIGHT: Final = 8
"""Concurrent requests. The API mostly waits for the disk, not for this client."""
MAX_RETRY_SECONDS: Final = 60.0
"""How long a request is retried while the API is unavailable or does not respond."""

_TIMEOUT: Final = aiohttp.ClientTimeout(total=30, connect=5)
_PAGE: Final = 25
_INDEX = re.compile(r"(?<=/)[0-9]+")

T = TypeVar("T")


class RequestRefused(Exception):
    """The API refused for good. `reason` is the same for all invoices with the same fault."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.code)
        self.code = problem.code
        self.reason = f"{problem.code}: {_INDEX.sub('…', problem.detail)}"


class PlacedOrder(NamedTuple):
    """An order; `replayed` if an earlier request with this key did the work."""

    order: Order
    replayed: bool


class _Unavailable(Exception):
    """The API is unavailable: retry the same request after `seconds`."""

    def __init__(self, seconds: float, why: str) -> None:
        super().__init__(why)
        self.seconds = seconds


class OrdersApi:
    """The orders of one service as the bearer of a token sees them.

    Every command carries a key, so any request may be retried, also by a later run.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        """Use `opened` to create one."""
        self._session = session
        self._url = url

    @classmethod
    @asynccontextmanager
    async def opened(cls, base_url: str, token: str) -> AsyncIterator[OrdersApi]:
        """Open a client of the API at `base_url`; first check the address and the token.

        Raises:
            CommandFailed: If the API does not respond, or refuses the token.
        """
        if not token.isascii() or not token.isprintable():
            raise CommandFailed("the token holds characters that no token has")
        async with aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {token}"},
            connector=aiohttp.TCPConnector(limit=IN_FLIGHT),
            timeout=_TIMEOUT,
        ) as session:
            api = cls(session, f"{base_url.rstrip('/')}/v1")
            try:
                await api._once("GET", "/orders?limit=1", OrderPage)
            except _Unavailable as reason:
                raise CommandFailed(f"the API at {base_url} does not answer: {reason}") from reason
            except RequestRefused as refused:
                raise CommandFailed(f"{base_url} is no Order Service: {refused.code}") from refused
            yield api

    async def place(self, draft: Mapping[str, Any], *, key: str) -> PlacedOrder:
        """Place an order.

        Raises:
            RequestRefused: If the API refuses it.
        """
        return await self._command("/orders", draft, key)

    async def command(
        self, order_id: str, path: str, body: Mapping[str, Any], *, key: str
    ) -> PlacedOrder:
        """Send a command for an order.

        Raises:
            RequestRefused: If a rule of the order refuses it.
        """
        return await self._command(f"/orders/{order_id}{path}", body, key)

    async def read(self, order_id: str) -> Order:
        """Return the current state of an order."""
        order, _ = await self._send("GET", f"/orders/{order_id}", Order)
        return order

    async def of_customer(self, customer_id: str) -> list[Order]:
        """Return all orders of a customer, newest first."""
        found: list[Order] = []
        query = {"customer_id": customer_id, "limit": str(_PAGE)}
        while True:
            page, _ = await self._send("GET", f"/orders?{urlencode(query)}", OrderPage)
            found += page.items
            if page.next_cursor is None:
                return found
            query["cursor"] = page.next_cursor

    async def _command(self, path: str, body: Mapping[str, Any], key: str) -> PlacedOrder:
        order, headers = await self._send("POST", path, Order, body=body, key=key)
        return PlacedOrder(order, headers.get("Idempotency-Replayed") == "true")

    async def _send(
        self,
        method: str,
        path: str,
        form: type[T],
        *,
        body: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> tuple[T, Mapping[str, str]]:
        repeated = AsyncRetrying(
            retry=retry_if_exception_type(_Unavailable),
            wait=wait_exception(_retry_after) + wait_random(0, 0.2),
            stop=stop_after_delay(MAX_RETRY_SECONDS),
            reraise=True,
        )
        try:
            return await repeated(self._once, method, path, form, body=body, key=key)
        except _Unavailable as reason:
            raise CommandFailed(
                f"the API did not answer for {MAX_RETRY_SECONDS:.0f} s ({reason}): "
                "run it again later, it goes on where it stopped"
            ) from reason

    async def _once(
        self,
        method: str,
        path: str,
        form: type[T],
        *,
        body: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> tuple[T, Mapping[str, str]]:
        headers = {} if key is None else {"Idempotency-Key": key}
        try:
            async with self._session.request(
                method, self._url + path, json=body, headers=headers, allow_redirects=False
            ) as response:
                content = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _Unavailable(1.0, _why(error)) from error
        if response.status < HTTPStatus.MULTIPLE_CHOICES:
            return _decoded(content, form), response.headers
        raise _refusal(response, content)


def _retry_after(error: BaseException) -> float:
    return error.seconds if isinstance(error, _Unavailable) else 0.0


def _why(error: Exception) -> str:
    match error:
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return "that is no http URL"
        case aiohttp.ClientConnectorError():
            return "no connection"
        case TimeoutError():
            return "no answer in time"
        case _:
            return "the connection broke"


def _decoded(content: bytes, form: type[T]) -> T:
    try:
        return msgspec.json.decode(content, type=form)
    except msgspec.MsgspecError as error:
        raise CommandFailed(f"the answer is none of an Order Service: {error}") from error


def _refusal(response: aiohttp.ClientResponse, content: bytes) -> Exception:
    try:
        problem = msgspec.json.decode(content, type=Problem)
    except msgspec.MsgspecError:
        problem = Problem(code=f"http-{response.status}", detail=response.reason or "")
    if "Retry-After" in response.headers:
        return _Unavailable(_seconds(response.headers["Retry-After"]), problem.code)
    match response.status:
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return CommandFailed(f"the API refuses the token: {problem.detail}")
        case HTTPStatus.TOO_MANY_REQUESTS | HTTPStatus.BAD_GATEWAY | HTTPStatus.GATEWAY_TIMEOUT:
            return _Unavailable(1.0, problem.code)
        case HTTPStatus.SERVICE_UNAVAILABLE:
            return _Unavailable(1.0, problem.code)
        case _:
            return RequestRefused(problem)


def _seconds(retry_after: str) -> float:
    return min(float(retry_after), 10.0) if retry_after.isdecimal() else 1.0
