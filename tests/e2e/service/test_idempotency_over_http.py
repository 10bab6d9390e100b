"""Group A: a request may be repeated."""

from __future__ import annotations

import json
import time

import pytest

from tests.support.processes.service import Caller, Running, at_once, body, key, line, paid


def test_id_replay(running: Running, ada: Caller) -> None:
    k, content = key(), paid()
    first, second = (ada.place(content, with_key=k) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.content == second.content
    assert first.headers["location"] == second.headers["location"]
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    order_id = first.json()["id"]
    assert [each["id"] for each in ada.orders()] == [order_id]
    assert len(running.charges(order_id)) == 1
    assert [each["type"] for each in ada.events(order_id)].count("OrderCreated") == 1


@pytest.mark.parametrize("path", ["/v1/orders/", "//v1/orders", "/v1//orders", "/v1/%6frders"])
def test_id_replay_at_another_spelling_of_the_path(ada: Caller, path: str) -> None:
    k = key()
    first = ada.place(paid(), with_key=k)
    second = ada.post(f"{ada.running.url}{path}", paid(), with_key=k)
    assert second.status_code in {201, 404}
    if second.status_code == 201:
        assert second.json() == first.json()
    assert len(ada.orders()) == 1


def test_id_replay_of_a_spelling_of_the_same_body(ada: Caller) -> None:
    k = key()
    first = ada.place(paid(), with_key=k)
    respelled = json.dumps(dict(reversed(paid().items())), indent=3).encode()
    second = ada.place(respelled, with_key=k)
    assert second.status_code == 201
    assert second.json() == first.json()


@pytest.mark.parametrize("spelling", [str.upper, lambda order_id: order_id.replace("-", "")])
def test_id_replay_of_a_credit_at_another_spelling_of_the_order(
    ada: Caller, admin: Caller, spelling: object
) -> None:
    assert callable(spelling)
    order_id = ada.placed(paid(capture=True))["id"]
    k, credit = key(), {"amount": 100, "reason": "goodwill"}
    first = admin.post(f"/v1/orders/{order_id}/credits", credit, with_key=k)
    assert first.status_code == 201, first.text
    admin.post(f"/v1/orders/{spelling(order_id)}/credits", credit, with_key=k)
    assert ada.order(order_id)["totals"]["credits"] == 100


@pytest.mark.parametrize(
    "other",
    [line(quantity=2), paid(), body(note="x"), body(expected_total=1250), line(name="Another")],
)
def test_id_diff(running: Running, ada: Caller, other: dict[str, object]) -> None:
    k = key()
    order = ada.place(body(), with_key=k).json()
    second = ada.place(other, with_key=k)
    assert (second.status_code, second.json()["code"]) == (422, "idempotency-key-reuse")
    assert ada.orders() == [order]
    assert running.charges(order["id"]) == []


def test_id_conc(running: Running, ada: Caller) -> None:
    k, content = key(), paid()
    answers = at_once(*[lambda: ada.place(content, with_key=k)] * 50)
    assert {answer.status_code for answer in answers} <= {201, 409}
    fresh = [a for a in answers if a.status_code == 201 and "idempotency-replayed" not in a.headers]
    assert len(fresh) == 1
    assert all(a.headers["retry-after"] for a in answers if a.status_code == 409)
    (order,) = ada.orders()
    (charge,) = running.charges(order["id"])
    assert [m["kind"] for m in charge["movements"]] == ["authorization"]
    assert set(running.charge_calls(order["id"])) == {f"{order['id']}:1"}


def test_id_conc_with_many_keys_pays_once(running: Running, ada: Caller) -> None:
    order = ada.placed()
    wish = {"method": "tok_ok", "capture": True}
    answers = at_once(*[lambda: ada.post(f"/v1/orders/{order['id']}/payments", wish)] * 20)
    assert [a.status_code for a in answers].count(201) == 1
    assert {a.status_code for a in answers} == {201, 409}
    assert sum(charge["captured"] for charge in running.charges(order["id"])) == 1250


@pytest.mark.parametrize("step", ["payments", "cancel"])
def test_id_conc_with_one_key_does_a_command_once(running: Running, ada: Caller, step: str) -> None:
    order = ada.placed(body() if step == "payments" else paid(capture=True))
    wish = {"method": "tok_ok"} if step == "payments" else {}
    k = key()
    answers = at_once(
        *[lambda: ada.post(f"/v1/orders/{order['id']}/{step}", wish, with_key=k)] * 20
    )
    assert {answer.status_code for answer in answers} <= {200, 201, 409}
    (charge,) = running.charges(order["id"])
    assert len(charge["movements"]) == (1 if step == "payments" else 3)


def test_id_missing(ada: Caller) -> None:
    for content in (body(), paid()):
        answer = ada("POST", "/v1/orders", json=content)
        assert (answer.status_code, answer.json()["code"]) == (400, "idempotency-key-missing")
    assert ada.orders() == []


@pytest.mark.parametrize("path", ["payments", "refunds", "credits", "shipments", "returns"])
def test_id_missing_where_something_is_made(admin: Caller, path: str) -> None:
    order = admin.placed()
    answer = admin("POST", f"/v1/orders/{order['id']}/{path}", json={})
    assert answer.status_code in {400, 422}
    assert admin.order(order["id"])["version"] == order["version"]


@pytest.mark.parametrize(
    ("k", "status"),
    [
        ("k" * 255, 201),
        ("k" * 256, 400),
        ('"' + "k" * 255 + '"', 201),
        ('"' + "k" * 256 + '"', 400),
        ('""', 400),
        ('"k', 400),
        ("a b", 400),
        ("k\tk", 400),
    ],
)
def test_id_len(running: Running, k: str, status: int) -> None:
    assert running.someone().place(with_key=k).status_code == status


def test_id_len_bytes_beyond_ascii(ada: Caller) -> None:
    answer = ada(
        "POST",
        "/v1/orders",
        json=body(),
        headers={"Idempotency-Key": "schl\u00fcssel".encode("latin-1")},  # type: ignore[dict-item]
    )
    assert answer.status_code == 400


def test_id_quote(ada: Caller) -> None:
    k = key()
    raw = ada.place(with_key=k)
    quoted = ada.place(with_key=f'"{k}"')
    assert quoted.status_code == 201
    assert quoted.headers["idempotency-replayed"] == "true"
    assert quoted.json()["id"] == raw.json()["id"]


def test_id_user(running: Running, ada: Caller, bob: Caller) -> None:
    k, content = key(), paid(note="for ada's eyes")
    hers = ada.place(content, with_key=k).json()
    his = bob.place(content, with_key=k)
    assert his.status_code == 201
    assert "idempotency-replayed" not in his.headers
    assert his.json()["id"] != hers["id"]
    assert his.json()["customer_id"] == bob.subject
    elsewhere = running.someone(sub=ada.subject, tenant="t2").place(content, with_key=k)
    assert elsewhere.json()["id"] not in {hers["id"], his.json()["id"]}


@pytest.mark.parametrize(("subject", "k"), [("a", "bc"), ("ab", "c"), ("a1:", "bc")])
def test_id_user_and_key_do_not_run_together(running: Running, subject: str, k: str) -> None:
    unique = key()
    one = running.someone(sub=f"{unique}{subject}").place(with_key=k).json()
    other = running.someone(sub=f"{unique}{subject}{k[0]}").place(with_key=k[1:] or "x").json()
    assert one["id"] != other["id"]


def test_id_endpoint(ada: Caller) -> None:
    k = key()
    order = ada.place(paid(), with_key=k).json()
    cancelled = ada.post(f"/v1/orders/{order['id']}/cancel", {}, with_key=k)
    assert cancelled.status_code == 200
    assert cancelled.json()["status"] == "cancelled"


@pytest.mark.parametrize("wrong", [line(quantity=0), line(sku="NO-SUCH"), b"{", line(color="red")])
def test_id_fixval(ada: Caller, wrong: object) -> None:
    k = key()
    assert ada.place(wrong, with_key=k).status_code in {400, 422}
    assert ada.place(with_key=k).status_code == 201


@pytest.mark.parametrize("method", ["tok_declined", "tok_insufficient_funds"])
def test_id_declined(running: Running, ada: Caller, method: str) -> None:
    k = key()
    first, second = (ada.place(paid(method), with_key=k) for _ in range(2))
    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()
    assert (first.json()["status"], first.json()["payment_status"]) == ("pending", "failed")
    assert running.charge_calls(first.json()["id"]) == {f"{first.json()['id']}:1": 1}
    again = ada.post(f"/v1/orders/{first.json()['id']}/payments", {"method": "tok_ok"})
    assert (again.status_code, again.json()["status"]) == (201, "confirmed")


@pytest.mark.parametrize("method", ["tok_ok", "tok_slow", "tok_flaky"])
def test_id_disc(running: Running, ada: Caller, method: str) -> None:
    k, content = key(), json.dumps(paid(method)).encode()
    with running.connect() as connection:
        connection.sendall(
            f"POST /v1/orders HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ada.token}\r\n"
            f"Content-Type: application/json\r\nIdempotency-Key: {k}\r\n"
            f"Content-Length: {len(content)}\r\n\r\n".encode()
            + content
        )
    give_up_at = time.monotonic() + 15
    while (answer := ada.place(content, with_key=k)).status_code == 409:
        assert time.monotonic() < give_up_at
        time.sleep(0.1)  # what Retry-After asks of a client, in small
    assert answer.status_code == 201
    assert answer.json()["status"] == "confirmed"
    assert len(ada.orders()) == 1
    assert len(running.charges(answer.json()["id"])) == 1


def test_id_later(ada: Caller) -> None:
    k = key()
    order = ada.place(paid(), with_key=k).json()
    ada.post(f"/v1/orders/{order['id']}/cancel")
    replay = ada.place(paid(), with_key=k)
    assert replay.status_code == 201
    assert (replay.json()["id"], replay.json()["status"]) == (order["id"], "cancelled")
    assert len(ada.orders()) == 1


def test_id_get(ada: Caller) -> None:
    order = ada.placed()
    for k in ("k", "k" * 999, "a b"):
        answer = ada.get(f"/v1/orders/{order['id']}", headers={"Idempotency-Key": k})
        assert answer.json() == order


def test_a_dry_run_uses_no_key_up_and_does_nothing(running: Running, ada: Caller) -> None:
    k = key()
    trial = ada.post("/v1/orders?dry_run=true", paid(), with_key=k)
    assert trial.status_code == 200
    assert ada.orders() == []
    assert running.charges(trial.json()["id"]) == []
    real = ada.place(paid(), with_key=k)
    assert real.status_code == 201
    assert "idempotency-replayed" not in real.headers
