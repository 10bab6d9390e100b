"""Group C: whatever the payment service does, money moves once and the truth is told.

Each outcome is played by a provider of the test's, against several replicas. What a provider says
that proves nothing is the class `UNKNOWN`; each member of it is played with the payment booked,
and with it not booked.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.payments.payment_scenarios import (
    SECRET,
    UNREADABLE,
    breaks_off,
    cuts,
    garbles,
    hangs,
    late,
    lies,
    refuses,
    says,
    trickles,
)
from tests.support.payments.payment_service import Act, Provider, honest, providing
from tests.support.processes.replicas import DEADLINE_SECONDS, REPLICAS, Stage, one_charge
from tests.support.processes.service import Caller, at_once, eventually, paid

AT_A_TIME = 5
"""Cases of a replica at once: fifteen calls, with all their repetitions."""


@dataclass(frozen=True)
class Played:
    """One case, and what came of it."""

    caller: Caller
    seconds: float
    """Until the first answer."""
    first: Mapping[str, Any]
    last: Mapping[str, Any]
    """The order once no payment of it is under way."""


def play(stage: Stage, cases: Mapping[str, Mapping[str, list[Act]]]) -> dict[str, Played]:
    """Pay an order in each case, several at once; returns what came of each."""
    played: dict[str, Played] = {}
    names = iter(cases)
    while batch := list(itertools.islice(names, AT_A_TIME * len(REPLICAS))):
        stage.reassure()
        placed = at_once(
            *(
                lambda name=name, at=at: _placed(stage, cases[name], at)
                for name, at in zip(batch, itertools.cycle(REPLICAS), strict=False)
            )
        )
        for name, (caller, seconds, first) in zip(batch, placed, strict=True):
            played[name] = Played(caller, seconds, first, stage.settled(caller, first["id"]))
    return played


def _placed(
    stage: Stage, acts: Mapping[str, list[Act]], at: str
) -> tuple[Caller, float, dict[str, Any]]:
    caller = stage.someone(at=at)
    method = stage.provider.part(**acts)
    began = time.monotonic()
    answer = caller.place(paid(method, capture=True))
    assert answer.status_code == 201, answer.text
    assert SECRET not in answer.text
    return caller, time.monotonic() - began, answer.json()


# -- outcomes that prove nothing ------------------------------------------------------------------


def _unknown(*, booked: bool) -> dict[str, Act]:
    cases = {
        f"status-{status}": says(status, {"code": "no"}, booked=booked)
        for status in (202, 204, 500, 501, 502, 503, 504, 508, 599, 408, 425)
    }
    cases |= {
        f"body-{name}": garbles(content, booked=booked, **headers)
        for name, (content, headers) in UNREADABLE.items()
    }
    return cases | {
        "429-later": says(429, {"code": "no"}, booked=booked, Retry_After="1"),
        "503-much-later": says(503, {"code": "no"}, booked=booked, Retry_After="3600"),
        "503-nonsense-later": says(503, {"code": "no"}, booked=booked, Retry_After="soon"),
        "409": says(409, {"code": "in_progress"}, booked=booked),
        "hangs": hangs(booked=booked),
        "cuts": cuts(booked=booked),
        "breaks-off": breaks_off(booked=booked),
        "trickles": trickles(booked=booked),
    }


UNKNOWN = {
    f"{name}-{'booked' if booked else 'unbooked'}": act
    for booked in (True, False)
    for name, act in _unknown(booked=booked).items()
}


@pytest.fixture(scope="module")
def unknown(stage: Stage) -> dict[str, Played]:
    return play(stage, {name: {"authorize": [act]} for name, act in UNKNOWN.items()})


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_outcome_that_proves_nothing_is_found_out_with_the_same_key(
    stage: Stage, unknown: dict[str, Played], name: str
) -> None:
    case = unknown[name]
    assert case.seconds <= DEADLINE_SECONDS
    assert case.first["payment_status"] in {"pending", "paid"}
    assert (case.last["status"], case.last["payment_status"]) == ("confirmed", "paid")
    assert case.last["totals"]["captured"] == case.last["totals"]["due"] == 1250
    one_charge(stage, case.last["id"])
    events = [each["type"] for each in case.caller.events(case.last["id"])]
    assert [events.count(each) for each in ("OrderPaid", "OrderConfirmed")] == [1, 1]


# -- outcomes that end it -------------------------------------------------------------------------

REFUSED = (400, 401, 403, 404, 405, 406, 410, 411, 413, 414, 415, 421, 422, 428, 431, 451)


@pytest.fixture(scope="module")
def refused(stage: Stage) -> dict[str, Played]:
    return play(stage, {str(status): {"authorize": [refuses(status)]} for status in REFUSED})


@pytest.mark.parametrize("status", REFUSED)
def test_pay_4xx(stage: Stage, refused: dict[str, Played], status: int) -> None:
    case = refused[str(status)]
    assert (case.first["status"], case.first["payment_status"]) == ("pending", "failed")
    assert len(stage.provider.calls_of(case.first["id"])) == 1
    assert SECRET not in case.caller.get(f"/v1/orders/{case.first['id']}/events").text


DECLINED = {
    "code": (says(402, {"code": "insufficient_funds"}), "insufficient_funds"),
    "no-code": (says(402, {}), "declined"),
    "not-json": (says(402, SECRET.encode()), "declined"),
    "not-a-code": (says(402, {"code": f"{SECRET} <b>\r\n"}), "declined"),
    "huge": (says(402, b"[" * (2 << 20)), "declined"),
    "status": (lies(status="declined", captured=0, decline_code="lost_card"), "lost_card"),
}


@pytest.fixture(scope="module")
def declined(stage: Stage) -> dict[str, Played]:
    return play(stage, {name: {"authorize": [act]} for name, (act, _) in DECLINED.items()})


@pytest.mark.parametrize("name", DECLINED)
def test_pay_declined(stage: Stage, declined: dict[str, Played], name: str) -> None:
    case = declined[name]
    order_id = case.first["id"]
    assert (case.first["status"], case.first["payment_status"]) == ("pending", "failed")
    assert case.first["payments"][0]["decline_code"] == DECLINED[name][1]
    assert len(stage.provider.calls_of(order_id)) == 1
    again = case.caller.post(f"/v1/orders/{order_id}/payments", {"method": stage.provider.part()})
    assert (again.status_code, again.json()["status"]) == (201, "confirmed")
    assert {call.key for call in stage.provider.calls_of(order_id)} == {
        f"{order_id}:1",
        f"{order_id}:2",
    }


# -- redirects ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Provider]:
    with providing() as provider:
        yield provider


def _redirects(elsewhere: Provider) -> dict[str, Act]:
    targets = {
        "host": f"{elsewhere.url}/v1/payments",
        "metadata": "http://169.254.169.254/latest/meta-data/",
        "file": "file:///etc/passwd",
        "itself": "/v1/payments",
        "nowhere": "",
    }
    return {
        f"{status}-{name}": says(status, {}, Location=target)
        for status in (301, 302, 303, 307, 308)
        for name, target in targets.items()
    }


def test_pay_redirect(stage: Stage, elsewhere: Provider) -> None:
    played = play(stage, {k: {"authorize": [act]} for k, act in _redirects(elsewhere).items()})
    for case in played.values():
        assert case.first["payment_status"] == "pending"
        assert case.last["payment_status"] == "paid"
        one_charge(stage, case.last["id"])
    assert elsewhere.calls == []


# -- captures, voids and refunds ------------------------------------------------------------------

MOVED_IN_THE_END: Mapping[str, Sequence[Act]] = {
    "503-once": [says(503)],
    "503-thrice": [says(503)] * 3,
    "409": [says(409)],
    "hangs-booked": [hangs(booked=True)],
    "hangs-unbooked": [hangs(booked=False)],
    "cuts-booked": [cuts(booked=True)],
    "cuts-unbooked": [cuts(booked=False)],
    "garbles-booked": [garbles(b"{", booked=True)],
    "redirects": [says(302, Location="/")],
}
MOVEMENTS = {"capture": ("captured", "paid"), "void": ("authorized", "voided")}


@pytest.fixture(scope="module")
def movements(stage: Stage) -> dict[str, Mapping[str, Any]]:
    """What became of each order whose capture, void or refund was played."""
    cases = [(kind, name) for kind in ("capture", "void", "refund") for name in MOVED_IN_THE_END]
    moved: dict[str, Mapping[str, Any]] = {}
    waiting = iter(cases)
    while batch := list(itertools.islice(waiting, AT_A_TIME * len(REPLICAS))):
        stage.reassure()
        orders = at_once(
            *(
                lambda kind=kind, name=name, at=at: _moved(
                    stage, kind, [*MOVED_IN_THE_END[name]], at
                )
                for (kind, name), at in zip(batch, itertools.cycle(REPLICAS), strict=False)
            )
        )
        for (kind, name), order in zip(batch, orders, strict=True):
            moved[f"{kind}-{name}"] = order
    return moved


def _moved(stage: Stage, kind: str, acts: list[Act], at: str) -> Mapping[str, Any]:
    admin = stage.someone("admin", at=at)
    content = paid(stage.provider.part(**{kind: acts}), capture=kind == "refund")
    order = admin.placed(content)
    path = f"/v1/orders/{order['id']}"
    if kind == "capture":
        asked = admin.post(f"{path}/payments/1/capture", {})
    elif kind == "void":
        asked = admin.post(f"{path}/payments/1/void", {})
    else:
        asked = admin.post(f"{path}/cancel", {})
    assert asked.status_code in {200, 201}, asked.text
    wanted = {"capture": "captured", "void": "authorized", "refund": "refunded"}[kind]
    amount = 0 if kind == "void" else 1250
    return eventually(
        lambda: found if (found := admin.order(order["id"]))["totals"][wanted] == amount else None,
        60,
    )


@pytest.mark.parametrize("name", MOVED_IN_THE_END)
@pytest.mark.parametrize("kind", ["capture", "void", "refund"])
def test_money_moves_once_whatever_the_answer(
    stage: Stage, movements: dict[str, Mapping[str, Any]], kind: str, name: str
) -> None:
    order = movements[f"{kind}-{name}"]
    moved = [each for each, _ in stage.provider.moved_of(order["id"])]
    assert moved == ["captured" if kind == "refund" else "authorized", kind]
    assert len({call.key for call in stage.provider.calls_of(order["id"], kind)}) == 1
    assert order["totals"]["pending_refunds"] == 0
    if kind == "refund":
        assert [each["status"] for each in order["refunds"]] == ["succeeded"]


@pytest.mark.parametrize("act", [says(402, {"code": "refund_failed"}), refuses(422)])
def test_a_refund_that_is_refused_is_told_and_not_begun_anew(stage: Stage, act: Act) -> None:
    admin = stage.someone("admin")
    order = admin.placed(paid(stage.provider.part(refund=[act]), capture=True))
    cancelled = admin.post(f"/v1/orders/{order['id']}/cancel").json()
    assert cancelled["status"] == "cancelled"
    (refund,) = cancelled["refunds"]
    assert refund["status"] == "failed"
    assert cancelled["totals"]["refund_due"] == 1250
    assert SECRET not in str(cancelled)
    assert len(stage.provider.calls_of(order["id"], "refund")) == 1
    again = admin.post(f"/v1/orders/{order['id']}/refunds", {"reason": "staff"})
    assert again.status_code == 201
    assert admin.order(order["id"])["totals"]["net"] == 0
    assert [each for each, _ in stage.provider.moved_of(order["id"])] == ["captured", "refund"]


@pytest.mark.parametrize("kind", ["capture", "void"])
def test_a_movement_that_is_refused_leaves_the_money_where_it_is(stage: Stage, kind: str) -> None:
    admin = stage.someone("admin")
    order = admin.placed(paid(stage.provider.part(**{kind: [refuses(422)]})))
    answer = admin.post(f"/v1/orders/{order['id']}/payments/1/{kind}", {})
    assert answer.status_code < 500
    assert admin.order(order["id"])["totals"]["authorized"] == 1250
    assert "PaymentOperationFailed" in [e["type"] for e in admin.events(order["id"])]
    again = admin.post(f"/v1/orders/{order['id']}/payments/1/{kind}", {})
    assert again.status_code in {200, 201}
    assert [each for each, _ in stage.provider.moved_of(order["id"])] == ["authorized", kind]


# -- late, and what is sent -----------------------------------------------------------------------


def test_pay_late(stage: Stage) -> None:
    caller = stage.someone()
    order = caller.placed(paid(stage.provider.part(authorize=[hangs(booked=True)])))
    assert stage.settled(caller, order["id"])["status"] == "confirmed"
    one_charge(stage, order["id"])


def test_pay_leak(stage: Stage) -> None:
    admin = stage.someone("admin")
    trace = f"00-{'a' * 31}1-{'b' * 15}1-01"
    personal = {"Cookie": "session=mine", "traceparent": trace, "baggage": "user=ada"}
    content = paid(stage.provider.part(), capture=True, note="for her eyes only")
    order = admin.place(content, headers=personal).json()
    admin.post(f"/v1/orders/{order['id']}/cancel", {}, headers=personal)
    calls = stage.provider.calls_of(order["id"])
    assert [call.kind for call in calls] == ["authorize", "refund"]
    credential = stage.cluster.data.payment_token()
    for call in calls:
        assert call.headers["Idempotency-Key"] == call.key
        assert call.headers["traceparent"].split("-")[1] == trace.split("-")[1]
        assert call.headers["Authorization"] == f"Bearer {credential}"
        assert not {"Cookie", "baggage", "X-Forwarded-For"} & {*call.headers}
        sent = f"{dict(call.headers)}{dict(call.body)}"
        assert admin.token is not None
        assert not any(word in sent for word in (admin.token, admin.subject, "session", "eyes"))
    assert {*calls[0].body} == {"reference", "amount", "currency", "method", "capture"}
    assert (calls[0].body["amount"], calls[0].body["currency"]) == (1250, "GBP")


@pytest.mark.parametrize("act", [honest, late(0.3)])
def test_an_answer_in_time_is_believed_at_once(stage: Stage, act: Act) -> None:
    order = stage.someone().placed(paid(stage.provider.part(authorize=[act])))
    assert order["status"] == "confirmed"
    assert len(stage.provider.calls_of(order["id"])) == 1
