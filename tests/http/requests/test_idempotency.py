"""The same request twice is one request; the same key with another request is refused."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.api import LINES, Api, assert_problem, id_of
from tests.support.shop import Shop

PAID = {"method": "tok_ok", "capture": True}
OTHER_LINES = [{**LINES[0], "quantity": 4}, LINES[1]]


@pytest.mark.parametrize("payment", [None, PAID, {"method": "tok_declined"}])
async def test_a_repetition_gets_the_first_answer_byte_by_byte(
    api: Api, shop: Shop, payment: dict[str, object] | None
) -> None:
    first = await api.place(key="k", payment=payment)
    again = await api.place(key="k", payment=payment)

    assert first.status_code == again.status_code == 201
    assert first.content == again.content
    assert first.headers["location"] == again.headers["location"]
    assert first.headers["etag"] == again.headers["etag"]
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    order_id = id_of(first.json())
    assert (await shop.history(order_id)).count("OrderCreated") == 1
    assert shop.provider.calls == ({f"{order_id}:1": 1} if payment else {})
    assert len((await api.get("/orders")).json()["items"]) == 1


async def test_the_order_of_members_and_defaults_do_not_make_another_body(api: Api) -> None:
    first = await api.post("/orders", {"currency": "EUR", "lines": list(LINES)}, key="k")
    again = await api.post(
        "/orders", {"lines": list(LINES), "metadata": {}, "note": None, "currency": "EUR"}, key="k"
    )

    assert again.content == first.content
    assert again.headers["idempotency-replayed"] == "true"


@pytest.mark.parametrize(
    "changes", [{"lines": OTHER_LINES}, {"note": "another"}, {"payment": PAID}]
)
async def test_refuses_the_key_with_another_body(
    api: Api, shop: Shop, changes: dict[str, object]
) -> None:
    order = await api.placed(key="k")

    assert_problem(await api.place(key="k", **changes), 422, "idempotency-key-reuse")
    assert (await api.get(f"/orders/{order['id']}")).json() == order
    assert await shop.history(id_of(order)) == ["OrderCreated"]
    assert shop.provider.calls == {}
    assert len((await api.get("/orders")).json()["items"]) == 1


async def test_50_at_once_are_one_order_and_one_charge(api: Api, shop: Shop) -> None:
    arrived, answered = asyncio.Event(), asyncio.Event()

    async def hold_the_answer_back(name: str) -> None:
        if name == "authorize":
            arrived.set()
            await answered.wait()

    shop.payments.after = hold_the_answer_back
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(api.place(key="k", payment=PAID)) for _ in range(50)]
        await arrived.wait()
        done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        while len(done) < 49:
            more, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            done |= more
        answered.set()

    for task in done:
        assert_problem(task.result(), 409, "idempotency-key-in-progress")
        assert task.result().headers["retry-after"] == "1"
    (creator,) = waiting
    order = creator.result().json()
    assert creator.result().status_code == 201
    assert shop.provider.calls == {f"{order['id']}:1": 1}
    assert len((await api.get("/orders")).json()["items"]) == 1
    assert (await api.place(key="k", payment=PAID)).content == creator.result().content


async def test_50_at_once_without_a_payment_are_one_order_and_49_replays(api: Api) -> None:
    answers = await asyncio.gather(*(api.place(key="k") for _ in range(50)))

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotency-replayed" in answer.headers for answer in answers) == 49


async def test_a_command_that_is_being_carried_out_is_in_progress(api: Api, shop: Shop) -> None:
    order = await api.placed(payment=PAID)
    path = f"/orders/{order['id']}/cancel"
    arrived, answered = asyncio.Event(), asyncio.Event()

    async def hold_the_answer_back(name: str) -> None:
        arrived.set()
        await answered.wait()

    shop.payments.after = hold_the_answer_back
    async with asyncio.TaskGroup() as group:
        first = group.create_task(api.post(path, {}, key="c"))
        await arrived.wait()
        assert_problem(await api.post(path, {}, key="c"), 409, "idempotency-key-in-progress")
        answered.set()

    again = await api.post(path, {}, key="c")
    assert again.content == first.result().content
    assert again.headers["idempotency-replayed"] == "true"
    assert shop.provider.calls[f"{order['id']}:refund:1"] == 1


@pytest.mark.parametrize(
    "path",
    [
        "/orders",
        "/orders/{id}/changes",
        "/orders/{id}/holds",
        "/orders/{id}/notes",
        "/orders/{id}/payments",
        "/orders/{id}/payments/1/capture",
        "/orders/{id}/refunds",
        "/orders/{id}/credits",
        "/orders/{id}/shipments",
        "/orders/{id}/returns",
    ],
)
async def test_what_creates_or_moves_money_needs_a_key(api: Api, shop: Shop, path: str) -> None:
    order = await api.placed(payment={"method": "tok_ok"})
    calls = dict(shop.provider.calls)
    bodies = {
        "orders": {"currency": "EUR", "lines": list(LINES)},
        "changes": {"items": [{"line_id": "1", "quantity": 1}], "reason": "other"},
        "holds": {"reason": "address"},
        "notes": {"text": "Called"},
        "payments": {"method": "tok_ok"},
        "credits": {"amount": 1, "reason": "goodwill"},
        "shipments": {"items": [{"line_id": "1", "quantity": 1}]},
        "returns": {"items": [{"line_id": "1", "quantity": 1}]},
    }

    answer = await api.post(
        path.format(id=order["id"]), bodies.get(path.rpartition("/")[2]), who="root", key=None
    )

    assert_problem(answer, 400, "idempotency-key-missing")
    assert (await api.get(f"/orders/{order['id']}")).json() == order
    assert shop.provider.calls == calls


@pytest.mark.parametrize("key", ["k", "k" * 255, "~!#", 'a"b', "7"])
async def test_takes_keys_of_printable_ascii(api: Api, key: str) -> None:
    assert (await api.place(key=key)).status_code == 201


@pytest.mark.parametrize(
    "key", ["", "k" * 256, "a b", "a, b", '"a", "b"', '"', '"a', '"' + "k" * 256 + '"', '""']
)
async def test_refuses_what_is_no_key(api: Api, shop: Shop, key: str) -> None:
    assert_problem(await api.place(key=key), 400, "idempotency-key-invalid")
    assert await shop.count() == 0


async def test_refuses_two_keys(api: Api, shop: Shop) -> None:
    answer = await api.client.post(
        "/v1/orders",
        json={"currency": "EUR", "lines": list(LINES)},
        headers=[
            ("Authorization", "Bearer ada"),
            ("Idempotency-Key", "a"),
            ("Idempotency-Key", "b"),
        ],
    )

    assert_problem(answer, 400, "idempotency-key-invalid")
    assert await shop.count() == 0


async def test_a_quoted_key_is_the_same_key(api: Api) -> None:
    raw = await api.place(key="k")
    quoted = await api.place(key='"k"')

    assert quoted.content == raw.content
    assert quoted.headers["idempotency-replayed"] == "true"


async def test_a_dry_run_tells_of_a_used_key(api: Api) -> None:
    """Or it would say that something can be placed which is then refused."""
    placed = await api.placed(key="k")
    again = await api.place(key="k", dry_run="true")
    assert (again.status_code, again.json()) == (200, placed)
    assert again.headers["idempotency-replayed"] == "true"
    other = await api.place(note="other", key="k", dry_run="true")
    assert_problem(other, 422, "idempotency-key-reuse")


async def test_another_users_key_is_another_key(api: Api) -> None:
    adas = await api.placed(key="k", note="for Ada only")

    bobs = await api.place(key="k", who="bob", note="for Ada only")

    assert bobs.status_code == 201
    assert "idempotency-replayed" not in bobs.headers
    assert bobs.json()["id"] != adas["id"]
    assert bobs.json()["customer_id"] == "bob"


async def test_another_tenants_key_is_another_key(api: Api) -> None:
    here = await api.placed(key="k", who="sue", lines=[{**LINES[0], "unit_price": 1}])
    there = await api.placed(key="k", who="boss", lines=[{**LINES[0], "unit_price": 1}])

    assert here["id"] != there["id"]


async def test_the_key_of_placing_may_be_used_to_cancel(api: Api) -> None:
    order = await api.placed(key="k")

    answer = await api.post(f"/orders/{order['id']}/cancel", {}, key="k")

    assert answer.status_code == 200
    assert "idempotency-replayed" not in answer.headers
    assert answer.json()["status"] == "cancelled"


async def test_a_refused_request_does_not_use_the_key_up(api: Api) -> None:
    assert_problem(await api.place(key="k", lines=[]), 422, "invalid-value")
    assert_problem(await api.place(key="k", expected_total=1), 422, "total-changed")
    assert_problem(await api.place(key="k", who=None), 401, "unauthenticated")

    answer = await api.place(key="k")

    assert answer.status_code == 201
    assert "idempotency-replayed" not in answer.headers


async def test_a_refused_command_does_not_use_the_key_up(api: Api) -> None:
    order = await api.placed(payment={"method": "tok_declined"})
    path = f"/orders/{order['id']}/shipments"
    body = {"items": [{"line_id": "1", "quantity": 1}]}
    assert_problem(await api.post(path, body, who="wes", key="k"), 409, "illegal-transition")
    await api.done(f"/orders/{order['id']}/payments", PAID)

    answer = await api.post(path, body, who="wes", key="k")

    assert answer.status_code == 201
    assert "idempotency-replayed" not in answer.headers


async def test_a_later_repetition_shows_the_order_as_it_is_by_then(api: Api) -> None:
    order = await api.placed(key="k", payment=PAID)
    await api.done(f"/orders/{order['id']}/cancel", {}, who="ada")

    again = await api.place(key="k", payment=PAID)

    assert again.status_code == 201
    assert again.headers["idempotency-replayed"] == "true"
    assert (again.json()["id"], again.json()["status"]) == (order["id"], "cancelled")
    assert len((await api.get("/orders")).json()["items"]) == 1


async def test_a_repetition_is_answered_when_prices_have_changed_or_are_away(
    api: Api, shop: Shop
) -> None:
    first = await api.place(key="k", expected_total=4_000)
    prices = shop.prices._prices["EUR"]
    dearer = {**prices, "PEN": 2_000}

    for changed in (dearer, {}):
        shop.prices._prices = {"EUR": changed}
        assert (await api.place(key="k", expected_total=4_000)).content == first.content
    shop.prices.unavailable = True
    assert (await api.place(key="k", expected_total=4_000)).content == first.content


async def test_reading_ignores_a_key(api: Api) -> None:
    order = await api.placed(key="k")

    for key in ("k", "", "a b"):
        answer = await api.get(f"/orders/{order['id']}", key=key)
        assert answer.status_code == 200
        assert "idempotency-replayed" not in answer.headers


@pytest.mark.parametrize(
    ("path", "body", "reference"),
    [
        ("payments/1/capture", {"amount": 100}, "{id}:1:capture:1"),
        ("payments", {"method": "tok_ok", "amount": 1}, "{id}:2"),
    ],
)
async def test_money_moves_once_per_key(
    api: Api, shop: Shop, path: str, body: dict[str, object], reference: str
) -> None:
    order = await api.placed(payment={"method": "tok_ok"})
    await api.done(f"/orders/{order['id']}/holds", {"reason": "address"})
    if path == "payments":
        await api.done(f"/orders/{order['id']}/payments/1/void")

    first = await api.post(f"/orders/{order['id']}/{path}", body, who="root", key="k")
    again = await api.post(f"/orders/{order['id']}/{path}", body, who="root", key="k")

    assert first.content == again.content
    assert again.headers["idempotency-replayed"] == "true"
    assert shop.provider.calls[reference.format(id=order["id"])] == 1


async def test_an_order_remembers_256_keys(api: Api) -> None:
    order = await api.placed()
    path = f"/orders/{order['id']}"
    hold = (f"{path}/holds", {"reason": "address"})
    for number in range(255):
        await api.done(*(hold if number % 2 == 0 else (f"{path}/notes", {"text": "Called"})))

    again = await api.post(*hold, who="root", key="key-2")

    assert "idempotency-replayed" in again.headers
