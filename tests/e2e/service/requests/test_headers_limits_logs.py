"""Group J: headers, CORS, rate limits and what is logged; the limits on a process of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from orders.entrypoints import sandbox
from orders.entrypoints.server.child_processes import free_ports
from tests.support.processes.service import Caller, Running, base64url, body, eventually, hold, key

SHOP = "https://shop.example"


@pytest.fixture(scope="module")
def limited(running: Running) -> Iterator[Running]:
    """Another process of the same service, for five requests at once, and with a browser shop."""
    (port,) = free_ports(1)
    settings = {
        "ORDERS_PORT": str(port),
        "ORDERS_METRICS_PORT": "0",
        "ORDERS_MONGO_URI": running.addresses["mongo"],
        "ORDERS_PAYMENT_URL": running.addresses["payments"],
        "ORDERS_PAYMENT_TOKEN": (running.data / "payment-token").read_text(),
        "ORDERS_PAYMENT_WEBHOOK_SECRET": (running.data / "webhook-secret").read_text(),
        "ORDERS_JWKS_URL": running.addresses["jwks"],
        "ORDERS_ISSUER": "orders-sandbox",
        "ORDERS_AUDIENCE": "orders",
        "ORDERS_PRICE_LIST": str(Path(sandbox.__file__).with_name("catalogue.json")),
        "ORDERS_RATE_PER_SECOND": "0.5",
        "ORDERS_RATE_BURST": "5",
        "ORDERS_AUTH_FAILURES_PER_SECOND": "2",
        "ORDERS_DRAIN_SECONDS": "0",
        "ORDERS_CORS_ORIGINS": SHOP,
    }
    command = [sys.executable, "-m", "orders", "serve"]
    bare = {name: value for name, value in os.environ.items() if not name.startswith("ORDERS_")}
    with (
        subprocess.Popen(command, env=bare | settings, stdout=subprocess.DEVNULL) as serve,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
    ):
        try:
            eventually(lambda: is_ready(client))
            yield replace(running, url=str(client.base_url), client=client)
        finally:
            serve.terminate()


def is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def test_s_hdr_and_s_hdr2(running: Running, ada: Caller) -> None:
    """`hold` checks the headers of every answer; here is one of each status."""
    order = ada.placed()
    path = f"/v1/orders/{order['id']}"
    k = key()
    reader = running.someone(scope="orders:read", sub=ada.subject)
    answers = [
        ada.get(path),
        ada.place(with_key=k),
        ada.get(path, headers={"If-None-Match": "*"}),
        ada("OPTIONS", "/v1/orders"),
        ada.place(b"{"),
        running.nobody().get(path),
        reader.place(),
        ada.get("/v1/nothing"),
        ada("DELETE", "/v1/orders"),
        ada.post(f"{path}/confirm"),
        running.someone("admin").post(f"{path}/complete"),
        ada.post(f"{path}/cancel", headers={"If-Match": '"99"'}),
        ada.place(b" " * 1_048_577),
        ada.place(headers={"Content-Type": "text/plain"}),
        ada.place({}),
        ada("PATCH", path, json={"note": "x"}),
        running.nobody().get("/livez"),
        running.nobody().get("/readyz"),
    ]
    assert [answer.status_code for answer in answers] == [
        200, 201, 304, 204, 400, 401, 403, 404, 405, 403, 409, 412, 413, 415, 422, 428, 200, 200,
    ]  # fmt: skip


@pytest.mark.parametrize("origin", ["https://evil.example", "null", f"{SHOP}.evil.example", SHOP])
def test_s_cors_is_off(ada: Caller, origin: str) -> None:
    for method in ("GET", "OPTIONS"):
        answer = ada(method, "/v1/orders", headers={"Origin": origin})
        assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (SHOP, True),
        ("https://evil.example", False),
        ("null", False),
        (f"{SHOP}.evil.example", False),
        ("http://shop.example", False),
        (f"{SHOP}:444", False),
        (SHOP.upper(), False),
    ],
)
def test_s_cors(limited: Running, origin: str, allowed: bool) -> None:
    someone = limited.someone()
    for path in ("/v1/orders", "/v1/nothing"):
        answer = someone.get(path, headers={"Origin": origin})
        assert answer.headers.get("access-control-allow-origin") == (origin if allowed else None)
        assert "origin" in answer.headers["vary"].lower()
        assert "access-control-allow-credentials" not in answer.headers


def test_rl_basic_rl_spoof_and_rl_noconsume(limited: Running, running: Running) -> None:
    someone = limited.someone()
    k = key()
    answers = [
        someone.get("/v1/orders", headers={"X-Forwarded-For": f"203.0.113.{n}"}) for n in range(5)
    ]
    assert {answer.status_code for answer in answers} == {200}
    assert all("ratelimit" in a.headers and "ratelimit-policy" in a.headers for a in answers)
    refused = someone.place(with_key=k, headers={"X-Forwarded-For": "203.0.113.9"})
    assert (refused.status_code, refused.json()["code"]) == (429, "rate-limited")
    wait = int(refused.headers["retry-after"])
    assert 1 <= wait <= 2
    assert "ratelimit" in refused.headers
    same_person_elsewhere = running.bearing(someone.token or "")
    assert same_person_elsewhere.orders() == []
    assert limited.someone().get("/v1/orders").status_code == 200  # others are not held up
    time.sleep(wait)  # as Retry-After says: the wait is what is tested
    placed = someone.place(with_key=k)
    assert placed.status_code == 201
    assert "idempotency-replayed" not in placed.headers


def test_rl_another_token_of_the_same_person_is_no_way_around(limited: Running) -> None:
    subject = f"customer-{key()}"
    statuses = [limited.someone(sub=subject).get("/v1/orders").status_code for _ in range(7)]
    assert statuses == [*[200] * 5, *[429] * 2]


def test_rl_of_refused_tokens(limited: Running) -> None:
    statuses = [limited.bearing(f"a.b.{n}").get("/v1/orders").status_code for n in range(20)]
    assert set(statuses) == {401, 429}
    assert limited.someone().get("/v1/orders").status_code == 200


def audited(running: Running, *trace_ids: str) -> list[dict[str, object]]:
    """The audit record of each request; it is written once the request has been answered."""

    def found() -> list[dict[str, object]]:
        lines = (running.data / "logs" / "api.log").read_text().splitlines()
        records = [json.loads(each) for each in lines if '"logger":"audit"' in each]
        by_trace = {each["trace_id"]: each for each in records}
        return [by_trace[each] for each in trace_ids if each in by_trace]

    return eventually(lambda: found() if len(found()) == len(trace_ids) else [])


def traced(trace_id: str) -> dict[str, str]:
    """The header that makes a request part of a trace."""
    return {"traceparent": f"00-{trace_id}-{key()}-01"}


@pytest.mark.parametrize("query", ["", "?dry_run=false", "?dry_run=%66alse", "?dry%5Frun=false"])
def test_l_audit(running: Running, ada: Caller, query: str) -> None:
    trace_id = os.urandom(16).hex()
    answer = ada.post(f"/v1/orders{query}", body(), headers=traced(trace_id))
    assert answer.status_code == 201
    (record,) = audited(running, trace_id)
    assert record["actor"] == record["owner"] == ada.subject
    assert (record["action"], record["status"]) == ("place", 201)
    assert record["order_id"] == answer.json()["id"]
    assert record["client"] == "127.0.0.1"
    assert str(record["time"]).endswith("Z")


@pytest.mark.parametrize(
    "spelling", ["False", "FALSE", "0", "1", "True", "", "no", "true&dry_run=false", "true%20"]
)
def test_l_audit_cannot_be_escaped_by_a_spelling(ada: Caller, spelling: str) -> None:
    assert ada.post(f"/v1/orders?dry_run={spelling}", body()).status_code == 400
    assert ada.orders() == []


def test_l_audit_of_refusals_and_of_staff(running: Running, ada: Caller) -> None:
    order_id = ada.placed()["id"]
    staff = running.someone("admin")
    traces = [os.urandom(16).hex() for _ in range(4)]
    running.nobody().get("/v1/orders", headers=traced(traces[0]))
    ada.post(f"/v1/orders/{order_id}/confirm", headers=traced(traces[1]))
    running.someone().get(f"/v1/orders/{order_id}", headers=traced(traces[2]))
    staff.post(f"/v1/orders/{order_id}/cancel", headers=traced(traces[3]))
    records = audited(running, *traces)
    assert [record["status"] for record in records] == [401, 403, 404, 200]
    assert (records[3]["actor"], records[3]["owner"]) == (staff.subject, ada.subject)


@pytest.mark.parametrize(
    "path",
    [
        "/metrics", "/health", "/healthz", "/docs", "/redoc", "/openapi.json", "/debug", "/admin",
        "/.env", "/.git/config", "/server-status", "/schema/swagger", "/schema/redoc",
        "/schema/docs/..%2f..%2fetc%2fpasswd", "/v1", "/graphql", "/schema/docs/%2e%2e/app.py",
    ],
)  # fmt: skip
def test_l_mgmt(running: Running, path: str) -> None:
    answer = httpx.get(f"{running.url}{path}")
    hold(answer)
    assert answer.status_code in {401, 404}


def test_l_mgmt_tells_nothing_of_the_inside(running: Running) -> None:
    for path in ("/livez", "/readyz", "/schema/openapi.json"):
        told = httpx.get(f"{running.url}{path}").text
        for secret in ("uvicorn", "litestar", "mongodb://", "127.0.0.1", "whsec_", "pymongo"):
            assert secret not in told, path


def test_e_500_shows_no_text_of_what_was_sent(running: Running) -> None:
    token = f"{base64url(b'secret-header')}.{base64url(b'secret-claims')}.{base64url(b'signed')}"
    answer = running.bearing(token).post(f"/v1/orders?secret={token}", {"secret": token})
    assert answer.status_code == 401
    assert token.split(".")[1] not in answer.text
