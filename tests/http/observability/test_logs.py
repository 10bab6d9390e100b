"""One line a request, everything as JSON, and no secret in any of it."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import generate_latest

from orders.entrypoints.observability import json_logging as logs
from orders.entrypoints.observability.metrics import REGISTRY
from tests.support.api import a_body, personal
from tests.support.observed_api import Caller, Lines, an_app, logged
from tests.support.shop import Shop

CANARY = "canary7f3a"
TOKEN = f"eyJhbGciOiJSUzI1NiJ9.{CANARY}.c2lnbmF0dXJl"


@pytest.fixture
def lines() -> Iterator[Lines]:
    with logged() as lines:
        yield lines


async def test_a_request_is_one_line(shop: Shop, lines: Lines) -> None:
    answer = await Caller(an_app(shop)).get("/orders?number=does-not-matter")
    assert answer.status_code == 422
    (line,) = lines.of("orders.access")
    assert line.pop("time").endswith("Z")
    assert 0 < line.pop("duration_ms") < 60_000
    assert line.pop("trace_id") == answer.json()["trace_id"]
    assert line == {
        "level": "info",
        "logger": "orders.access",
        "event": "request",
        "method": "GET",
        "route": "/v1/orders",
        "status": 422,
        "code": "invalid-value",
        "tenant": "shop",
    }


async def test_the_route_is_a_template_and_nothing_a_caller_wrote(shop: Shop, lines: Lines) -> None:
    ada = Caller(an_app(shop))
    await ada.get(f"/orders/by-reference/{CANARY}")
    await ada.get(f"/{CANARY}")
    await ada.client.request("PUT", "/orders")
    await ada.client.request(CANARY, "/orders")
    seen = [(line["method"], line["route"], line["status"]) for line in lines.of("orders.access")]
    assert seen == [
        ("GET", "/v1/orders/by-reference/{external_reference}", 404),
        ("GET", "unmatched", 404),
        ("PUT", "unmatched", 405),
        ("other", "unmatched", 405),
    ]
    assert CANARY not in lines.text.lower()


async def test_a_line_that_cannot_be_written_spoils_no_request(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a standard error, Python has none: `sys.stderr` is `None`."""
    monkeypatch.setattr(sys, "stderr", None)
    with logged():
        logs.configure("info")
        assert (await Caller(an_app(shop)).get("/orders")).status_code == 200


async def test_health_is_not_worth_a_line(shop: Shop, lines: Lines) -> None:
    await Caller(an_app(shop)).client.get("http://orders.test/livez")
    assert lines.of("orders.access") == []


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
async def test_the_level_is_that_of_the_settings(shop: Shop, level: str) -> None:
    with logged(level) as lines:
        await Caller(an_app(shop)).get("/orders")
        for name in ("orders.any", "aiohttp.client"):
            for number in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
                logging.getLogger(name).log(number, "hello")
    ours = ["debug", "info", "warning", "error"]
    assert [line["level"] for line in lines.of("orders.any")] == ours[ours.index(level) :]
    # What libraries say below a warning is data: queries, addresses, headers.
    theirs = ["error"] if level == "error" else ["warning", "error"]
    assert [line["level"] for line in lines.of("aiohttp.client")] == theirs
    assert len(lines.of("orders.access")) == (level in {"debug", "info"})


async def test_a_fault_is_logged_once_and_told_to_nobody(shop: Shop, lines: Lines) -> None:
    async def fail(_: str) -> None:
        raise RuntimeError(f"cannot read {CANARY}")

    shop.orders.before = fail
    answer = await Caller(an_app(shop)).place()
    assert answer.status_code == 500
    assert CANARY not in answer.text
    assert "Runtime" not in answer.text
    (fault,) = lines.of("orders.entrypoints.http.problems")
    assert (fault["level"], fault["trace_id"]) == ("error", answer.json()["trace_id"])
    (described,) = fault["exception"]
    assert described["type"] == "builtins.RuntimeError"
    assert described["frames"][-1].startswith("http/observability/test_logs.py:")
    assert described["frames"][-1].endswith(" fail")
    assert lines.text.count("RuntimeError") == 1
    assert CANARY not in lines.text


async def test_causes_are_told_by_type_and_number(lines: Lines) -> None:
    try:
        try:
            raise ConnectionRefusedError(111, f"to {CANARY}")
        except ConnectionRefusedError as error:
            raise ValueError(CANARY) from error
    except ValueError:
        logging.getLogger("orders.any").exception("it broke")
    (line,) = lines.of("orders.any")
    assert [each["type"] for each in line["exception"]] == [
        "builtins.ValueError",
        "builtins.ConnectionRefusedError",
    ]
    assert line["exception"][1]["code"] == 111
    assert CANARY not in lines.text


async def test_no_secret_is_in_any_line(shop: Shop) -> None:
    """Tokens, bodies, addresses, payment methods: whatever a caller sends, in any place."""
    address = {"name": CANARY, "line1": CANARY, "city": CANARY, "country": "DE", "phone": CANARY}
    bodies: list[Any] = [
        a_body(
            payment={"method": f"tok_{CANARY}", "capture": True},
            shipping={"address": address, "method": "standard", "price": 495},
            metadata={CANARY: CANARY},
            external_reference=CANARY,
        ),
        a_body(note=CANARY, unknown=CANARY),
        {CANARY: CANARY},
        CANARY,
    ]
    with logged("debug") as lines:
        app = an_app(shop)
        for who in ("ada", TOKEN, None):
            caller = Caller(app, who)
            for n, body in enumerate(bodies):
                await caller.post("/orders", body, key=f"{CANARY}-{n}")
            await caller.get(f"/orders?number={CANARY}&cursor={CANARY}")
            await caller.get("/orders", headers={"authorization": f"Basic {CANARY}"})
            await caller.get("/orders", headers={"cookie": CANARY, "traceparent": CANARY})
            await caller.post("/payment-events", {"type": CANARY})
    assert len(lines.of("orders.access")) == 24
    assert {line["status"] for line in lines.of("audit")} >= {201, 400, 401, 422}
    assert CANARY not in lines.text


async def test_no_personal_detail_is_in_any_line_or_metric(shop: Shop) -> None:
    """Placed, quoted, edited, refused, shown, assigned: whatever becomes of it."""
    with logged("debug") as lines:
        app = an_app(shop)
        ada, sue = Caller(app), Caller(app, "sue")
        if_match = {"If-Match": "*"}
        paths: list[str] = []
        for who in (ada, sue):
            placed = await who.post("/orders", a_body(**personal(CANARY)))
            paths.append(path := f"/orders/{placed.json()['id']}")
            patch = personal(f"{CANARY}2") | {"lines": {"1": {"metadata": {CANARY: "x"}}}}
            edited = await who.client.patch(path, json=patch, headers=if_match)
            refused = [
                await who.post("/orders", a_body(**{name: value}), key=name)
                for name, value in personal(f"\a{CANARY}").items()
            ]
            refused.append(await who.client.patch(path, json={"contact": CANARY}, headers=if_match))
            await who.post("/orders/quote", a_body(**personal(CANARY)))
            for shown in ("/orders", path, f"{path}/events"):
                await who.get(shown)
            assert (placed.status_code, edited.status_code) == (201, 200), edited.text
            assert {answer.status_code for answer in refused} == {422}
            assert all(CANARY not in answer.text for answer in refused)
        assigned = await sue.post(f"{paths[-1]}/customer", {"customer_id": "ada"})
        assert assigned.status_code == 200
        assert CANARY in assigned.text
    assert len(lines.of("orders.access")) > 20
    assert CANARY not in lines.text
    assert CANARY.encode() not in generate_latest(REGISTRY)


@pytest.mark.parametrize(
    "secret",
    [
        f"Bearer {CANARY}",
        f"authorization: bearer {CANARY}.x",
        TOKEN,
        f"tok_{CANARY}",
        f"whsec_{CANARY}",
        f"mongodb://user:{CANARY}@db.internal:27017",
    ],
)
def test_what_others_log_is_cleared_of_secrets(lines: Lines, secret: str) -> None:
    logging.getLogger("some.library").warning("cannot use %s, sorry", secret)
    (line,) = lines.of("some.library")
    assert "[secret]" in line["event"]
    assert CANARY not in lines.text


async def test_a_forgotten_task_does_not_print_what_it_raised(lines: Lines) -> None:
    async def fail() -> None:
        raise ValueError(CANARY)

    task = asyncio.create_task(fail())
    await asyncio.wait([task])
    del task
    gc.collect()
    (line,) = lines.of("asyncio")
    assert line["event"] == "Task exception was never retrieved"
    assert line["exception"][0]["type"] == "builtins.ValueError"
    assert CANARY not in lines.text


def test_fields_that_nobody_listed_are_dropped(lines: Lines) -> None:
    extra = {"order_id": "1", "body": CANARY, "headers": {"authorization": CANARY}}
    logging.getLogger("orders.any").warning("hello\nworld", extra=extra)
    (line,) = lines.of("orders.any")
    assert {**line, "time": ""} == {
        "time": "",
        "level": "warning",
        "logger": "orders.any",
        "event": "hello\nworld",
        "order_id": "1",
    }


def test_warnings_are_logged_too(lines: Lines) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn("do not", DeprecationWarning, stacklevel=1)
    (line,) = lines.of("py.warnings")
    assert "do not" in line["event"]
