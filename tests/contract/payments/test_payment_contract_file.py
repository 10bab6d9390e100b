"""The contract file is sound, and sandbox and adapter both keep it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from jsonschema import Draft202012Validator

from orders.adapters.payment_service.client import HttpPayments
from orders.adapters.payment_service.webhooks import WebhookVerifier
from orders.application.ports import PaymentEvent
from orders.domain.money import Money
from orders.domain.payments import ProviderStatus
from orders.entrypoints.sandbox.payment_service.app import create_app
from orders.entrypoints.sandbox.payment_service.scenarios import Pace
from tests.support.payments.payment_contract import (
    CONTRACT,
    OPERATIONS,
    check,
    check_answer,
    check_headers,
    check_request,
    resolved,
)
from tests.support.payments.payment_stub import books, running

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # not a secret
AMOUNT = Money(1999, "EUR")


def _references(node: object) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if "$ref" in node else []
        return own + [ref for value in node.values() for ref in _references(value)]
    if isinstance(node, list):
        return [ref for value in node for ref in _references(value)]
    return []


def test_every_reference_leads_somewhere_and_every_component_is_used() -> None:
    references = set(_references(CONTRACT))
    for reference in references:
        resolved({"$ref": reference})

    components = {
        f"#/components/{kind}/{name}"
        for kind, named in CONTRACT["components"].items()
        if kind != "securitySchemes"
        for name in named
    }
    assert components == references


@pytest.mark.parametrize("name", list(CONTRACT["components"]["schemas"]))
def test_every_schema_is_one(name: str) -> None:
    Draft202012Validator.check_schema(CONTRACT["components"]["schemas"][name])


def test_the_operations_are_those_of_the_design() -> None:
    assert {name: (method, path) for name, (method, path, _) in OPERATIONS.items()} == {
        "authorizePayment": ("POST", "/v1/payments"),
        "findPayments": ("GET", "/v1/payments"),
        "getPayment": ("GET", "/v1/payments/{id}"),
        "capturePayment": ("POST", "/v1/payments/{id}/captures"),
        "voidPayment": ("POST", "/v1/payments/{id}/voids"),
        "refundPayment": ("POST", "/v1/payments/{id}/refunds"),
    }


def test_the_statuses_are_those_of_the_domain() -> None:
    assert CONTRACT["components"]["schemas"]["PaymentStatus"]["enum"] == list(ProviderStatus)


@dataclass
class Sandbox:
    """The sandbox, and a client of it that lets no answer pass unchecked."""

    url: str = ""
    session: aiohttp.ClientSession | None = None
    notices: asyncio.Queue[tuple[dict[str, str], bytes]] = field(default_factory=asyncio.Queue)

    async def call(
        self, operation_id: str, key: str | None = None, body: object = None, **path: str
    ) -> tuple[int, Any]:
        method, template, _ = OPERATIONS[operation_id]
        url = self.url + template.format(**path) + path.get("query", "")
        headers = {} if key is None else {"Idempotency-Key": key}
        data = body if isinstance(body, bytes) or body is None else msgspec.json.encode(body)
        assert self.session is not None
        async with self.session.request(method, url, data=data, headers=headers) as answer:
            content = await answer.read()
            check_answer(operation_id, answer.status, dict(answer.headers), content)
            return answer.status, msgspec.json.decode(content)

    async def pay(self, method: str, key: str = "order:1", **changes: object) -> tuple[int, Any]:
        asked = {
            "reference": key,
            "amount": 1999,
            "currency": "EUR",
            "method": method,
            "capture": True,
        }
        return await self.call("authorizePayment", key, asked | changes)

    async def notice(self) -> tuple[dict[str, str], bytes]:
        return await asyncio.wait_for(self.notices.get(), 10)


async def _started(app: web.Application) -> tuple[web.AppRunner, str]:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Sandbox]:
    sandbox = Sandbox()
    refusals = iter([500])

    async def take(request: web.Request) -> web.Response:
        await sandbox.notices.put((dict(request.headers), await request.read()))
        return web.Response(status=next(refusals, 204))

    receiver = web.Application()
    receiver.router.add_post("/v1/payment-events", take)
    receiving, address = await _started(receiver)
    app = create_app(
        data_dir=tmp_path,
        webhook_url=f"{address}/v1/payment-events",
        webhook_secret=SECRET,
        pace=Pace(slow=0.5, never=0.1, settle=0.2, later=0.1, webhook=0.0, webhook_retry=0.01),
    )
    running_app, sandbox.url = await _started(app)
    async with aiohttp.ClientSession() as sandbox.session:
        yield sandbox
    await running_app.cleanup()
    await receiving.cleanup()


@pytest.mark.parametrize(
    ("method", "statuses", "last"),
    [
        ("tok_ok", [201, 201], "captured"),
        ("tok_declined", [402, 402], "declined"),
        ("tok_insufficient_funds", [402, 402], "declined"),
        ("tok_slow", [201, 201], "captured"),
        ("tok_timeout_booked", [503, 201], "captured"),
        ("tok_timeout_unbooked", [503, 201, 201], "captured"),
        ("tok_flaky", [503, 503, 201, 201], "captured"),
        ("tok_pending", [201, 201], "pending"),
        ("tok_requires_action", [201, 201], "requires_action"),
        ("tok_refund_fails", [201], "captured"),
        ("tok_refund_fails_late", [201], "captured"),
        ("tok_disputed", [201, 201], "captured"),
        ("tok_disputed_won", [201, 201], "captured"),
        ("tok_authorization_expires", [201, 201], "captured"),
        ("tok_refunded_elsewhere", [201, 201], "captured"),
        ("tok_unknown", [422, 422], None),
    ],
)
async def test_every_fate_goes_as_published(
    sandbox: Sandbox, method: str, statuses: list[int], last: str | None
) -> None:
    assert [(await sandbox.pay(method))[0] for _ in statuses] == statuses

    _, found = await sandbox.call("findPayments", query="?reference=order:1")
    assert [one["status"] for one in found["payments"]] == ([] if last is None else [last])


async def test_a_payment_through_all_its_operations(sandbox: Sandbox) -> None:
    _, payment = await sandbox.pay("tok_ok", capture=False)
    name = payment["id"]
    part = {"amount": 700, "reference": "r"}

    status, captured = await sandbox.call("capturePayment", "order:1:capture:1", part, id=name)
    assert (status, captured["status"], captured["captured"]) == (201, "captured", 700)
    status, voided = await sandbox.call("voidPayment", "order:1:void", {"reference": "r"}, id=name)
    assert (status, voided["status"], voided["captured"]) == (201, "captured", 700)
    status, refunded = await sandbox.call("refundPayment", "order:1:refund:1", part, id=name)
    assert (status, refunded["refunded"]) == (201, 700)
    assert await sandbox.call("getPayment", id=name) == (200, refunded)
    assert (await sandbox.call("capturePayment", "order:1:capture:2", part, id=name))[0] == 422
    assert (await sandbox.call("refundPayment", "order:1:refund:2", part, id=name))[0] == 422


async def test_a_refund_that_fails(sandbox: Sandbox) -> None:
    _, payment = await sandbox.pay("tok_refund_fails")
    asked = {"amount": 1, "reference": "r"}

    for _ in range(2):
        answer = await sandbox.call("refundPayment", "order:1:refund:1", asked, id=payment["id"])
        assert answer == (402, {"code": "refund_failed"})


async def test_an_unknown_payment(sandbox: Sandbox) -> None:
    moved = {"amount": 1, "reference": "r"}
    assert (await sandbox.call("getPayment", id="pay_none"))[0] == 404
    assert (await sandbox.call("capturePayment", "k1", moved, id="pay_none"))[0] == 404
    assert (await sandbox.call("voidPayment", "k2", {"reference": "r"}, id="pay_none"))[0] == 404
    assert (await sandbox.call("refundPayment", "k3", moved, id="pay_none"))[0] == 404


async def test_a_key_belongs_to_one_request(sandbox: Sandbox) -> None:
    first = await sandbox.pay("tok_ok")

    assert await sandbox.pay("tok_ok", amount=1) == (422, {"code": "key_reused"})
    assert await sandbox.pay("tok_ok", key="order:2", reference="order:1") == (
        422,
        {"code": "reference_taken"},
    )
    assert await sandbox.pay("tok_ok") == first


async def test_a_request_under_way_is_in_progress(sandbox: Sandbox) -> None:
    first = asyncio.create_task(sandbox.pay("tok_slow"))
    headers, _ = await sandbox.notice()
    assert headers["webhook-id"]

    assert await sandbox.pay("tok_slow") == (409, {"code": "in_progress"})
    status, booked = await first
    assert (status, await sandbox.pay("tok_slow")) == (201, (201, booked))


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff", b"[" * 100_000, {}, {"amount": 1.0}, {"amount": 0}, {"more": 1}],
)
async def test_malformed_requests_are_refused(sandbox: Sandbox, body: object) -> None:
    if isinstance(body, dict) and body:
        assert (await sandbox.pay("tok_ok", **body))[0] == 400
    else:
        assert (await sandbox.call("authorizePayment", "order:1", body))[0] == 400
    _, found = await sandbox.call("findPayments", query="?reference=order:1")
    assert found == {"payments": []}


async def test_a_key_and_a_reference_are_required(sandbox: Sandbox) -> None:
    assert (await sandbox.call("voidPayment", None, {"reference": "r"}, id="pay_1"))[0] == 400
    assert (await sandbox.call("voidPayment", "k y", {"reference": "r"}, id="pay_1"))[0] == 400
    assert (await sandbox.call("findPayments"))[0] == 400


async def test_webhooks_are_as_published_and_verify(sandbox: Sandbox) -> None:
    verifier = WebhookVerifier([SECRET])
    webhook = CONTRACT["webhooks"]["paymentChanged"]["post"]
    schema = webhook["requestBody"]["content"]["application/json"]["schema"]
    _, payment = await sandbox.pay("tok_pending")
    told: list[Any] = []
    # The first delivery is refused, so pending comes twice, under one id.
    for _ in range(3):
        headers, body = await sandbox.notice()
        check(schema, msgspec.json.decode(body))
        check_headers(webhook, headers)
        lowered = {name.lower(): value for name, value in headers.items()}
        told.append(verifier.verify(lowered, body, datetime.now(UTC)))

    assert all(isinstance(event, PaymentEvent) for event in told)
    assert [event.type for event in told] == [
        "payment.pending",
        "payment.pending",
        "payment.captured",
    ]
    assert told[0] == told[1]
    assert told[0].id != told[2].id
    assert {event.payment.provider_id for event in told} == {payment["id"]}
    assert told[2].payment.captured == 1999


async def notices(sandbox: Sandbox, *types: str) -> list[dict[str, Any]]:
    """The payments that the next messages tell, which are of these types and as published."""
    schema = CONTRACT["components"]["schemas"]["PaymentEvent"]
    told: dict[str, dict[str, Any]] = {}
    # The first delivery is refused, so one comes twice.
    while len(told) < len(types):
        headers, body = await sandbox.notice()
        message = msgspec.json.decode(body)
        check(schema, message)
        told[headers["webhook-id"]] = message
    assert [message["type"] for message in told.values()] == [f"payment.{each}" for each in types]
    return [message["data"] for message in told.values()]


async def test_a_payer_who_has_something_to_do_does_it(sandbox: Sandbox) -> None:
    _, asked = await sandbox.pay("tok_requires_action")
    assert asked["next_action"]["type"] == "redirect"
    assert asked["next_action"]["url"].startswith("https://")

    _, captured = await notices(sandbox, "requires_action", "captured")

    assert (captured["status"], captured["next_action"]) == ("captured", None)


async def test_a_dispute_is_opened_and_won(sandbox: Sandbox) -> None:
    await sandbox.pay("tok_disputed_won")

    _, opened, closed = await notices(sandbox, "captured", "dispute_opened", "dispute_closed")

    assert opened["disputes"] == [{"id": "dp_1", "amount": 1999, "status": "open"}]
    assert closed["disputes"] == [{"id": "dp_1", "amount": 1999, "status": "won"}]


async def test_a_refund_fails_after_it_succeeded(sandbox: Sandbox) -> None:
    _, payment = await sandbox.pay("tok_refund_fails_late")
    asked = {"amount": 700, "reference": "order:refund:1"}
    status, refunded = await sandbox.call(
        "refundPayment", "order:refund:1", asked, id=payment["id"]
    )
    assert (status, refunded["refunded"]) == (201, 700)

    *_, failed = await notices(sandbox, "captured", "refunded", "refund_failed")

    assert failed["refunded"] == 0
    assert failed["refunds"] == [
        {"id": "re_1", "reference": "order:refund:1", "amount": 700, "status": "failed"}
    ]


async def test_an_authorisation_lapses(sandbox: Sandbox) -> None:
    _, payment = await sandbox.pay("tok_authorization_expires", capture=False)
    assert datetime.fromisoformat(payment["authorized_until"]) > datetime(2026, 1, 1, tzinfo=UTC)

    _, lapsed = await notices(sandbox, "authorized", "voided")

    assert (lapsed["status"], lapsed["captured"]) == ("voided", 0)


async def test_a_refund_is_made_elsewhere(sandbox: Sandbox) -> None:
    await sandbox.pay("tok_refunded_elsewhere")

    _, refunded = await notices(sandbox, "captured", "refunded")

    assert refunded["refunded"] == 1999
    assert refunded["refunds"] == [{"id": "re_1", "amount": 1999, "status": "succeeded"}]


async def test_a_dispute_may_be_about_a_part_and_follow_a_refund(sandbox: Sandbox) -> None:
    _, payment = await sandbox.pay("tok_disputed")
    *_, opened = await notices(sandbox, "captured", "dispute_opened")
    assert opened["disputes"][0]["status"] == "open"
    assert sandbox.session is not None
    url = f"{sandbox.url}/sandbox/payments/{payment['id']}/disputes"
    statuses = []
    for body in (
        {"amount": 1999, "status": "won"},
        {"amount": 400, "id": "dp_2"},
        {"amount": 400, "id": "dp_2", "status": "lost"},
        {"amount": 2000, "id": "dp_3"},
        {"amount": 1, "status": "maybe"},
    ):
        async with sandbox.session.post(url, json=body) as answer:
            statuses.append(answer.status)
    assert statuses == [201, 201, 201, 422, 400]
    async with sandbox.session.get(f"{sandbox.url}/ledger") as answer:
        ledger = await answer.json()
    assert ledger["payments"][0]["charged_back"] == 400
    assert ledger["totals"]["EUR"]["charge_back_reversal"] == 1999


async def test_a_charge_back_is_told_and_takes_what_is_kept(sandbox: Sandbox) -> None:
    _, payment = await sandbox.pay("tok_ok")
    assert sandbox.session is not None
    url = f"{sandbox.url}/sandbox/payments/{payment['id']}/charge-back"
    statuses = []
    for _ in range(2):
        async with sandbox.session.post(url) as answer:
            statuses.append(answer.status)
    assert statuses == [201, 422]

    types = {msgspec.json.decode((await sandbox.notice())[1])["type"] for _ in range(3)}
    assert types == {"payment.captured", "payment.charged_back"}
    asked = {"amount": 1, "reference": "r"}
    assert (await sandbox.call("refundPayment", "k", asked, id=payment["id"]))[0] == 422
    async with sandbox.session.get(f"{sandbox.url}/ledger") as answer:
        totals = (await answer.json())["totals"]
    assert totals == {"EUR": {"authorization": 1999, "capture": 1999, "charge_back": 1999}}


async def test_the_adapter_sends_what_is_published() -> None:
    async with running(books()) as stub, HttpPayments(stub.url, credential="ours") as payments:
        await payments.authorize(reference="order:1", amount=AMOUNT, method="tok_ok", capture=False)
        await payments.capture("pay_1", amount=AMOUNT, reference="order:1:capture:1")
        await payments.void("pay_1", reference="order:1:void")
        await payments.refund("pay_1", amount=AMOUNT, reference="order:refund:1")

    expected = ["authorizePayment", "capturePayment", "voidPayment", "refundPayment"]
    for operation_id, seen in zip(expected, stub.seen, strict=True):
        method, path, _ = OPERATIONS[operation_id]
        assert (seen.method, seen.raw_path) == (method, path.format(id="pay_1"))
        check_request(operation_id, seen.headers, seen.body)
