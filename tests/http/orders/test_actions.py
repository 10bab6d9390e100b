"""The list of actions says beforehand what a command is then refused for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from orders.domain.actions import Action
from orders.domain.lifecycle import OrderStatus
from orders.domain.lines import DraftLine
from orders.domain.order.order import Order
from orders.domain.order.storing import restore
from orders.domain.payments import PaymentTerms, TermsKind
from tests.support.api import Api, assert_problem
from tests.support.api_commands import (
    BODIES,
    BY_ACTION,
    carry_out,
    credit,
    hold,
    in_flight,
    prepared,
    units,
    voiding,
)
from tests.support.orders import (
    a_placed_order,
    an_order_ready_for,
    an_order_that_is,
    an_order_with_every_part,
    an_order_with_late_money,
    authorize,
    pack,
    record_payment,
    return_units,
    send,
    take,
)
from tests.support.orders import deliver as deliver_units


def _of_pens(units: int) -> Order:
    line = DraftLine(sku="PEN", name="Pen", quantity=units, unit_price=1_000)
    return a_placed_order(lines=(line,))


ORDERS: dict[str, Callable[[], Order]] = {
    **{status.value: partial(an_order_that_is, status) for status in OrderStatus},
    "one line": lambda: _of_pens(3),
    "one unit": lambda: _of_pens(1),
    "held": lambda: prepared(hold),
    "in flight": lambda: prepared(in_flight),
    "voiding": lambda: prepared(authorize, voiding),
    "paid": lambda: prepared(take),
    "credited": lambda: prepared(take, credit),
    "packed": lambda: prepared(authorize, pack),
    "held and packed": lambda: prepared(authorize, pack, hold),
    "sent": lambda: prepared(authorize, send),
    "delivered": lambda: prepared(authorize, deliver_units),
    "return requested": lambda: prepared(take, deliver_units, return_units),
    "every part": an_order_with_every_part,
    "paid elsewhere": lambda: prepared(record_payment),
    "terms": lambda: a_placed_order(terms=PaymentTerms(kind=TermsKind.ON_DELIVERY)),
    "late money": lambda: an_order_with_late_money(OrderStatus.CANCELLED),
}


@pytest.mark.parametrize("name", ORDERS)
async def test_actions_tells_exactly_what_a_command_is_then_refused_for(
    api: Api, name: str
) -> None:
    path = await api.keep(restore(ORDERS[name]().state))

    actions = (await api.get(f"{path}/actions", who="root")).json()["items"]

    assert {action["action"] for action in actions} == {*BY_ACTION, *OF_THEIR_OWN}
    for possible in actions:
        action, limits = possible["action"], possible["limits"]
        if action in OF_THEIR_OWN:
            continue
        part = next((limits[kind][0] for kind in PARTS if limits.get(kind)), "1")
        answer = await carry_out(
            api, path, action, part=part, body=_body(action, limits), dry_run=True
        )
        assert possible["allowed"] is (possible["blocked_by"] == [])
        assert possible["allowed"] is (answer.status_code == 200), (possible, answer.text)
        if possible["blocked_by"] not in ([], ["nothing-to-do"]):
            assert answer.json()["blocked_by"] == possible["blocked_by"]


PARTS = ("payments", "holds", "shipments", "returns", "changes", "credits")
OF_THEIR_OWN = {"edit", "propose_change", "correct_shipment"}
"""Commands that are no rows of `commands`."""


def _body(action: str, limits: dict[str, Any]) -> dict[str, Any] | None:
    """A body that goes up to the first limit, without asking for the last live unit."""
    if action == "grant_credit":
        if "amount" in limits:
            return {"amount": limits["amount"] or 1, "reason": "goodwill"}
        line_id, most = next(iter(limits["items"].items()))
        return {"amount": 0, "reason": "lost", "line_id": line_id, "undeliverable": most}
    if "items" in limits:
        line_id, most = next(iter(limits["items"].items()), ("1", 1))
        return {"items": [{"line_id": line_id, "quantity": most}]}
    if action == "pay":
        return {"method": "tok_ok", "amount": limits["amount"] or 1}
    if action in {"record_payment", "record_refund", "write_off"}:
        return {**BODIES[action], "amount": limits["amount"] or 1}
    if action == "refund" and limits["amount"]:
        return {"amount": limits["amount"]}
    return BODIES.get(action)


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("pay", lambda most: {"method": "tok_ok", "amount": most["amount"]}),
        ("grant_credit", lambda most: {"amount": most["amount"], "reason": "goodwill"}),
        ("refund", lambda most: {"amount": most["amount"]}),
        ("record_refund", lambda most: {**BODIES["record_refund"], "amount": most["amount"]}),
        ("write_off", lambda most: {**BODIES["write_off"], "amount": most["amount"]}),
        ("capture", lambda most: {"amount": most["amount"]}),
        ("create_shipment", lambda most: units("1", most["items"]["1"])),
        ("cancel_items", lambda most: units("1", most["items"]["1"])),
        ("request_return", lambda most: units("1", most["items"]["1"])),
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
        "customer-1": {
            "edit",
            "propose_change",
            "decline_change",
            "cancel",
            "cancel_items",
            "pay",
            "request_return",
        },
        "wes": {
            "create_shipment",
            "record_late_shipment",
            "correct_shipment",
            "dispatch",
            "deliver",
            "fail_delivery",
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
            "dismiss_payment",
            "refund",
            "grant_credit",
            "record_payment",
            "record_refund",
            "write_off",
            "revoke_credit",
        },
        "art": set(),
    }
    assert_problem(await api.get(f"{path}/actions", who="bob"), 404, "order-not-found")


async def test_actions_names_no_command_on_an_order_that_is_only_there_to_be_seen(
    api: Api,
) -> None:
    order, own = await api.placed(), await api.placed(who="peer")

    async def named(order_id: str) -> set[str]:
        actions = (await api.get(f"/orders/{order_id}/actions", who="peer")).json()["items"]
        return {action["action"] for action in actions}

    answer = await api.post(f"/orders/{order['id']}/cancel", who="peer")
    assert_problem(answer, 404, "order-not-found")
    assert await named(order["id"]) == set()
    assert "cancel" in await named(own["id"])
