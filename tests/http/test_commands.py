"""Every command of an order's life: what it does, and what it is refused for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from orders.application.access import ACCESS, Operation
from orders.domain.actions import Action
from orders.domain.lifecycle import TRANSITIONS, OrderStatus
from orders.domain.order import Order
from orders.entrypoints.http.commands import COMMANDS, Command
from tests.building import (
    a_placed_order,
    an_order_ready_for,
    an_order_that_is,
    an_order_with_every_part,
    an_order_with_late_money,
    authorize,
    pack,
    return_units,
    send,
    take,
)
from tests.building import deliver as deliver_units
from tests.http.calling import Api, assert_problem, id_of
from tests.shop import Shop

ONE_PEN = {"items": [{"line_id": "1", "quantity": 1}]}
ALL_PENS = {"items": [{"line_id": "1", "quantity": 3}]}
ALL_LAMPS = {"items": [{"line_id": "2", "quantity": 2}]}
BODIES: dict[str, dict[str, Any]] = {
    "cancel_items": ONE_PEN,
    "hold": {"reason": "address"},
    "add_note": {"text": "Called"},
    "pay": {"method": "tok_ok"},
    "grant_credit": {"amount": 1, "reason": "goodwill"},
    "create_shipment": ONE_PEN,
    "request_return": ONE_PEN,
}
BY_ACTION: dict[str, Command] = {command.operation.value: command for command in COMMANDS}
IDS = [command.operation.value for command in COMMANDS]
NEEDS_A_KNOWN_PAYMENT = {"capture", "void", "refund"}
"""Commands that the payment service refuses for a payment that only the test has made up."""


async def carry_out(api: Api, path: str, action: str, **options: Any) -> Any:
    """Send a command with the plainest body, to the first part of its kind."""
    command = BY_ACTION[action]
    return await api.post(
        path + command.path.replace("{part_id:str}", options.pop("part", "1")),
        options.pop("body", BODIES.get(action)),
        **{"who": "root", **options},
    )


async def assert_refused(
    api: Api, path: str, action: str, code: str, *also: str, **options: Any
) -> dict[str, Any]:
    """The command is refused with 409, names what blocks it, and changes nothing."""
    before = (await api.get(path, who="root")).json()
    calls = dict(api.shop.provider.calls)
    events = await api.shop.history(id_of(before))

    problem = assert_problem(await carry_out(api, path, action, **options), 409, code)

    assert problem["blocked_by"] == [code, *also]
    assert (await api.get(path, who="root")).json() == before
    assert await api.shop.history(id_of(before)) == events
    assert api.shop.provider.calls == calls
    return problem


# -- a whole life -------------------------------------------------------------------------------


RETURNED = {"items": [{"line_id": "1", "quantity": 2}], "reason": "damaged"}
JOURNEY: list[tuple[str, str, dict[str, Any] | None, dict[str, str]]] = [
    ("ada", "payments", {"method": "tok_ok"}, {"status": "confirmed"}),
    ("wes", "shipments", {**ALL_PENS, "carrier": "An Post"}, {"fulfillment_status": "in_progress"}),
    (
        "wes",
        "shipments/1/dispatch",
        {"tracking": "T-1"},
        {"fulfillment_status": "partially_shipped", "payment_status": "authorized"},
    ),
    ("fin", "payments/1/capture", {"amount": 3_500}, {"payment_status": "partially_paid"}),
    ("wes", "shipments", ALL_LAMPS, {"fulfillment_status": "partially_shipped"}),
    ("wes", "shipments/2/dispatch", None, {"fulfillment_status": "shipped"}),
    ("wes", "shipments/1/deliver", None, {"fulfillment_status": "partially_delivered"}),
    (
        "wes",
        "shipments/2/deliver",
        None,
        {"fulfillment_status": "delivered", "status": "confirmed"},
    ),
    ("fin", "payments/1/capture", None, {"status": "completed", "payment_status": "paid"}),
    ("ada", "returns", RETURNED, {"return_status": "requested", "payment_status": "paid"}),
    ("sue", "returns/1/approve", None, {"return_status": "requested"}),
    (
        "wes",
        "returns/1/receive",
        None,
        {"return_status": "partially_returned", "payment_status": "overpaid"},
    ),
    ("sue", "returns/1/close", None, {"payment_status": "overpaid"}),
    (
        "fin",
        "refunds",
        None,
        {"status": "completed", "payment_status": "partially_refunded"},
    ),
]
"""Who sends what, and how the order stands then."""


async def test_an_order_from_its_placing_to_its_refund(api: Api, shop: Shop) -> None:
    order = await api.placed(shipping={"method": "standard"})

    for who, path, body, standing in JOURNEY:
        order = await api.done(f"/orders/{order['id']}/{path}", body, who=who)
        assert {name: order[name] for name in standing} == standing, path

    totals = (await api.get(f"/orders/{order['id']}")).json()["totals"]
    assert {name: totals[name] for name in ("gross", "credits", "captured", "refunded", "net")} == {
        "gross": 4_495,
        "credits": 2_000,
        "captured": 4_495,
        "refunded": 2_000,
        "net": 2_495,
    }
    report = await shop.provider.find(f"{order['id']}:1")
    assert report is not None
    assert (report.captured, report.refunded) == (4_495, 2_000)
    assert set(shop.provider.calls.values()) == {1}
    assert await shop.history(id_of(order)) == [
        "OrderCreated",
        "PaymentStarted",
        "PaymentAuthorized",
        "OrderConfirmed",
        "ShipmentCreated",
        "OrderShipped",
        "PaymentCaptured",
        "ShipmentCreated",
        "OrderShipped",
        "OrderDelivered",
        "OrderDelivered",
        "PaymentCaptured",
        "OrderPaid",
        "OrderCompleted",
        "ReturnRequested",
        "ReturnApproved",
        "ReturnReceived",
        "CreditGranted",
        "ReturnClosed",
        "RefundRequested",
        "PaymentRefunded",
        "RefundSucceeded",
    ]


async def test_a_shipment_keeps_what_the_carrier_calls_it(api: Api) -> None:
    path = await api.keep(_prepared(authorize))
    await api.done(f"{path}/shipments", {**ONE_PEN, "carrier": "An Post", "tracking": "T-0"})

    kept = await api.done(f"{path}/shipments/1/dispatch")
    await api.done(f"{path}/shipments", {**ONE_PEN, "tracking": "T-0"})
    replaced = await api.done(f"{path}/shipments/2/dispatch", {"tracking": "T-1"})

    assert (kept["shipments"][0]["carrier"], kept["shipments"][0]["tracking"]) == (
        "An Post",
        "T-0",
    )
    assert replaced["shipments"][1]["tracking"] == "T-1"


@pytest.mark.parametrize(
    ("capture", "key", "payment_status"),
    [(False, "1:void", "voided"), (True, "refund:1", "refunded")],
)
async def test_cancelling_gives_the_money_back_once(
    api: Api, shop: Shop, capture: bool, key: str, payment_status: str
) -> None:
    order = await api.placed(payment={"method": "tok_ok", "capture": capture})
    path = f"/orders/{order['id']}"

    cancelled = await api.done(f"{path}/cancel", {"reason": "customer"}, who="ada")

    assert (cancelled["status"], cancelled["payment_status"]) == ("cancelled", payment_status)
    assert (cancelled["cancel_reason"], cancelled["totals"]["due"]) == ("customer", 0)
    assert shop.provider.calls == {f"{order['id']}:1": 1, f"{order['id']}:{key}": 1}
    await assert_refused(api, path, "cancel", "illegal-transition")


async def test_a_refund_that_the_payment_service_refuses_is_still_owed(api: Api) -> None:
    order = await api.placed(payment={"method": "tok_refund_fails", "capture": True})

    cancelled = await api.done(f"/orders/{order['id']}/cancel", {}, who="ada")

    (refund,) = cancelled["refunds"]
    assert (refund["status"], refund["failure_code"]) == ("failed", "refund_failed")
    assert cancelled["totals"]["refund_due"] == 4_000
    again = await api.done(f"/orders/{order['id']}/refunds", {"reason": "staff"}, who="fin")
    assert [refund["status"] for refund in again["refunds"]] == ["failed", "failed"]


async def test_a_hold_keeps_a_paid_order_from_being_confirmed(api: Api) -> None:
    order = await api.placed()
    path = f"/orders/{order['id']}"
    await api.done(f"{path}/holds", {"reason": "suspected-fraud"}, who="rita")
    await api.done(f"{path}/holds", {"reason": "address"}, who="sue")

    paid = await api.done(f"{path}/payments", {"method": "tok_ok"}, who="ada")
    assert (paid["status"], paid["payment_status"]) == ("pending", "authorized")
    one_left = await api.done(f"{path}/holds/1/release", who="rita")
    assert one_left["status"] == "pending"
    released = await api.done(f"{path}/holds/2/release", who="rita")
    assert released["status"] == "confirmed"
    assert all(hold["released_at"] for hold in released["holds"])


async def test_pays_in_parts(api: Api) -> None:
    order = await api.placed()
    path = f"/orders/{order['id']}/payments"

    part = await api.done(path, {"method": "tok_ok", "amount": 1_500, "capture": True}, who="ada")
    assert (part["status"], part["payment_status"]) == ("pending", "partially_paid")
    rest = await api.done(path, {"method": "tok_ok", "capture": True}, who="ada")
    assert (rest["status"], rest["payment_status"]) == ("confirmed", "paid")
    assert [payment["amount"] for payment in rest["payments"]] == [1_500, 2_500]


async def test_cancelling_units_leaves_the_rest_to_pay(api: Api) -> None:
    order = await api.placed()

    fewer = await api.done(
        f"/orders/{order['id']}/cancellations", {"items": [{"line_id": "1", "quantity": 2}]}
    )

    assert (fewer["lines"][0]["cancelled"], fewer["totals"]["due"]) == (2, 2_000)


# -- every command ------------------------------------------------------------------------------


@pytest.mark.parametrize("action", sorted({*IDS} - NEEDS_A_KNOWN_PAYMENT))
async def test_a_command_that_fits_is_taken(api: Api, action: str) -> None:
    for status in _statuses_of(action):
        path = await api.keep(an_order_ready_for(Action(action), status))

        answer = await carry_out(api, path, action)

        assert answer.status_code == BY_ACTION[action].status, answer.text
        shown = answer.json()
        # Paying confirms a pending order by itself.
        after = "confirmed" if action == "pay" else TRANSITIONS[status, Action(action)]
        assert shown["status"] == after
        assert shown["version"] > 1
        assert answer.headers["etag"] == f'"{shown["version"]}"'
        assert (await api.get(path, who="root")).json() == shown
        api.shop.stored._kept.clear()


def _statuses_of(action: str) -> list[OrderStatus]:
    return [status for status in OrderStatus if (status, Action(action)) in TRANSITIONS]


@pytest.mark.parametrize("action", IDS)
async def test_a_command_that_the_status_forbids_is_refused(api: Api, action: str) -> None:
    for status in sorted({*OrderStatus} - {*_statuses_of(action)}):
        path = await api.keep(an_order_that_is(status))
        problem = await assert_refused(api, path, action, "illegal-transition")
        assert status in problem["detail"]
        api.shop.stored._kept.clear()


@pytest.mark.parametrize("action", IDS)
async def test_a_command_on_no_order_or_anothers_looks_the_same(api: Api, action: str) -> None:
    path = await api.keep(a_placed_order())
    unknown = "/orders/00000000-0000-8000-8000-000000000000"
    before = (await api.get(path, who="root")).json()
    strangers = ["boss", "bob"] if "customer" in ACCESS[Operation(action)][1] else ["boss"]

    for who in strangers:
        theirs = assert_problem(await carry_out(api, path, action, who=who), 404, "order-not-found")
        nobodys = assert_problem(
            await carry_out(api, unknown, action, who=who), 404, "order-not-found"
        )
        assert theirs.keys() == nobodys.keys()

    assert (await api.get(path, who="root")).json() == before


@pytest.mark.parametrize("action", IDS)
async def test_a_role_without_the_command_is_refused_before_anything_is_looked_up(
    api: Api, action: str
) -> None:
    path = await api.keep(a_placed_order())
    for who in ("nobody", "art", "reader"):
        for order in (path, "/orders/00000000-0000-8000-8000-000000000000"):
            assert_problem(await carry_out(api, order, action, who=who), 403, "forbidden")


@pytest.mark.parametrize("action", IDS)
async def test_a_command_needs_a_token(api: Api, action: str) -> None:
    path = await api.keep(a_placed_order())

    assert_problem(await carry_out(api, path, action, who=None), 401, "unauthenticated")


@pytest.mark.parametrize("action", IDS)
async def test_a_dry_run_shows_what_the_command_would_do_and_does_nothing(
    api: Api, action: str
) -> None:
    for status in _statuses_of(action):
        path = await api.keep(an_order_ready_for(Action(action), status))
        before = (await api.get(path, who="root")).json()

        answer = await carry_out(api, path, action, key=None, dry_run=True)

        assert (answer.status_code, answer.json()["version"]) == (200, 1), answer.text
        assert answer.json()["status"] == TRANSITIONS[status, Action(action)]
        assert (await api.get(path, who="root")).json() == before
        assert api.shop.provider.calls == {}
        api.shop.stored._kept.clear()


async def test_a_dry_run_shows_the_order_as_it_would_be(api: Api) -> None:
    path = await api.keep(an_order_that_is(OrderStatus.CONFIRMED))

    packed = await api.done(f"{path}/shipments", ONE_PEN, dry_run=True, key=None)

    assert packed["fulfillment_status"] == "in_progress"
    assert [shipment["id"] for shipment in packed["shipments"]] == ["1"]


@pytest.mark.parametrize(
    ("action", "status"),
    [
        ("release", "pending"),
        ("capture", "confirmed"),
        ("void", "confirmed"),
        ("dispatch", "confirmed"),
        ("deliver", "confirmed"),
        ("cancel_shipment", "confirmed"),
        ("approve_return", "confirmed"),
        ("decline_return", "confirmed"),
        ("receive_return", "confirmed"),
        ("close_return", "confirmed"),
    ],
)
@pytest.mark.parametrize("part", ["2", "0", "-1", "x", "%C3%A9", "01"])
async def test_an_unknown_part_is_not_found(api: Api, action: str, status: str, part: str) -> None:
    path = await api.keep(an_order_ready_for(Action(action), OrderStatus(status)))
    before = (await api.get(path, who="root")).json()

    assert_problem(await carry_out(api, path, action, part=part), 404, "part-not-found")
    assert (await api.get(path, who="root")).json() == before


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("cancel", {"reason": "boredom"}),
        ("cancel_items", {"items": []}),
        ("cancel_items", {"items": [{"line_id": "1", "quantity": 0}]}),
        ("cancel_items", {"items": [{"line_id": "1", "quantity": -1}]}),
        ("cancel_items", {"items": [{"line_id": "1", "quantity": 1}] * 2}),
        ("cancel_items", {**ONE_PEN, "reason": "No Code"}),
        ("hold", {"reason": "a\n"}),
        ("hold", {"reason": ""}),
        ("add_note", {"text": ""}),
        ("add_note", {"text": "n" * 2_001}),
        ("add_note", {"text": "\u0000"}),
        ("pay", {"method": "4111 1111 1111 1111"}),
        ("pay", {"method": "tok_ok", "amount": 0}),
        ("pay", {"method": "tok_ok", "amount": -1}),
    ],
)
async def test_refuses_what_a_command_cannot_mean(
    api: Api, action: str, body: dict[str, Any]
) -> None:
    path = await api.keep(a_placed_order())
    before = (await api.get(path, who="root")).json()

    assert_problem(await carry_out(api, path, action, body=body), 422, "invalid-value")
    assert (await api.get(path, who="root")).json() == before
    assert api.shop.provider.calls == {}


@pytest.mark.parametrize("action", IDS)
async def test_refuses_members_it_does_not_know(api: Api, action: str) -> None:
    path = await api.keep(a_placed_order())
    body = {**BODIES.get(action, {}), "status": "completed"}

    assert_problem(await carry_out(api, path, action, body=body), 422, "invalid-body")


# -- what a command is refused for --------------------------------------------------------------


def _prepared(*steps: Callable[[Order], object]) -> Order:
    order = a_placed_order()
    for step in steps:
        step(order)
    return order


def _hold(order: Order) -> None:
    order.hold("address", by=order.new_events[0].actor, now=order.state.created_at)


def _credit(order: Order) -> None:
    order.grant_credit(1, "goodwill", by=order.new_events[0].actor, now=order.state.created_at)


def _in_flight(order: Order) -> None:
    actor, now = order.new_events[0].actor, order.state.created_at
    order.start_payment("tok_slow", by=actor, now=now)


def _voiding(order: Order) -> None:
    order.void("1", by=order.new_events[0].actor, now=order.state.created_at)


def _units(line_id: str, count: int) -> dict[str, Any]:
    return {"items": [{"line_id": line_id, "quantity": count}]}


@pytest.mark.parametrize(
    ("action", "order", "body", "blocked_by"),
    [
        ("confirm", _prepared(), None, ["payment-not-covered"]),
        ("confirm", _prepared(_hold), None, ["on-hold", "payment-not-covered"]),
        ("confirm", _prepared(_hold, take), None, ["on-hold"]),
        ("complete", _prepared(authorize), None, ["not-delivered", "not-settled", "still-open"]),
        ("complete", _prepared(take), None, ["not-delivered"]),
        ("complete", _prepared(authorize, deliver_units), None, ["not-settled", "still-open"]),
        ("cancel", _prepared(authorize, pack), None, ["already-shipped"]),
        ("cancel", _prepared(authorize, send), None, ["already-shipped"]),
        ("cancel_items", _prepared(), _units("1", 4), ["quantity-exceeds"]),
        (
            "cancel_items",
            _prepared(),
            {"items": [{"line_id": str(n + 1), "quantity": 3 - n} for n in range(3)]},
            ["use-cancel"],
        ),
        ("cancel_items", _prepared(authorize, pack), _units("1", 1), ["quantity-exceeds"]),
        ("pay", _prepared(take), {"method": "tok_ok"}, ["nothing-due"]),
        ("pay", _prepared(authorize), {"method": "tok_ok"}, ["nothing-due"]),
        ("pay", _prepared(_in_flight), {"method": "tok_ok"}, ["payment-in-flight"]),
        ("pay", _prepared(), {"method": "tok_ok", "amount": 4_301}, ["amount-exceeds-due"]),
        ("capture", _prepared(authorize), {"amount": 4_301}, ["amount-exceeds-due"]),
        ("capture", _prepared(take), None, ["illegal-step"]),
        ("void", _prepared(take), None, ["illegal-step"]),
        ("void", _prepared(authorize, _voiding), None, ["illegal-step"]),
        ("capture", _prepared(authorize, _voiding), None, ["illegal-step"]),
        ("refund", _prepared(take), None, ["amount-exceeds-refundable"]),
        ("refund", _prepared(take, _credit), {"amount": 2}, ["amount-exceeds-refundable"]),
        (
            "grant_credit",
            _prepared(take),
            {"amount": 4_301, "reason": "goodwill"},
            ["credit-exceeds"],
        ),
        ("grant_credit", _prepared(authorize), {"amount": 1, "reason": "x"}, ["credit-exceeds"]),
        ("create_shipment", _prepared(authorize), _units("1", 4), ["quantity-exceeds"]),
        ("create_shipment", _prepared(authorize), _units("3", 1), ["quantity-exceeds"]),
        ("create_shipment", _prepared(authorize, _hold), ONE_PEN, ["on-hold"]),
        ("dispatch", _prepared(authorize, pack, _hold), None, ["on-hold"]),
        ("dispatch", _prepared(authorize, send), None, ["illegal-step"]),
        ("deliver", _prepared(authorize, pack), None, ["illegal-step"]),
        ("deliver", _prepared(authorize, send, _hold), None, ["on-hold"]),
        ("cancel_shipment", _prepared(authorize, send), None, ["illegal-step"]),
        ("cancel_shipment", _prepared(authorize, pack, _hold), None, ["on-hold"]),
        ("request_return", _prepared(authorize, send), ONE_PEN, ["quantity-exceeds"]),
        ("request_return", _prepared(take, deliver_units), _units("1", 4), ["quantity-exceeds"]),
        (
            "request_return",
            _prepared(take, deliver_units, return_units),
            _units("1", 3),
            ["quantity-exceeds"],
        ),
        ("receive_return", _prepared(take, deliver_units, return_units), None, ["illegal-step"]),
        ("close_return", _prepared(take, deliver_units, return_units), None, ["illegal-step"]),
    ],
)
async def test_a_guard_refuses_by_name(
    api: Api, action: str, order: Order, body: dict[str, Any] | None, blocked_by: list[str]
) -> None:
    path = await api.keep(Order(order.state))

    await assert_refused(api, path, action, *blocked_by, body=body or BODIES.get(action))


async def test_a_capture_of_one_of_two_payments_is_bounded_by_that_payment(api: Api) -> None:
    order = _prepared(lambda order: authorize(order, 300), lambda order: authorize(order, 4_000))
    path = await api.keep(order)

    await assert_refused(api, path, "capture", "amount-exceeds-authorized", body={"amount": 301})


@pytest.mark.parametrize("status", [OrderStatus.CANCELLED, OrderStatus.EXPIRED])
async def test_late_money_can_be_refunded_by_hand_where_the_automatic_refund_failed(
    api: Api, status: OrderStatus
) -> None:
    path = await api.keep(an_order_with_late_money(status))

    answer = await carry_out(api, path, "refund")

    assert answer.status_code == 201
    assert answer.json()["refunds"][1]["amount"] == 4_300


# -- /actions says beforehand -------------------------------------------------------------------

ORDERS: dict[str, Callable[[], Order]] = {
    **{status.value: partial(an_order_that_is, status) for status in OrderStatus},
    "held": lambda: _prepared(_hold),
    "in flight": lambda: _prepared(_in_flight),
    "voiding": lambda: _prepared(authorize, _voiding),
    "paid": lambda: _prepared(take),
    "credited": lambda: _prepared(take, _credit),
    "packed": lambda: _prepared(authorize, pack),
    "held and packed": lambda: _prepared(authorize, pack, _hold),
    "sent": lambda: _prepared(authorize, send),
    "delivered": lambda: _prepared(authorize, deliver_units),
    "return requested": lambda: _prepared(take, deliver_units, return_units),
    "every part": an_order_with_every_part,
    "late money": lambda: an_order_with_late_money(OrderStatus.CANCELLED),
}


@pytest.mark.parametrize("name", ORDERS)
async def test_actions_tells_exactly_what_a_command_is_then_refused_for(
    api: Api, name: str
) -> None:
    path = await api.keep(Order(ORDERS[name]().state))

    actions = (await api.get(f"{path}/actions", who="root")).json()["items"]

    assert {action["action"] for action in actions} == {*IDS, "edit"}
    for possible in actions:
        action, limits = possible["action"], possible["limits"]
        if action == "edit":
            continue
        part = next((limits[kind][0] for kind in PARTS if limits.get(kind)), "1")
        answer = await carry_out(
            api, path, action, part=part, body=_body(action, limits), dry_run=True
        )
        assert possible["allowed"] is (possible["blocked_by"] == [])
        assert possible["allowed"] is (answer.status_code == 200), (possible, answer.text)
        if possible["blocked_by"] not in ([], ["nothing-to-do"]):
            assert answer.json()["blocked_by"] == possible["blocked_by"]


PARTS = ("payments", "holds", "shipments", "returns")


def _body(action: str, limits: dict[str, Any]) -> dict[str, Any] | None:
    """A body that goes up to the first limit, without asking for the last live unit."""
    if "items" in limits:
        line_id, most = next(iter(limits["items"].items()), ("1", 1))
        return {"items": [{"line_id": line_id, "quantity": most}]}
    if action == "grant_credit":
        return {"amount": limits["amount"] or 1, "reason": "goodwill"}
    if action == "pay":
        return {"method": "tok_ok", "amount": limits["amount"] or 1}
    if action == "refund" and limits["amount"]:
        return {"amount": limits["amount"]}
    return BODIES.get(action)


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("pay", lambda most: {"method": "tok_ok", "amount": most["amount"]}),
        ("grant_credit", lambda most: {"amount": most["amount"], "reason": "goodwill"}),
        ("refund", lambda most: {"amount": most["amount"]}),
        ("capture", lambda most: {"amount": most["amount"]}),
        ("create_shipment", lambda most: _units("1", most["items"]["1"])),
        ("cancel_items", lambda most: _units("1", most["items"]["1"])),
        ("request_return", lambda most: _units("1", most["items"]["1"])),
    ],
)
async def test_a_limit_is_taken_and_one_more_is_not(
    api: Api, action: str, body: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    status = OrderStatus.PENDING if action in {"pay", "cancel_items"} else OrderStatus.CONFIRMED
    path = await api.keep(an_order_ready_for(Action(action), status))
    actions = (await api.get(f"{path}/actions", who="root")).json()["items"]
    (possible,) = [possible for possible in actions if possible["action"] == action]
    limits = possible["limits"]
    beyond = {
        **limits,
        **{name: most + 1 for name, most in limits.items() if isinstance(most, int)},
        **({"items": {"1": limits["items"]["1"] + 1}} if "items" in limits else {}),
    }

    too_much = await carry_out(api, path, action, body=body(beyond), dry_run=True)
    most = await carry_out(api, path, action, body=body(limits), dry_run=True)

    assert too_much.status_code == 409
    assert most.status_code == 200


async def test_actions_names_only_commands_that_the_caller_may_give(api: Api) -> None:
    path = await api.keep(an_order_that_is(OrderStatus.CONFIRMED))

    names = {
        who: {
            action["action"]
            for action in (await api.get(f"{path}/actions", who=who)).json()["items"]
        }
        for who in ("customer-1", "wes", "fin", "art")
    }

    assert names == {
        "customer-1": {"edit", "cancel", "cancel_items", "pay", "request_return"},
        "wes": {
            "create_shipment",
            "dispatch",
            "deliver",
            "cancel_shipment",
            "receive_return",
            "close_return",
        },
        "fin": {
            "confirm",
            "complete",
            "add_note",
            "capture",
            "void",
            "refund",
            "grant_credit",
        },
        "art": set(),
    }
    assert_problem(await api.get(f"{path}/actions", who="bob"), 404, "order-not-found")


async def test_an_order_whose_time_is_over_can_still_be_paid_until_a_worker_ends_it(
    api: Api, shop: Shop
) -> None:
    path = await api.keep(a_placed_order())
    shop.clock.advance(timedelta(days=2))

    answer = await carry_out(api, path, "pay")

    assert answer.json()["status"] == "confirmed"
