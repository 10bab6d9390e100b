"""Admission under load: which requests run, which wait, and which are refused at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from litestar.routes import HTTPRoute

from orders.application.deadline import seconds_left
from orders.entrypoints import admission
from orders.entrypoints.admission import AdmissionQueue, Slot, yield_slot
from orders.entrypoints.http.middleware.overload import WHOLE_BODY, WITH_BODY, OverloadProtection
from orders.entrypoints.http.problems import Problem
from orders.entrypoints.observability import metrics
from orders.entrypoints.observability.instrumented_payments import InstrumentedPaymentGateway
from orders.entrypoints.slot_yielding_prices import SlotYieldingPriceList
from tests.support.api import assert_problem
from tests.support.observed_api import Caller, an_app
from tests.support.shop import Between, Shop


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """All waits a few milliseconds."""
    monkeypatch.setattr(admission, "MAX_QUEUE_SECONDS", 0.05)
    monkeypatch.setattr(admission, "MAX_QUEUE_SECONDS_OVERLOADED", 0.005)
    monkeypatch.setattr(admission, "RECOVERY_SECONDS", 0.1)


async def arrived(
    queue: AdmissionQueue, count: int, *, is_list: bool = False
) -> list[asyncio.Task[bool]]:
    """`count` requests that have asked for a slot."""
    tasks = [asyncio.create_task(queue.acquire(is_list=is_list)) for _ in range(count)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


def served(tasks: list[asyncio.Task[bool]]) -> int:
    """How many of them run."""
    return sum(task.done() and task.result() for task in tasks)


async def test_each_slot_has_one_request_and_the_others_get_one_in_order() -> None:
    few = AdmissionQueue(2, 100)
    tasks = await arrived(few, 5)
    for n in range(2, 5):
        assert [task.done() for task in tasks] == [True] * n + [False] * (5 - n)
        few.release(is_list=False)
        await asyncio.sleep(0)
    assert served(tasks) == 5


async def test_there_is_capacity_until_a_request_waits() -> None:
    one = AdmissionQueue(1, 100)
    assert one.has_capacity()
    tasks = await arrived(one, 2)
    assert not one.has_capacity()
    one.release(is_list=False)
    await asyncio.sleep(0)
    assert one.has_capacity()
    assert served(tasks) == 2


async def test_there_is_capacity_until_a_list_would_be_refused() -> None:
    few = AdmissionQueue(3, 5)  # three fifths are for lists
    await arrived(few, 3)
    assert not few.has_capacity()
    assert few.refuses(is_list=True)
    assert not few.refuses(is_list=False)
    few.release(is_list=False)
    assert few.has_capacity()
    assert not few.refuses(is_list=True)


async def test_whoever_would_wait_too_long_is_refused_without_a_wait() -> None:
    two = AdmissionQueue(2, 100)
    (first, *_) = await arrived(two, 3)
    two._queue.record_refusal(asyncio.get_running_loop().time(), starts_overload=True)
    assert not two.refuses(is_list=False)
    half = admission.MAX_QUEUE_SECONDS_OVERLOADED / 2
    line = two._queue.entries
    line[0] = line[0]._replace(queued_at=line[0].queued_at - half)
    for is_list in (False, True):
        assert two.refuses(is_list=is_list)
        assert not await two.acquire(is_list=is_list)
    assert first.done()
    two.release(is_list=False)


async def test_lists_wait_behind_everything_else() -> None:
    one = AdmissionQueue(1, 100)
    assert await one.acquire(is_list=False)
    lists = await arrived(one, 2, is_list=True)
    others = await arrived(one, 2)
    for served_others, served_lists in ((1, 0), (2, 0), (2, 1), (2, 2)):
        one.release(is_list=served_lists == 2)
        await asyncio.sleep(0)
        assert (served(others), served(lists)) == (served_others, served_lists)


async def test_lists_take_no_slot_and_no_time_from_other_requests(short: None) -> None:
    five = AdmissionQueue(5, 100)  # three fifths are for lists
    lists = await arrived(five, 20, is_list=True)
    assert served(lists) == 3
    assert served(await arrived(five, 2)) == 2
    assert await asyncio.gather(*lists[3:]) == [False] * 17  # too many lists, for too long
    assert five.is_overloaded(is_list=True)
    more = await arrived(five, 5, is_list=True)
    others = await arrived(five, 10)
    assert not five.is_overloaded()
    for n in range(1, 11):
        five.release(is_list=False)
        await asyncio.sleep(0)
        assert served(others) == n
    assert await asyncio.gather(*more) == [False] * 5


async def test_a_burst_may_wait_and_is_served() -> None:
    two = AdmissionQueue(2, 100)

    async def work() -> bool:
        with Slot(two) as slot:
            if not await slot.acquire():
                return False
            await asyncio.sleep(0)
        return True

    assert all(await asyncio.gather(*(work() for _ in range(100))))
    assert not two.is_overloaded()


async def test_whoever_is_one_too_many_is_refused_at_once() -> None:
    two = AdmissionQueue(2, 10)
    tasks = await arrived(two, 12)
    assert [task.result() for task in tasks if task.done()] == [True, True, False, False]
    assert two.is_overloaded()
    for task in tasks:
        task.cancel()


async def test_a_queue_that_stands_is_cut_short_and_calm_comes_back(short: None) -> None:
    one = AdmissionQueue(1, 100)
    assert await one.acquire(is_list=False)
    waiting = await arrived(one, 20)
    assert await asyncio.gather(*waiting) == [False] * 20  # nobody left: the burst lasted too long
    assert one.is_overloaded()
    now_short = await arrived(one, 3)
    assert await asyncio.gather(*now_short) == [False] * 3
    one.release(is_list=False)
    assert await one.acquire(is_list=False)
    await asyncio.sleep(admission.RECOVERY_SECONDS * 1.5)  # the time without a refusal is the rule
    (patient,) = await arrived(one, 1)
    assert not one.is_overloaded()
    one.release(is_list=False)
    assert await patient


async def test_while_overloaded_only_a_few_may_wait(short: None) -> None:
    two = AdmissionQueue(2, 100)
    two._queue.record_refusal(asyncio.get_running_loop().time() + 60, starts_overload=True)
    tasks = await arrived(two, 10)
    assert [task.result() for task in tasks if task.done()] == [True] * 2 + [False] * 6


async def test_who_waits_for_others_lets_others_work_and_is_finished_first() -> None:
    one = AdmissionQueue(1, 100)
    answered, stored = asyncio.Event(), asyncio.Event()

    async def pay() -> None:
        with Slot(one) as slot:
            assert await slot.acquire()
            with yield_slot():
                await answered.wait()
            stored.set()

    paying = asyncio.create_task(pay())
    (other,) = await arrived(one, 1)
    assert served([other]) == 1
    answered.set()
    await stored.wait()  # though the other one has the slot
    await paying
    (third,) = await arrived(one, 1)
    assert not third.done()
    one.release(is_list=False)
    assert await third


async def test_whoever_asks_another_service_lets_others_work() -> None:
    one = AdmissionQueue(1, 100)

    class Slow:
        """A service that answers once another request had the slot."""

        async def void(self, *_: object, **__: object) -> None:
            assert await one.acquire(is_list=False)
            one.release(is_list=False)

        async def prices(self, *_: object) -> dict[str, int]:
            await self.void()
            return {"A": 1}

    slow: Any = Slow()
    with Slot(one) as slot:
        assert await slot.acquire()
        async with asyncio.timeout(5):
            await InstrumentedPaymentGateway(slow).void("p", reference="r")
            assert await SlotYieldingPriceList(slow).prices(["A"], "EUR") == {"A": 1}


async def test_a_client_that_goes_away_while_waiting_leaves_its_slot_to_others() -> None:
    one = AdmissionQueue(1, 100)
    assert await one.acquire(is_list=False)
    gone, next_one = await arrived(one, 2)
    gone.cancel()
    one.release(is_list=False)
    assert await next_one
    about_to, last = await arrived(one, 2)
    one.release(is_list=False)  # `about_to` is admitted, and goes away before it runs
    about_to.cancel()
    assert await last


class Slowly:
    """A body that is begun, and ended when it may be."""

    def __init__(self) -> None:
        self.has_begun, self.may_end = asyncio.Event(), asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"{"
        self.has_begun.set()
        await self.may_end.wait()
        yield b"}"


async def test_head_of_a_list_waits_as_its_get_does(monkeypatch: pytest.MonkeyPatch) -> None:
    queue, asked = AdmissionQueue(9, 9), []
    acquire = queue.acquire

    async def noted(*, is_list: bool = False) -> bool:
        asked.append(is_list)
        return await acquire(is_list=is_list)

    async def nothing(*_: object) -> Any: ...

    monkeypatch.setattr(queue, "acquire", noted)
    protected = OverloadProtection(nothing, queue, request_seconds=9, lists=["/v1/orders"])
    for method, path in (
        ("GET", "/v1/orders"),
        ("HEAD", "/v1/orders"),
        ("POST", "/v1/orders"),
        ("HEAD", "/v1/orders/1"),
    ):
        whole: dict[str, Any] = {"extensions": {WHOLE_BODY: {}}}
        scope: Any = {"type": "http", "method": method, "path": path, **whole}
        await protected(scope, nothing, nothing)

    assert asked == [True, True, False, False]


async def test_a_refusal_is_a_problem_like_any_other_and_counted(shop: Shop) -> None:
    before = metrics.overload.refused
    app = an_app(shop, max_in_flight=1, cors_origins=("https://shop.example",))
    ada, body = Caller(app), Slowly()
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {
        "traceparent": f"00-{trace}-00f067aa0ba902b7-01",
        "origin": "https://shop.example",
        "content-type": "application/json",
        "idempotency-key": "k",
    }
    late = asyncio.create_task(ada.client.post("/orders", content=body, headers=headers))
    await body.has_begun.wait()
    assert await app.state.overload._queue.acquire(is_list=False)
    at_once = await ada.client.get("/orders/x", headers=headers)
    unread = Slowly()
    unread.may_end.set()
    assert (await ada.client.post("/orders", content=unread)).status_code == 503
    assert not unread.has_begun.is_set()  # nor was anything else looked at
    body.may_end.set()
    for refused in (at_once, await late):
        assert_problem(refused, 503, "overloaded")
        assert refused.json()["trace_id"] == trace
        told_elsewhere = {"blocked_by", "errors", "order_ids"}
        assert set(refused.json()) == {*Problem.__struct_fields__} - told_elsewhere
        assert refused.headers["retry-after"] == "1"
        assert int(refused.headers["content-length"]) == len(refused.content)
        assert refused.headers["access-control-allow-origin"] == "https://shop.example"
    assert metrics.overload.refused == before + 3


async def test_callers_who_send_slowly_keep_nobody_out(shop: Shop) -> None:
    ada = Caller(an_app(shop, max_in_flight=2, mongo_pool_size=1))
    bodies = [Slowly() for _ in range(9)]
    headers = {"content-type": "application/json", "idempotency-key": "k"}
    async with asyncio.TaskGroup() as group:
        late = [
            group.create_task(ada.client.post("/orders", content=each, headers=headers))
            for each in bodies
        ]
        for each in bodies:
            await each.has_begun.wait()
        assert (await ada.place()).status_code == 201
        assert (await ada.get("/orders")).status_code == 200
        for each, answer in zip(bodies, late, strict=True):  # one after the other has a slot
            each.may_end.set()
            assert (await answer).status_code == 422


async def test_whoever_waits_for_the_payment_service_keeps_nobody_out(shop: Shop) -> None:
    asked: asyncio.Queue[str] = asyncio.Queue()
    answers = asyncio.Event()

    async def slowly(call: str) -> None:
        asked.put_nowait(call)
        await answers.wait()

    shop.payments.port = InstrumentedPaymentGateway(Between(shop.provider, before=slowly))
    ada = Caller(an_app(shop, max_in_flight=2, mongo_pool_size=1))
    async with asyncio.TaskGroup() as group:
        paying = []
        for number in range(9):
            place = ada.place(f"key-{number}", payment={"method": "tok_ok"})
            paying.append(group.create_task(place))
            assert await asked.get() == "authorize"
        assert (await ada.place()).status_code == 201
        assert (await ada.get("/orders")).status_code == 200
        answers.set()  # all at once: what is begun is finished
    for answer in paying:
        assert (answer.result().status_code, answer.result().json()["status"]) == (201, "confirmed")


def test_whatever_may_have_a_body_reads_it_before_anything_else(shop: Shop) -> None:
    """Otherwise it would run without a slot."""
    handlers = {
        handler
        for route in an_app(shop).routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        if handler.http_methods & WITH_BODY
    }
    reads_it_itself = {"receive_payment_event"}
    assert len(handlers) > 20
    for handler in handlers:
        name = handler.handler_name
        assert handler.parsed_data_field is not None or name in reads_it_itself, name


async def test_while_draining_every_answer_ends_its_connection(shop: Shop) -> None:
    draining = False
    ada = Caller(an_app(shop, is_draining=lambda: draining))
    assert "connection" not in (await ada.place("a")).headers
    draining = True
    for answer in (await ada.place("b"), await ada.get("/orders"), await ada.get("/nothing")):
        assert answer.headers["connection"] == "close"


async def test_adapters_are_told_how_long_a_request_is_worth_working_for(shop: Shop) -> None:
    left: list[float] = []

    async def prices(skus: Any, currency: str) -> dict[str, int]:
        left.append(seconds_left())
        return {}

    shop.prices.prices = prices  # type: ignore[method-assign]
    await Caller(an_app(shop, request_seconds=7)).place()
    assert 0 < left[0] <= 7
    assert seconds_left() == float("inf")


async def test_a_slow_body_takes_nothing_of_the_time_to_answer() -> None:
    now_left: list[float] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        now_left.append(seconds_left())

    async def receive() -> Any:
        await asyncio.sleep(0.05)  # a sender who takes their time
        return {"type": "http.request"}

    async def send(message: Any) -> None: ...

    protected = OverloadProtection(app, AdmissionQueue(1, 1), request_seconds=1)
    scope: Any = {"type": "http", "method": "POST", "path": "/v1/orders", "headers": []}
    await protected(scope, receive, send)
    assert now_left[0] > 0.97
