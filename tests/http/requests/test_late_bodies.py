"""Bodies that do not come: whoever waits for them keeps nobody out, and holds little."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from litestar import Litestar

from orders.entrypoints.http.middleware.body_arrival import MIN_COUNTED_BYTES, Arrival, Arrivals
from tests.support.observed_api import an_app
from tests.support.served_api import Line, served
from tests.support.shop import Shop

TOKEN = b"Authorization: Bearer root\r\nIdempotency-Key: k\r\n"
LENGTH = b"Content-Length: 1000\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
WAITING = {
    "anonymous, at the webhook": (b"/v1/payment-events", LENGTH),
    "anonymous, chunked": (b"/v1/payment-events", CHUNKED),
    "with a token": (b"/v1/orders", TOKEN + LENGTH),
    "with a token, chunked": (b"/v1/orders", TOKEN + CHUNKED),
}
MORE_THAN_MAY_BE_IN_FLIGHT = 20


@pytest.fixture
def app() -> Litestar:
    few = MORE_THAN_MAY_BE_IN_FLIGHT // 4
    return an_app(Shop(), max_in_flight=few, mongo_pool_size=2)


@pytest.fixture
def port(app: Litestar) -> Iterator[int]:
    with served(app, app.state.overload) as port:
        yield port


def awaited(line: Line, path: bytes, fields: bytes) -> None:
    """Send the head of a request, and come back once its body is waited for."""
    line.say(
        b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Expect: 100-continue\r\n%b\r\n" % (path, fields)
    )
    assert line._heard.readline() == b"HTTP/1.1 100 Continue\r\n"
    assert line._heard.readline() == b"\r\n"


def asked(port: int, method: bytes, path: bytes, fields: bytes = b"", body: bytes = b"") -> int:
    with Line(port) as line:
        fields += b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(body)
        line.say(b"%b %b HTTP/1.1\r\nHost: x\r\n%b\r\n%b" % (method, path, fields, body))
        return line.hear()[0]


@pytest.mark.parametrize(("path", "fields"), WAITING.values(), ids=WAITING)
def test_bodies_that_do_not_come_keep_nobody_out(port: int, path: bytes, fields: bytes) -> None:
    with ExitStack() as stack:
        for _ in range(MORE_THAN_MAY_BE_IN_FLIGHT):
            line = stack.enter_context(Line(port))
            awaited(line, path, fields)
            line.say(b"{" if b"Length" in fields else b"1\r\n{\r\n")
        assert asked(port, b"POST", b"/v1/orders", TOKEN, ORDER) == 201
        assert asked(port, b"GET", b"/v1/orders", TOKEN) == 200
        assert asked(port, b"POST", b"/v1/orders") == 401


ORDER = b'{"currency":"EUR","lines":[{"sku":"PEN","name":"Pen","quantity":1}]}'


def test_who_is_refused_by_the_head_alone_is_not_waited_for(port: int) -> None:
    for fields, status in (
        (LENGTH, 401),
        (TOKEN + b"Content-Length: 2000000\r\n", 413),
        (TOKEN.replace(b"root", b"forged") + CHUNKED, 401),
    ):
        with Line(port) as line:
            line.say(b"POST /v1/orders HTTP/1.1\r\nHost: x\r\n%b\r\n" % fields)
            assert line.hear()[0] == status


def test_beyond_a_bound_the_oldest_bodies_are_given_up(app: Litestar, port: int) -> None:
    app.state.overload._arrivals = Arrivals(3 * MIN_COUNTED_BYTES)
    with ExitStack() as stack:
        lines = [stack.enter_context(Line(port)) for _ in range(4)]
        for line in lines:
            awaited(line, b"/v1/orders", TOKEN + b"Content-Length: %d\r\n" % len(ORDER))
        status, headers, body = lines[0].hear()
        assert (status, json.loads(body)["code"]) == (408, "body-timeout")
        assert headers["connection"] == "close"
        lines[3].say(ORDER)
        assert lines[3].hear()[0] == 201
        lines[1].say(ORDER)
        assert lines[1].hear()[0] == 201


class Parts:
    """What a server passes on, one part after the other, when the test says so."""

    def __init__(self) -> None:
        self._parts: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def give(self, size: int, *, more: bool = True) -> None:
        self._parts.put_nowait({"type": "http.request", "body": b"a" * size, "more_body": more})

    async def __call__(self) -> Any:
        return await self._parts.get()


async def is_given_up(waiting: asyncio.Task[Any]) -> bool:
    """Whether it ends soon, and ends so."""
    await asyncio.wait({waiting}, timeout=5)
    return waiting.done() and isinstance(waiting.exception(), TimeoutError)


async def taken(arrival: Arrival, size: int, *, more: bool = True) -> None:
    parts = Parts()
    parts.give(size, more=more)
    await arrival.next(parts)


async def test_what_bodies_hold_is_counted_as_it_comes() -> None:
    arrivals = Arrivals(2 * MIN_COUNTED_BYTES + 100)
    slow, quick = arrivals.begin(), arrivals.begin()
    await taken(quick, 60)
    await taken(slow, 40)
    await taken(quick, 1)
    assert await is_given_up(asyncio.create_task(slow.next(Parts())))
    await taken(quick, MIN_COUNTED_BYTES)  # what was given up takes nothing any more
    await taken(quick, 10**6, more=False)  # what is whole is not on its way
    assert arrivals.held == 0


@pytest.mark.parametrize("is_waited_for", [True, False])
async def test_a_body_is_given_up_at_any_moment(is_waited_for: bool) -> None:
    arrivals = Arrivals(MIN_COUNTED_BYTES)
    oldest = arrivals.begin()
    if is_waited_for:
        waiting = asyncio.create_task(oldest.next(Parts()))
        await asyncio.sleep(0)
        arrivals.begin()
    else:
        arrivals.begin()
        waiting = asyncio.create_task(oldest.next(Parts()))
    assert await is_given_up(waiting)
    assert arrivals.held == MIN_COUNTED_BYTES


async def test_a_body_whose_reader_has_gone_is_given_up_without_a_trace() -> None:
    arrivals = Arrivals(MIN_COUNTED_BYTES)
    gone = arrivals.begin()
    waiting = asyncio.create_task(gone.next(Parts()))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    arrivals.begin().end()
    gone.end()
    assert arrivals.held == 0
