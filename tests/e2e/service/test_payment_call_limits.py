"""Group C: how much the service asks of a payment service that fails, and for how long.

Each case has an API process of its own, with the limits of production: what it has learnt of its
payment service would disturb others. Its orders are in a database of their own, without a worker.
"""

from __future__ import annotations

import itertools
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import httpx
import pytest
from aiohttp import web

from tests.support.payments.payment_scenarios import after, hangs, says
from tests.support.payments.payment_service import Act, Provider, Turn, honest, providing
from tests.support.processes.replicas import DEADLINE_SECONDS, Stage, seen_at
from tests.support.processes.service import Caller, Running, at_once, body, eventually, paid

_NUMBERS = itertools.count()


@dataclass(frozen=True)
class Alone:
    """One API process, and the payment service that it alone asks."""

    running: Running
    provider: Provider

    def someone(self) -> Caller:
        return self.running.someone()

    def play(self, *acts: Act) -> dict[str, Any]:
        """Place an order whose authorisations get these acts; returns the order."""
        return self.someone().placed(paid(self.provider.part(authorize=[*acts])))


@pytest.fixture
def alone(stage: Stage, request: pytest.FixtureRequest) -> Iterator[Alone]:
    """With settings of the test's own, if it has any as the fixture's parameter."""
    with ExitStack() as stack:
        provider = stack.enter_context(providing())
        settings = getattr(request, "param", {})
        yield Alone(started(stage, stack, provider.url, **settings), provider)


def started(stage: Stage, stack: ExitStack, payment_url: str, **settings: str) -> Running:
    """One more API process, until the stack is left."""
    name = f"alone-{next(_NUMBERS)}"
    limits = {
        "ORDERS_PAYMENT_CONNECT_SECONDS": "1",
        "ORDERS_PAYMENT_READ_SECONDS": "5",
        "ORDERS_PAYMENT_TOTAL_SECONDS": "8",
        **settings,
    }
    process = stage.cluster.add_api(
        name, ORDERS_PAYMENT_URL=payment_url, ORDERS_DATABASE="alone", **limits
    )
    stack.callback(process.kill)
    process.start()
    process.wait_until_up()
    return seen_at(stack, stage.cluster, stage.cluster.urls[name], stage.at().data)


def calls(alone: Alone, order: dict[str, Any]) -> list[float]:
    """When the provider was called for an order; with one key, or the test fails."""
    own = alone.provider.calls_of(order["id"])
    assert {call.key for call in own} == {f"{order['id']}:1"}
    return [call.at for call in own]


def test_pay_hang(alone: Alone) -> None:
    began = time.monotonic()
    order = alone.play(*[hangs(booked=False)] * 3)
    assert time.monotonic() - began <= DEADLINE_SECONDS
    assert (order["status"], order["payment_status"]) == ("pending", "pending")
    eventually(lambda: alone.provider.in_flight == 0)


def test_pay_retry(alone: Alone) -> None:
    waits = []
    for _ in range(3):
        order = alone.play(says(503), says(503), honest)
        assert order["status"] == "confirmed"
        at = calls(alone, order)
        assert len(at) == 3
        waits += [later - earlier for earlier, later in pairwise(at)]
    assert len({round(wait, 2) for wait in waits}) > 1
    assert all(wait <= 2 + 1 for wait in waits), waits


def test_pay_ra(alone: Alone) -> None:
    order = alone.play(says(429, Retry_After="2"), honest)
    first, second = calls(alone, order)
    assert second - first >= 2
    assert order["status"] == "confirmed"
    for later in ("9", "3600", "Fri, 31 Dec 2100 23:59:59 GMT"):
        order = alone.play(says(503, Retry_After=later), honest)
        assert order["payment_status"] == "pending"
        assert len(calls(alone, order)) == 1


def test_pay_409(alone: Alone) -> None:
    order = alone.play(says(409, {"code": "in_progress"}), honest)
    assert order["status"] == "confirmed"
    assert len(calls(alone, order)) == 2
    assert len(alone.provider.moved_of(order["id"])) == 1


@pytest.mark.parametrize("status", [501, 505, 302, 204])
def test_what_no_repetition_mends_is_not_repeated(alone: Alone, status: int) -> None:
    order = alone.play(*[says(status)] * 3)
    assert order["payment_status"] == "pending"
    assert len(calls(alone, order)) == (3 if status == 505 else 1)


def test_pay_open(alone: Alone) -> None:
    alone.provider.always = says(500)
    callers = [alone.someone() for _ in range(10)]
    for caller in callers:
        caller.placed(paid())
    eventually(lambda: len(alone.provider.calls) >= 20 or _place_one(alone))
    asked = len(alone.provider.calls)
    assert asked == 20
    answers = at_once(*[lambda c=c: [c.placed(paid()) for _ in range(10)] for c in callers])
    orders = [order for own in answers for order in own]
    assert {order["payment_status"] for order in orders} == {"pending"}
    # Ten seconds later three may find out whether it has healed.
    assert len(alone.provider.calls) <= asked + 3


def _place_one(alone: Alone) -> bool:
    alone.someone().placed(paid())
    return False


def test_pay_budget(alone: Alone) -> None:
    chance = random.Random(81)

    async def fails_at_times(turn: Turn) -> web.StreamResponse:
        return await (says(503) if chance.random() < 0.3 else honest)(turn)

    alone.provider.always = fails_at_times
    count, callers = 300, [alone.someone() for _ in range(15)]
    at_once(*[lambda c=c: [c.placed(paid()) for _ in range(count // 15)] for c in callers])
    made = Counter(call.reference for call in alone.provider.calls)
    assert len(made) == count
    assert sum(made.values()) <= 1.1 * count + 10


@pytest.mark.parametrize(
    "alone",
    [{"ORDERS_PAYMENT_READ_SECONDS": "20", "ORDERS_PAYMENT_TOTAL_SECONDS": "25"}],
    ids=["no call ends by itself"],
    indirect=True,
)
def test_pay_bulk(alone: Alone) -> None:
    gate = threading.Event()

    alone.provider.always = after(gate, honest, threading.Event())
    reader = alone.someone()
    order = reader.placed(body())
    callers = [alone.someone() for _ in range(80)]
    answers: dict[str, httpx.Response] = {}

    def place(caller: Caller) -> None:
        answers[caller.subject] = caller.place(paid(), allowed=(503,))

    placing = [threading.Thread(target=place, args=(caller,)) for caller in callers]
    for each in placing:
        each.start()
    eventually(lambda: alone.provider.in_flight == 32)
    # So many at once may be too much for a busy machine; only while they come.
    path = f"/v1/orders/{order['id']}"
    eventually(lambda: reader.get(path, allowed=(503,)).status_code == 200)
    for _ in range(20):
        assert reader.order(order["id"]) == order
    assert alone.provider.most_in_flight == 32
    gate.set()
    for each in placing:
        each.join()
    assert alone.provider.most_in_flight == 32
    shed = [caller for caller in callers if answers[caller.subject].status_code == 503]
    for caller in shed:
        assert int(answers[caller.subject].headers["retry-after"]) >= 1
        assert caller.orders() == []
    require_paid_or_untouched(alone, [c.orders() for c in callers if c not in shed])


def require_paid_or_untouched(alone: Alone, taken: Sequence[list[dict[str, Any]]]) -> None:
    """Check that of each caller's one order all is paid, or nothing is and it waits for a worker.

    Paid are those that were in flight, and all others whose request had time left for a call.
    """
    orders = [order for (order,) in taken]
    statuses = Counter(order["status"] for order in orders)
    assert statuses["confirmed"] >= 32
    assert {*statuses} <= {"confirmed", "pending"}
    for order in orders:
        moved = alone.provider.moved_of(order["id"])
        assert len(moved) == (order["status"] == "confirmed")


@pytest.mark.parametrize("fault", ["refused", "unknown-host", "no-tls", "silent", "not-http"])
def test_a_payment_service_that_cannot_be_talked_to(stage: Stage, fault: str) -> None:
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = listener.getsockname()[1]
        if fault == "refused":
            listener.close()
        elif fault == "not-http":
            threading.Thread(target=_greet_as_another, args=(listener,), daemon=True).start()
        host = "nowhere.invalid" if fault == "unknown-host" else "127.0.0.1"
        scheme = "https" if fault == "no-tls" else "http"
        running = started(stage, stack, f"{scheme}://{host}:{port}")
        began = time.monotonic()
        answer = running.someone().place(paid())
        assert time.monotonic() - began <= DEADLINE_SECONDS
        assert answer.status_code == 201
        assert answer.json()["payment_status"] == "pending"
        assert "127.0.0.1" not in answer.text
        assert "invalid" not in answer.text


def _greet_as_another(listener: socket.socket) -> None:
    """Answer as a mail server does, until the listener is closed."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.sendall(b"220 mail ready\r\n")
