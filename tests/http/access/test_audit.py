"""Who tried to change what, and who was refused, is on record; and nothing else of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from litestar import Litestar

from orders.adapters.in_memory.rate_limits import InMemoryRateLimiter
from tests.support.observed_api import Caller, JsonLine, Lines, an_app, logged
from tests.support.shop import Shop

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def app(shop: Shop) -> Litestar:
    return an_app(shop)


@pytest.fixture
def lines() -> Iterator[Lines]:
    with logged("error") as lines:  # the trail has no level
        yield lines


def only(lines: Lines) -> JsonLine:
    (record,) = lines.of("audit")
    return record


async def test_placing_is_recorded(app: Litestar, lines: Lines) -> None:
    headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-00"}
    before = datetime.now(UTC) - timedelta(seconds=1)
    ada = Caller(app, address="198.51.100.7")
    ada.client.headers.update(headers)
    placed = await ada.place()
    record = only(lines)
    at = datetime.fromisoformat(record.pop("time"))
    assert before < at < datetime.now(UTC) + timedelta(seconds=1)
    assert at.utcoffset() == timedelta(0)
    assert record == {
        "level": "info",
        "logger": "audit",
        "event": "changed",
        "action": "place",
        "method": "POST",
        "route": "/v1/orders",
        "status": 201,
        "actor": "ada",
        "tenant": "shop",
        "roles": ["customer"],
        "order_id": placed.json()["id"],
        "owner": "ada",
        "replayed": False,
        "client": "198.51.100.7",
        "trace_id": TRACE,
    }


async def test_a_replay_is_recorded_as_one(app: Litestar, lines: Lines) -> None:
    ada = Caller(app)
    first, second = await ada.place(), await ada.place()
    records = lines.of("audit")
    assert [record["replayed"] for record in records] == [False, True]
    assert {record["order_id"] for record in records} == {first.json()["id"]}
    assert second.headers["idempotency-replayed"] == "true"


async def test_a_command_for_somebody_names_both(app: Litestar, lines: Lines) -> None:
    placed = await Caller(app).place()
    path = f"/orders/{placed.json()['id']}/cancel"
    cancelled = await Caller(app, "root").post(path, {"reason": "staff"})
    assert cancelled.status_code == 200
    record = lines.of("audit")[-1]
    assert (record["action"], record["actor"], record["owner"]) == ("cancel", "root", "ada")
    assert (record["roles"], record["order_id"]) == (["admin"], placed.json()["id"])


async def test_a_change_that_was_not_taken_is_recorded_with_its_reason(
    app: Litestar, lines: Lines
) -> None:
    placed = await Caller(app).place()
    path = f"/orders/{placed.json()['id']}/complete"
    assert (await Caller(app, "root").post(path)).status_code == 409
    record = lines.of("audit")[-1]
    assert (record["event"], record["status"]) == ("failed", 409)
    assert (record["code"], record["order_id"]) == ("illegal-transition", placed.json()["id"])


@pytest.mark.parametrize("token", [None, "forged"])
async def test_a_refused_token_is_recorded(app: Litestar, lines: Lines, token: str | None) -> None:
    order_id = str(uuid4())
    answer = await Caller(app, token).get(f"/orders/{order_id}")
    assert answer.status_code == 401
    record = only(lines)
    assert (record["event"], record["status"]) == ("refused", 401)
    assert (record["code"], record["action"]) == ("unauthenticated", "read")
    assert record["order_id"] == order_id
    assert record["trace_id"] == answer.json()["trace_id"]
    assert not {"actor", "tenant", "roles"} & set(record)


async def test_a_missing_role_is_recorded(app: Litestar, lines: Lines) -> None:
    assert (await Caller(app, "nobody").place()).status_code == 403
    record = only(lines)
    assert (record["event"], record["code"]) == ("refused", "forbidden")
    assert (record["actor"], record["action"]) == ("nobody", "place")


async def test_a_look_at_somebody_elses_order_is_recorded_and_looks_like_none(
    app: Litestar, lines: Lines
) -> None:
    order_id = (await Caller(app).place()).json()["id"]
    for who in ("bob", "eve"):
        for wanted in (order_id, str(uuid4())):
            answer = await Caller(app, who).get(f"/orders/{wanted}")
            record = lines.of("audit")[-1]
            assert (record["status"], record["code"]) == (404, "order-not-found")
            assert (record["actor"], record["order_id"]) == (who, wanted)
            assert "owner" not in record
            body = {k: v for k, v in answer.json().items() if k not in {"trace_id", "detail"}}
            assert body == {
                "type": "/problems/order-not-found",
                "title": "Order not found",
                "status": 404,
                "code": "order-not-found",
            }


async def test_what_changes_nothing_is_not_recorded(app: Litestar, lines: Lines) -> None:
    ada = Caller(app)
    body: dict[str, Any] = {
        "currency": "EUR",
        "lines": [{"sku": "PEN", "name": "P", "quantity": 1}],
    }
    assert (await ada.get("/orders")).status_code == 200
    assert (await ada.get("/nowhere")).status_code == 404
    assert (await ada.post("/orders/quote", body)).status_code == 200
    assert (await ada.post("/orders?dry_run=true", body)).status_code == 200
    assert lines.of("audit") == []


async def test_a_flood_is_not_recorded(shop: Shop, lines: Lines) -> None:
    app = an_app(shop, InMemoryRateLimiter(), auth_failures_per_second=1.0)
    for _ in range(10):
        await Caller(app, "forged").get("/orders")
    assert [record["status"] for record in lines.of("audit")] == [401] * 3


async def test_a_forwarded_address_counts_from_a_trusted_proxy_only(
    shop: Shop, lines: Lines
) -> None:
    headers = {"x-forwarded-for": "203.0.113.5", "x-user-id": "root", "x-tenant": "elsewhere"}
    for networks in ((), ("10.0.0.0/8",), ("192.0.2.0/24",)):
        app = an_app(shop, trusted_proxies=networks)
        await Caller(app, "forged").get("/orders", headers=headers)
    addresses = [record["client"] for record in lines.of("audit")]
    assert addresses == ["192.0.2.1", "192.0.2.1", "203.0.113.5"]
