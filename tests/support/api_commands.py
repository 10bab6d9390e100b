"""Sending commands with plain bodies to orders that are prepared for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from orders.domain.order.order import Order
from orders.entrypoints.http.routes.commands import COMMANDS, Command
from tests.support.api import Api, assert_problem, id_of
from tests.support.orders import a_placed_order, return_units

ONE_PEN = {"items": [{"line_id": "1", "quantity": 1}]}
BODIES: dict[str, dict[str, Any]] = {
    "cancel_items": ONE_PEN,
    "propose_change": {**ONE_PEN, "reason": "other"},
    "hold": {"reason": "address"},
    "assign_customer": {"customer_id": "ada"},
    "add_note": {"text": "Called"},
    "pay": {"method": "tok_ok"},
    "record_payment": {"amount": 1, "manual": {"method": "cash"}},
    "record_refund": {"amount": 1, "recorded": True, "reference": "BANK-7"},
    "grant_credit": {"amount": 1, "reason": "goodwill"},
    "write_off": {"amount": 1, "reason": "write-off"},
    "create_shipment": ONE_PEN,
    "record_late_shipment": ONE_PEN,
    "fail_delivery": {"reason": "lost"},
    "request_return": ONE_PEN,
}
BY_ACTION: dict[str, Command[Any]] = {command.operation.value: command for command in COMMANDS}
BY_BODY = {"record_payment": "pay", "record_refund": "refund", "write_off": "grant_credit"}
"""Operations that the path of another asks for, with another body."""
BY_ACTION |= {name: BY_ACTION[other] for name, other in BY_BODY.items()}
IDS = [*BY_ACTION]


async def carry_out(api: Api, path: str, action: str, **options: Any) -> Any:
    """Send a command with the plainest body, to the first part of its kind."""
    command = BY_ACTION[action]
    if command.needs_version:
        options.setdefault("headers", {"If-Match": "*"})
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


def prepared(*steps: Callable[[Order], object]) -> Order:
    """An order of 4,300 that some steps were taken with."""
    order = a_placed_order()
    for step in steps:
        step(order)
    return order


def hold(order: Order) -> None:
    """Hold it back."""
    order.hold("address", by=order.new_events[0].actor, now=order.state.created_at)


def credit(order: Order) -> None:
    """Let the customer owe 1 less."""
    order.grant_credit(1, "goodwill", by=order.new_events[0].actor, now=order.state.created_at)


def pay_out(order: Order) -> None:
    """Begin to refund what is owed."""
    order.refund(reason="x", by=order.new_events[0].actor, now=order.state.created_at)


def approved_return(order: Order) -> None:
    """Let the customer send one pen back."""
    return_units(order, "approve")


def in_flight(order: Order) -> None:
    """Begin a payment of unknown outcome."""
    actor, now = order.new_events[0].actor, order.state.created_at
    order.start_payment("tok_slow", by=actor, now=now)


def voiding(order: Order) -> None:
    """Begin to give the first payment back."""
    order.void("1", by=order.new_events[0].actor, now=order.state.created_at)


def units(line_id: str, count: int) -> dict[str, Any]:
    """A body about so many units of a line."""
    return {"items": [{"line_id": line_id, "quantity": count}]}
