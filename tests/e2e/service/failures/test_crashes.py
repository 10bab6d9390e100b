"""Group B: an effect happens exactly once, whatever dies in between.

Here as a caller and an operator see it: processes are killed, the payment service contradicts
itself, webhooks come in any order. `tests/chaos` kills at every single step.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import httpx
import pytest

from tests.contract.events.published_events import judge_strictly
from tests.support.payments.payment_scenarios import after, cuts, hangs, late, lies, says
from tests.support.payments.payment_service import Act, honest
from tests.support.processes.replicas import (
    DEADLINE_SECONDS,
    NEW_SECRET,
    OLD_SECRET,
    REPLICAS,
    Stage,
    one_charge,
)
from tests.support.processes.service import Caller, at_once, body, eventually, key, line, paid

WITHIN_SECONDS = 60
"""Of all being well again: everything has an end by then."""
PAID = ["OrderCreated", "PaymentStarted", "PaymentCaptured", "OrderPaid", "OrderConfirmed"]


class Lost:
    """Stands for an answer that never came."""


def try_to(call: Callable[[], httpx.Response]) -> httpx.Response | Lost:
    """Make a call to a process that may die under it."""
    with suppress(httpx.TransportError):
        return call()
    return Lost()


def placed_at_last(caller: Caller, content: Any, k: str) -> dict[str, Any]:
    """The order of a request that is repeated until it is answered."""

    def order() -> dict[str, Any] | None:
        answer = try_to(lambda: caller.place(content, with_key=k))
        if isinstance(answer, Lost) or answer.status_code == 409:
            return None
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    return eventually(order, WITHIN_SECONDS)


def require_paid_once(stage: Stage, caller: Caller, order_id: str) -> None:
    """Check what a paid order is: charged once, told once of each step, all of it relayed."""
    order = stage.settled(caller, order_id, WITHIN_SECONDS)
    assert (order["status"], order["payment_status"]) == ("confirmed", "paid")
    one_charge(stage, order_id)
    (payment,) = stage.provider.payments_of(order_id)
    assert payment["amount"] == order["totals"]["captured"] == order["totals"]["due"]
    fed = stage.fed(order_id, tenant_of(caller))
    assert [each["type"] for each in fed] == types(PAID)
    assert [int(each["sequence"]) for each in fed] == [1, 2, 3, 4, 5]
    assert len(caller.orders()) == 1


def types(names: Sequence[str]) -> list[str]:
    """The types of events in the feed and at brokers."""
    return [f"orders.{name}.v1" for name in names]


def tenant_of(caller: Caller) -> str:
    return f"t-{caller.subject[-8:]}"


def somebody(stage: Stage, at: str = "api-0") -> Caller:
    """A customer of a tenant of its own, so that the tenant's feed is about it alone."""
    subject = f"customer-{key()}"
    return stage.someone(at=at, sub=subject, tenant=f"t-{subject[-8:]}")


# -- processes that die ---------------------------------------------------------------------------


@pytest.mark.parametrize("booked", [False, True], ids=["cp_afterstore", "cp_charged"])
def test_an_order_outlives_the_process_that_asks_for_its_payment(
    stage: Stage, *, booked: bool
) -> None:
    gate, arrived = threading.Event(), threading.Event()
    then = cuts(booked=booked)
    content = paid(stage.provider.part(authorize=[after(gate, then, arrived)]), capture=True)
    dying, k = somebody(stage, "api-2"), key()
    (_, other, _) = stage.everywhere(dying)
    request = threading.Thread(target=try_to, args=(lambda: dying.place(content, with_key=k),))
    request.start()
    assert arrived.wait(WITHIN_SECONDS)
    # The order is there for all, while its payment is under way.
    (there,) = other.orders()
    assert (there["status"], there["payment_status"]) == ("pending", "pending")
    busy = other.place(content, with_key=k)
    assert busy.status_code in {201, 409}
    stage.cluster.processes["api-2"].kill()
    gate.set()
    request.join()
    assert placed_at_last(other, content, k)["id"] == there["id"]
    require_paid_once(stage, other, there["id"])
    stage.refresh("api-2")


def test_cp_answered_and_all_moments_around_it(stage: Stage) -> None:
    """SIGKILL at moments that sweep the whole request: before it is stored, to after its answer."""
    for milliseconds in (0, 15, 40):
        methods = [stage.provider.part(authorize=[late(0.05)]) for _ in range(6)]
        callers = [(somebody(stage, REPLICAS[1 + n % 2]), key()) for n in range(6)]
        contents = [paid(method, capture=True) for method in methods]
        requests = [
            threading.Thread(target=try_to, args=(lambda c=c, t=t, k=k: c.place(t, with_key=k),))
            for (c, k), t in zip(callers, contents, strict=True)
        ]
        for request in requests:
            request.start()
        time.sleep(milliseconds / 1000)  # the moment itself is what varies
        for name in REPLICAS[1:]:
            stage.cluster.processes[name].kill()
        for request in requests:
            request.join()
        alive = [Caller(stage.at(), c.token, c.subject) for c, _ in callers]
        for caller, (_, k), content in zip(alive, callers, contents, strict=True):
            order = placed_at_last(caller, content, k)
            require_paid_once(stage, caller, order["id"])
        stage.refresh(*REPLICAS[1:])


def test_cp_noreply(stage: Stage) -> None:
    caller, k = somebody(stage, "api-2"), key()
    content = paid(stage.provider.part(), capture=True)
    first = caller.place(content, with_key=k)
    stage.refresh("api-2")
    again = caller.place(content, with_key=k)
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    require_paid_once(stage, caller, first.json()["id"])


def test_cp_claim(stage: Stage) -> None:
    callers = [somebody(stage) for _ in range(12)]
    worker = stage.cluster.processes["worker-0"]
    orders = []
    for number, caller in enumerate(callers):
        orders.append(caller.placed(paid(stage.provider.part(), capture=True)))
        if number % 4 == 3:
            worker.kill()
            worker.start()
    worker.wait_until_up()
    for caller, order in zip(callers, orders, strict=True):
        require_paid_once(stage, caller, order["id"])


def test_every_replica_has_what_one_has_acknowledged(stage: Stage) -> None:
    caller = somebody(stage, "api-1")
    for _ in range(5):
        order = caller.placed(paid(stage.provider.part(), capture=True))
        seen = [each.order(order["id"]) for each in stage.everywhere(caller)]
        assert seen == [order] * len(REPLICAS)


# -- cancelling while the payment is under way ----------------------------------------------------


@pytest.mark.parametrize("capture", [False, True])
@pytest.mark.parametrize(
    "act",
    [honest, cuts(booked=True), cuts(booked=False), says(503), says(402, {"code": "no"})],
    ids=["answers", "books-and-cuts", "cuts", "503", "declines"],
)
def test_cp_cancelrace(stage: Stage, act: Act, *, capture: bool) -> None:
    gate, arrived = threading.Event(), threading.Event()
    method = stage.provider.part(authorize=[after(gate, act, arrived)])
    caller, k = somebody(stage), key()
    placing = threading.Thread(
        target=lambda: caller.place(paid(method, capture=capture), with_key=k)
    )
    placing.start()
    assert arrived.wait(WITHIN_SECONDS)
    other = stage.everywhere(caller)[1]
    (there,) = other.orders()
    cancelled = other.post(f"/v1/orders/{there['id']}/cancel")
    gate.set()
    placing.join()
    assert cancelled.status_code in {200, 409}
    order = stage.settled(caller, there["id"])
    if cancelled.status_code == 409:
        assert order["status"] != "cancelled"
        return
    order = eventually(lambda: _without_money(stage, caller, there["id"]), WITHIN_SECONDS)
    assert order["status"] == "cancelled"
    assert order["totals"]["net"] == order["totals"]["authorized"] == 0


def _without_money(stage: Stage, caller: Caller, order_id: str) -> dict[str, Any] | None:
    """The order, once the provider neither holds nor keeps anything of it."""
    order = caller.order(order_id)
    for payment in stage.provider.payments_of(order_id):
        if payment["status"] == "authorized" or payment["captured"] > payment["refunded"]:
            return None
    waits = order["payment_status"] == "pending" or order["totals"]["pending_refunds"]
    return None if waits or order["totals"]["authorized"] else order


def test_cp_late(stage: Stage) -> None:
    caller = somebody(stage)
    began = time.monotonic()
    order = caller.placed(paid(stage.provider.part(authorize=[late(5)] * 3), capture=True))
    assert time.monotonic() - began <= DEADLINE_SECONDS
    assert (order["status"], order["payment_status"]) == ("pending", "pending")
    require_paid_once(stage, caller, order["id"])


# -- accounts that contradict each other ----------------------------------------------------------

LIES: dict[str, dict[str, Any]] = {
    "more": {"amount": 1251, "captured": 1251},
    "less": {"amount": 1249, "captured": 1249},
    "nothing": {"amount": 0, "captured": 0},
    "currency": {"currency": "EUR"},
    "captured-too-much": {"captured": 1251},
    "refunded-too-much": {"refunded": 1251},
    "declined-and-captured": {"status": "declined"},
    "voided-and-captured": {"status": "voided"},
    "pending-and-captured": {"status": "pending"},
    "waiting-and-captured": {"status": "requires_action"},
    "captured-and-nothing": {"captured": 0},
}


@pytest.mark.parametrize("name", LIES)
@pytest.mark.parametrize("where", ["answer", "lookup", "webhook"])
def test_cp_mismatch(stage: Stage, where: str, name: str) -> None:
    acts: dict[str, list[Act]] = {"authorize": [lies(**LIES[name])]}
    if where == "lookup":
        stage.reassure("api-0")
        acts = {"authorize": [cuts(booked=True), hangs(booked=True), cuts(booked=True)]}
        acts["find"] = [lies(**LIES[name])] * 9
    if where == "webhook":
        acts = {}
    caller = somebody(stage)
    order = caller.placed(paid(stage.provider.part(**acts), capture=True))
    if where == "webhook":
        stage.settled(caller, order["id"])
        (payment,) = stage.provider.payments_of(order["id"])
        assert stage.tell("captured", {**payment, **LIES[name]}).status_code < 300

    def reviewed() -> dict[str, Any] | None:
        found = caller.order(order["id"])
        return found if found["payments"][0]["status"] == "review" else None

    found = eventually(reviewed, WITHIN_SECONDS)
    assert [each["reason"] for each in somebody_of_staff(stage, caller).order(order["id"])["holds"]]
    if where != "webhook":
        assert found["status"] == "pending"
    moved = [kind for kind, _ in stage.provider.moved_of(order["id"])]
    assert moved == ["captured"]
    assert "PaymentUnderReview" in [each["type"] for each in caller.events(order["id"])]


def somebody_of_staff(stage: Stage, caller: Caller) -> Caller:
    return stage.someone("admin", tenant=tenant_of(caller))


def test_a_lookup_that_finds_another_order_s_payment_is_not_believed(stage: Stage) -> None:
    acts: dict[str, list[Act]] = {
        "authorize": [cuts(booked=False)] * 3,
        "find": [lies(reference="of-another-order:1")] * 3,
    }
    caller = somebody(stage)
    order = caller.placed(paid(stage.provider.part(**acts), capture=True))
    require_paid_once(stage, caller, order["id"])


# -- events ---------------------------------------------------------------------------------------


def test_cp_order(stage: Stage) -> None:
    caller = somebody(stage)
    order = caller.placed(body())
    pay = {"method": stage.provider.part(), "capture": True}
    assert caller.post(f"/v1/orders/{order['id']}/payments", pay).status_code == 201
    assert caller.post(f"/v1/orders/{order['id']}/cancel").status_code == 200
    fed = stage.fed(order["id"], tenant_of(caller))
    told = [*PAID, "OrderCancelled", "RefundRequested", "PaymentRefunded", "RefundSucceeded"]
    assert [each["type"] for each in fed] == types(told)
    assert [int(each["sequence"]) for each in fed] == [*range(1, len(told) + 1)]
    positions = [int(each["position"]) for each in fed]
    assert positions == sorted(positions)
    timeline = somebody_of_staff(stage, caller).events(order["id"])
    for shown, event in zip(timeline, fed, strict=True):
        assert shown["id"] == event["id"]
        assert f"orders.{shown['type']}.v1" == event["type"]
        assert shown["data"] == {name: event["data"][name] for name in ("change", "after")}
        assert (shown["version"], shown["actor"]["kind"]) == (
            event["data"]["version"], event["data"]["actor"],
        )  # fmt: skip


def test_cp_envelope(stage: Stage) -> None:
    caller = somebody(stage)
    method = stage.provider.part()
    order = caller.placed(paid(method, note="leave it at the door", capture=True))
    for event in stage.fed(order["id"], tenant_of(caller)):
        assert event["id"] == f"{order['id']}:{int(event['sequence'])}"
        assert event["subject"] == order["id"]
        assert event["time"].endswith("Z")
        assert event.pop("position").isdigit()
        judge_strictly(event)
        assert caller.token is not None
        assert not any(word in str(event) for word in (method, "door", "pay_", caller.token))


GHOSTS: dict[str, Callable[[Caller], httpx.Response]] = {
    "400": lambda caller: caller.place(b"{"),
    "400-no-key": lambda caller: caller("POST", "/v1/orders", json=body()),
    "401": lambda caller: caller.running.nobody().place(),
    "403": lambda caller: caller.running.someone("auditor", tenant=tenant_of(caller)).place(),
    "404": lambda caller: caller.post("/v1/orders/00000000-0000-5000-8000-000000000000/cancel"),
    "405": lambda caller: caller("DELETE", "/v1/orders", headers={"Idempotency-Key": key()}),
    "413": lambda caller: caller.place(b" " * (1 << 20) + b"{}"),
    "415": lambda caller: caller.place(headers={"Content-Type": "text/plain"}),
    "422": lambda caller: caller.place(line(quantity=0)),
    "422-total": lambda caller: caller.place(body(expected_total=1)),
    "422-unknown": lambda caller: caller.place(body(status="confirmed")),
}


def test_cp_ghost(stage: Stage) -> None:
    caller = somebody(stage)
    for name, refused in GHOSTS.items():
        assert refused(caller).status_code == int(name[:3]), name
    order = caller.placed()
    pages = f"/v1/orders/{order['id']}"
    refusals = {
        409: caller.post(f"{pages}/returns", {"items": [{"line_id": "1", "quantity": 1}]}),
        412: caller.post(f"{pages}/cancel", {}, headers={"If-Match": '"99"'}),
        428: caller("PATCH", pages, json={"note": "x"}),
    }
    assert {status: answer.status_code for status, answer in refusals.items()} == {
        status: status for status in refusals
    }
    fed = stage.fed(order["id"], tenant_of(caller))
    assert [each["type"] for each in stage.feed(tenant_of(caller))] == types(["OrderCreated"])
    assert [each["subject"] for each in fed] == [order["id"]]


# -- webhooks -------------------------------------------------------------------------------------


def a_paid_order(stage: Stage, **acts: list[Act]) -> tuple[Caller, dict[str, Any], dict[str, Any]]:
    """Someone, their paid order, and the payment as the provider has it."""
    caller = somebody(stage)
    placed = caller.placed(paid(stage.provider.part(**acts), capture=True))
    order = stage.settled(caller, placed["id"])
    (payment,) = stage.provider.payments_of(order["id"])
    return caller, order, payment


def test_cp_inbox(stage: Stage) -> None:
    caller, order, payment = a_paid_order(stage)
    refunded = {**payment, "refunded": 250}
    answers = at_once(
        *[
            lambda at=at: stage.tell("refunded", refunded, at=at, message_id="msg_twice")
            for at in REPLICAS * 3
        ]
    )
    assert {answer.status_code // 100 for answer in answers} == {2}
    assert caller.order(order["id"])["totals"]["refunded"] == 250
    types = [each["type"] for each in caller.events(order["id"])]
    assert types.count("PaymentRefunded") == 1
    # The id of a message that said something else: what is true counts, not the id.
    more = stage.tell("refunded", {**payment, "refunded": 300}, message_id="msg_twice")
    assert more.status_code < 300
    assert caller.order(order["id"])["totals"]["refunded"] == 300


def test_webhooks_in_the_wrong_order_end_at_the_same(stage: Stage) -> None:
    caller, order, payment = a_paid_order(stage)
    told = [
        ("refunded", {**payment, "refunded": 1250}),
        ("authorized", {**payment, "status": "authorized", "captured": 0}),
        ("pending", {**payment, "status": "pending", "captured": 0}),
        ("captured", payment),
        ("refunded", {**payment, "refunded": 500}),
    ]
    for kind, data in told * 2:
        assert stage.tell(kind, data).status_code < 300
    totals = caller.order(order["id"])["totals"]
    assert (totals["captured"], totals["refunded"]) == (1250, 1250)
    sequences = [each["sequence"] for each in caller.events(order["id"])]
    assert sequences == [*range(1, len(sequences) + 1)]


@pytest.mark.parametrize(
    ("changed", "secret"),
    [
        ({"webhook-signature": "v1,AAAA"}, NEW_SECRET),
        ({"webhook-signature": ""}, NEW_SECRET),
        ({"webhook-id": "msg_other"}, NEW_SECRET),
        ({"webhook-timestamp": "1"}, NEW_SECRET),
        ({}, "whsec_" + "A" * 44),
    ],
    ids=["signature", "no-signature", "id", "time", "secret"],
)
def test_a_webhook_that_the_provider_did_not_sign_changes_nothing(
    stage: Stage, changed: dict[str, Any], secret: str
) -> None:
    caller, order, payment = a_paid_order(stage)
    answer = stage.tell("refunded", {**payment, "refunded": 1250}, secret=secret, **changed)
    assert answer.status_code == 400
    assert caller.order(order["id"]) == order


@pytest.mark.parametrize("seconds", [-3_600, -310, 310, 86_400])
def test_a_webhook_of_another_time_changes_nothing(stage: Stage, seconds: int) -> None:
    caller, order, payment = a_paid_order(stage)
    data = {**payment, "refunded": 1250}
    assert stage.tell("refunded", data, signed_at=time.time() + seconds).status_code == 400
    assert caller.order(order["id"]) == order


def test_either_secret_is_taken_while_one_replaces_the_other(stage: Stage) -> None:
    caller, order, payment = a_paid_order(stage)
    for refunded, secret in ((100, OLD_SECRET), (200, NEW_SECRET)):
        data = {**payment, "refunded": refunded}
        assert stage.tell("refunded", data, secret=secret).status_code < 300
        assert caller.order(order["id"])["totals"]["refunded"] == refunded


@pytest.mark.parametrize(
    "reference",
    ["of-somebody-else", "00000000-0000-5000-8000-000000000000:1", "{id}:9", "{id}:refund:1"],
)
def test_a_webhook_about_no_payment_of_ours_is_acknowledged(stage: Stage, reference: str) -> None:
    caller, order, payment = a_paid_order(stage)
    data = {**payment, "refunded": 1250, "reference": reference.format(id=order["id"])}
    assert stage.tell("refunded", data).status_code < 300
    assert caller.order(order["id"]) == order


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        ("captured", {"amount": "1250"}),
        ("captured", {"status": "fine"}),
        ("captured", {"captured": -1}),
    ],
)
def test_a_webhook_that_cannot_be_read_is_refused(
    stage: Stage, kind: str, changed: dict[str, Any]
) -> None:
    caller, order, payment = a_paid_order(stage)
    assert stage.tell(kind, {**payment, **changed}).status_code == 400
    assert caller.order(order["id"]) == order


def test_a_webhook_of_an_unknown_type_is_taken_and_changes_nothing(stage: Stage) -> None:
    caller, order, payment = a_paid_order(stage)
    assert stage.tell("exploded", payment).is_success
    assert caller.order(order["id"]) == order


def test_a_webhook_before_the_answer_to_the_call_itself(stage: Stage) -> None:
    gate, arrived = threading.Event(), threading.Event()

    def told_first(order_id: str) -> dict[str, Any]:
        (payment,) = stage.provider.payments_of(order_id)
        return payment

    async def books_and_waits(turn: Any) -> Any:
        answer = turn.book()
        return await after(gate, lambda _: _value(answer), arrived)(turn)

    caller = somebody(stage)
    content = paid(stage.provider.part(authorize=[books_and_waits]), capture=True)
    placing = threading.Thread(target=lambda: caller.place(content))
    placing.start()
    assert arrived.wait(WITHIN_SECONDS)
    (there,) = stage.everywhere(caller)[1].orders()
    assert stage.tell("captured", told_first(there["id"]), at="api-1").status_code < 300
    assert stage.everywhere(caller)[2].order(there["id"])["status"] == "confirmed"
    gate.set()
    placing.join()
    require_paid_once(stage, caller, there["id"])


async def _value(answer: Any) -> Any:
    return answer


def test_money_that_comes_after_the_end_goes_back_once(stage: Stage) -> None:
    caller = somebody(stage)
    method = stage.provider.part(authorize=[lies(status="pending", captured=0)])
    order = caller.placed(paid(method, capture=True))
    assert order["payment_status"] == "pending"
    cancelled = caller.post(f"/v1/orders/{order['id']}/cancel")
    assert cancelled.status_code == 200
    (payment,) = stage.provider.payments_of(order["id"])
    for at in REPLICAS * 2:
        assert stage.tell("captured", payment, at=at).status_code < 300
    found = eventually(lambda: _without_money(stage, caller, order["id"]), WITHIN_SECONDS)
    assert (found["status"], found["totals"]["net"]) == ("cancelled", 0)
    # What it said was pending was called off first; that it had been captured, it said later.
    moved = [kind for kind, _ in stage.provider.moved_of(order["id"])]
    assert moved == ["captured", "void", "refund"]
    types = [each["type"] for each in caller.events(order["id"])]
    assert types.count("PaymentReceivedLate") == types.count("RefundRequested") == 1


def test_a_charge_back_is_booked_once_and_refunds_nothing(stage: Stage) -> None:
    caller, order, payment = a_paid_order(stage)
    for at in REPLICAS:
        assert stage.tell("charged_back", payment, at=at).status_code < 300
    found = caller.order(order["id"])
    assert found["payment_status"] == "charged_back"
    assert (found["totals"]["charged_back"], found["totals"]["net"]) == (1250, 0)
    assert stage.provider.calls_of(order["id"], "refund") == []
    types = [each["type"] for each in caller.events(order["id"])]
    assert types.count("PaymentChargedBack") == 1
