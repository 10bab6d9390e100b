"""How much Python runs for a request: counted, not timed, so a busy machine changes nothing.

Each bound is what was counted when it was written, and a twentieth more, with a tracer that samples
the request out. Whoever needs more raises a bound in the same change, and says what for.
"""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any, Final, Self

import msgspec
import pytest

from orders.adapters.mongo.documents import to_document, to_state, to_update
from orders.domain.order.order import Order
from orders.entrypoints.http.middleware.overload import WHOLE_BODY
from tests.support.api import Api, Front, a_body, a_line
from tests.support.orders import a_draft, a_placed_order
from tests.support.spans import RecordedTrace

TESTS: Final = str(Path(__file__).parents[2])
MORE: Final = 100
"""Lines by which a large order is larger than one of a single line."""


class Work:
    """Counts the calls of Python functions, and the times that a coroutine goes on."""

    def __init__(self) -> None:
        self.calls = 0

    def __enter__(self) -> Self:
        gc.disable()  # Hypothesis has a callback for each collection
        sys.setprofile(self._seen)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        gc.enable()

    def _seen(self, frame: FrameType, event: str, _: object) -> None:
        # What other tests have wrapped around the service is no work of its own.
        self.calls += event == "call" and not frame.f_code.co_filename.startswith(TESTS)


class Meter:
    """Sends requests to the application as a server does, and counts its work for each."""

    def __init__(self, front: Front) -> None:
        self._app: Any = front.app
        self._keys = (b"work-%d" % number for number in count())

    async def work_for(self, method: str, path: str, body: Any = None) -> int:
        """The calls from the first line of the application to the last, the second time."""
        await self._answered(method, path, body)
        return await self._answered(method, path, body)

    async def _answered(self, method: str, path: str, body: Any) -> int:
        address, _, query = f"/v1{path}".partition("?")
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": address,
            "raw_path": address.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [
                (b"host", b"orders.test"),
                (b"authorization", b"Bearer root"),
                (b"content-type", b"application/json"),
                (b"idempotency-key", next(self._keys)),
            ],
            "client": ("127.0.0.1", 1),
            "state": {},
            "extensions": {WHOLE_BODY: {}},
        }
        content = b"" if body is None else msgspec.json.encode(body)
        statuses: list[int] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            statuses.append(message.get("status", 200))

        with Work() as work:
            await self._app(scope, receive, send)
        assert {*statuses} <= {200, 201}, statuses
        return work.calls


@pytest.fixture
def meter(front: Front) -> Iterator[Meter]:
    # How a line is written depends on who listens to the test run's logs.
    logging.disable()
    RecordedTrace()  # a tracer that samples requests out, as once another test has used it
    yield Meter(front)
    logging.disable(logging.NOTSET)


def lines(count: int) -> list[dict[str, Any]]:
    return [a_line()] * count


async def _place(api: Api, meter: Meter, size: int) -> int:
    return await meter.work_for("POST", "/orders", a_body(lines=lines(size)))


async def _place_paid(api: Api, meter: Meter, size: int) -> int:
    body = a_body(lines=lines(size), payment={"method": "tok_ok"})
    return await meter.work_for("POST", "/orders", body)


async def _read(api: Api, meter: Meter, size: int) -> int:
    order = await api.placed(who="root", lines=lines(size))
    return await meter.work_for("GET", f"/orders/{order['id']}")


async def _list(api: Api, meter: Meter, size: int) -> int:
    for _ in range(20):
        await api.placed(who="root", lines=lines(size))
    return await meter.work_for("GET", "/orders?limit=20")


async def _hold(api: Api, meter: Meter, size: int) -> int:
    order = await api.placed(who="root", lines=lines(size))
    return await meter.work_for("POST", f"/orders/{order['id']}/holds", {"reason": "address"})


async def _cancel(api: Api, meter: Meter, size: int) -> int:
    order = await api.placed(who="root", lines=lines(size))
    return await meter.work_for("POST", f"/orders/{order['id']}/cancel?dry_run=true", {})


BOUNDS: Final[Mapping[str, tuple[Callable[[Api, Meter, int], Awaitable[int]], int, int]]] = {
    # Tax policy, terms, first holds, and what an order says of people; all may be left out.
    "place": (_place, 736, 35),
    "place with a payment": (_place_paid, 1_250, 35),
    "read": (_read, 328, 5),
    # For each order: its tax lines and disputes, and which details the caller sees of it.
    "list 20": (_list, 1_665, 79),
    "hold": (_hold, 633, 5),
    "cancel": (_cancel, 560, 19),
}
"""For each request: the calls for an order of one line, and for each line more."""


@pytest.mark.parametrize("request_", BOUNDS)
async def test_a_request_takes_no_more_work_than_it_did(
    api: Api, meter: Meter, request_: str
) -> None:
    work_for, most, most_per_line = BOUNDS[request_]

    one = await work_for(api, meter, 1)
    per_line = (await work_for(api, meter, 1 + MORE) - one) / MORE

    assert one <= most
    assert per_line <= most_per_line


@pytest.mark.parametrize(
    ("call", "most"),
    [
        pytest.param(lambda order: to_document(order, traceparent=None), 22, id="store"),
        pytest.param(lambda order: to_update(order, traceparent=None), 20, id="change"),
    ],
)
def test_storing_takes_no_work_for_each_line(call: Callable[[Order], object], most: int) -> None:
    order = a_placed_order(lines=a_draft().lines * 100)
    call(order)

    with Work() as work:
        call(order)

    assert work.calls <= most


def test_reading_takes_no_work_for_each_line() -> None:
    order = a_placed_order(lines=a_draft().lines * 100)
    first, second = (to_document(order, traceparent=None) for _ in range(2))
    to_state(first)

    with Work() as work:
        to_state(second)

    assert work.calls <= 5
