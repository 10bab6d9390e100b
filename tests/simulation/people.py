"""The people of a history: who places orders, and who then tells them what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from orders.application.access import Operation
from orders.application.errors import (
    ApplicationError,
    ConcurrentUpdate,
    RequestInProgress,
    StoreUnavailable,
)
from orders.application.place_order import InitialPayment
from orders.application.requests import CommandResult
from orders.domain.errors import OrderError
from orders.domain.identifiers import Actor, OrderId, PartId, derive_order_id
from orders.domain.order.order import Order
from orders.domain.payments import ManualMethod, ManualPayment, PaymentTerms, TermsKind
from orders.domain.state import OrderState
from tests.simulation.service import Outside, UseCases
from tests.simulation.world import Link, NoAnswer
from tests.support.orders import a_draft
from tests.support.shop import TENANT, a_request

METHODS = (
    *("tok_ok",) * 8,
    "tok_declined",
    "tok_timeout_booked",
    "tok_timeout_unbooked",
    "tok_flaky",
    "tok_pending",
    "tok_requires_action",
    "tok_refund_fails",
    "tok_refund_fails_late",
    "tok_disputed",
    "tok_disputed_won",
    "tok_authorization_expires",
    "tok_refunded_elsewhere",
)
TERMS = (*(None,) * 5, PaymentTerms(kind=TermsKind.ON_DELIVERY))
Tell = Callable[[Order, Actor, datetime], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledged:
    """What a client was told of an order: a promise from then on."""

    key: str
    order_id: OrderId
    version: int
    operation: str
    state: OrderState


class Client:
    """Someone who places an order, and people who then give commands on it, side by side."""

    def __init__(self, outside: Outside, name: str, told: list[Acknowledged]) -> None:
        self._outside = outside
        self._world = outside.world
        self._told = told
        self.name = name
        self.order_id = derive_order_id(tenant=TENANT, subject="sue", request_key=name)
        self._commands = 0

    async def live(self) -> None:
        """Place the order, and change it."""
        chance = self._world.chance
        method = chance.choice((*METHODS, None))
        capture = chance.random() < 0.7
        terms = chance.choice(TERMS)
        wish = InitialPayment(method=method, capture=capture) if method else None
        placing = self._insist(
            self.name,
            "place",
            lambda use: use.place_order(
                a_draft(terms=terms),
                customer_id="ada",
                payment=wish,
                request=a_request("sue", key=self.name),
            ),
        )
        people = [self._give_commands() for _ in range(chance.randint(0, 3))]
        await asyncio.gather(placing, *people)

    async def _give_commands(self) -> None:
        """Follow a plan, with something else thrown in at times; or have no plan at all."""
        chance = self._world.chance
        plan = chance.choice((*PLANS, None))
        anything = (chance.choice([*TELL]) for _ in range(chance.randint(1, 4)))
        await self._world.pause(0.0, 15.0)
        for planned in plan or anything:
            await self._world.pause(0.0, 8.0)
            operation = chance.choice([*TELL]) if chance.random() < 0.1 else planned
            # Two windows, or two people: the same command twice, each with a key of its own.
            times = chance.choice((1, 1, 2))
            await asyncio.gather(*(self._give_command(operation) for _ in range(times)))

    async def _give_command(self, operation: Operation) -> None:
        self._commands += 1
        key = f"{self.name}-command-{self._commands}"
        tell, method = TELL[operation], self._world.chance.choice(METHODS)

        def decide(order: Order, by: Actor, now: datetime) -> object:
            if operation is Operation.PAY:
                return order.start_payment(method, by=by, now=now)
            return tell(order, by, now)

        await self._insist(
            key,
            operation,
            lambda use: use.change_order(
                self.order_id, operation, decide, request=a_request("root", key=key)
            ),
        )

    async def _insist(
        self, key: str, operation: str, handle: Callable[[UseCases], Awaitable[CommandResult]]
    ) -> None:
        """Send a request with its key until there is an answer, or patience is at an end."""
        world = self._world
        for _ in range(world.chance.choice((1, 3, 10))):
            api = world.chance.choice(self._outside.apis)
            world.note(key, operation)
            try:
                answer = await api.request(Link.CLIENTS, handle)
            except (NoAnswer, RequestInProgress, ConcurrentUpdate, StoreUnavailable):
                await world.pause(0.5, 5.0)
            except (ApplicationError, OrderError) as refusal:
                world.note(key, refusal.code)
                return
            else:
                version, order_id = answer.order.version, answer.order.id
                self._told.append(
                    Acknowledged(
                        key=key,
                        order_id=order_id,
                        version=version,
                        operation=operation,
                        state=answer.order.state,
                    )
                )
                return


def _last_payment(order: Order) -> str:
    payments = order.state.ledger.payments
    return payments[-1].id if payments else "1"


def _last_shipment(order: Order) -> str:
    shipments = order.state.shipments
    return shipments[-1].id if shipments else "1"


def _pack_all(order: Order, by: Actor, now: datetime) -> None:
    left = {line.id: line.unallocated for line in order.state.lines if line.shippable}
    order.create_shipment({key: n for key, n in left.items() if n}, by=by, now=now)


def _lift(order: Order, by: Actor, now: datetime) -> None:
    holds = order.state.open_holds
    order.release(holds[0].id if holds else "1", by=by, now=now)


def _cancel_one(order: Order, by: Actor, now: datetime) -> None:
    line = "1" if order.state.lines[0].unallocated else "2"
    order.cancel_items({PartId(line): 1}, "inventory", by=by, now=now)


def _last(parts: Sequence[Any]) -> str:
    return parts[-1].id if parts else "1"


def _record_payment(order: Order, by: Actor, now: datetime) -> None:
    received = ManualPayment(method=ManualMethod.BANK_TRANSFER, received_at=now)
    order.record_payment(received, by=by, now=now)


def _return_one(order: Order, by: Actor, now: datetime) -> None:
    order.request_return({order.state.lines[0].id: 1}, "damaged", by=by, now=now)


TELL: Mapping[Operation, Tell] = {
    Operation.PAY: lambda order, by, now: None,  # with a method of its own
    Operation.CAPTURE: lambda order, by, now: order.capture(_last_payment(order), by=by, now=now),
    Operation.VOID: lambda order, by, now: order.void(_last_payment(order), by=by, now=now),
    Operation.CANCEL: lambda order, by, now: order.cancel("customer", by=by, now=now),
    Operation.CANCEL_ITEMS: _cancel_one,
    Operation.REFUND: lambda order, by, now: order.refund(reason="inventory", by=by, now=now),
    Operation.GRANT_CREDIT: lambda order, by, now: order.grant_credit(
        200, "goodwill", by=by, now=now
    ),
    Operation.REVOKE_CREDIT: lambda order, by, now: order.revoke_credit(
        _last(order.state.credits), by=by, now=now
    ),
    Operation.WRITE_OFF: lambda order, by, now: order.write_off(by=by, now=now),
    Operation.RECORD_PAYMENT: _record_payment,
    Operation.RECORD_REFUND: lambda order, by, now: order.record_refund(
        "BANK-7", reason="customer", by=by, now=now
    ),
    Operation.FAIL_DELIVERY: lambda order, by, now: order.fail_delivery(
        _last_shipment(order), "lost", by=by, now=now
    ),
    Operation.CORRECT_SHIPMENT: lambda order, by, now: order.correct_shipment(
        _last_shipment(order), tracking="1Z-7", by=by, now=now
    ),
    Operation.REQUEST_RETURN: _return_one,
    Operation.APPROVE_RETURN: lambda order, by, now: order.approve_return(
        _last(order.state.returns), by=by, now=now
    ),
    Operation.RECEIVE_RETURN: lambda order, by, now: order.receive_return(
        _last(order.state.returns), credit=100, by=by, now=now
    ),
    Operation.HOLD: lambda order, by, now: order.hold("fraud", by=by, now=now),
    Operation.RELEASE: _lift,
    Operation.CREATE_SHIPMENT: _pack_all,
    Operation.DISPATCH: lambda order, by, now: order.dispatch(
        _last_shipment(order), by=by, now=now
    ),
    Operation.DELIVER: lambda order, by, now: order.deliver(_last_shipment(order), by=by, now=now),
}
PLANS = (
    (Operation.CAPTURE, Operation.CREATE_SHIPMENT, Operation.DISPATCH, Operation.DELIVER),
    (Operation.CREATE_SHIPMENT, Operation.DISPATCH, Operation.CAPTURE, Operation.DELIVER),
    (Operation.CAPTURE, Operation.CANCEL_ITEMS, Operation.REFUND, Operation.REFUND),
    (Operation.CANCEL_ITEMS, Operation.REFUND, Operation.CANCEL_ITEMS, Operation.REFUND),
    (Operation.CANCEL_ITEMS, Operation.GRANT_CREDIT, Operation.REFUND, Operation.REFUND),
    (Operation.GRANT_CREDIT, Operation.REFUND, Operation.CANCEL_ITEMS, Operation.REFUND),
    (Operation.PAY, Operation.PAY, Operation.CANCEL),
    (Operation.CAPTURE, Operation.CANCEL),
    (Operation.HOLD, Operation.RELEASE, Operation.VOID, Operation.PAY),
    (
        *(Operation.CREATE_SHIPMENT, Operation.DISPATCH, Operation.FAIL_DELIVERY),
        *(Operation.CREATE_SHIPMENT, Operation.DISPATCH, Operation.DELIVER),
    ),
    (Operation.RECORD_PAYMENT, Operation.CREATE_SHIPMENT, Operation.DISPATCH, Operation.DELIVER),
    (
        *(Operation.CREATE_SHIPMENT, Operation.DISPATCH, Operation.DELIVER),
        *(Operation.RECORD_PAYMENT, Operation.RECORD_REFUND, Operation.WRITE_OFF),
    ),
    (
        *(Operation.CREATE_SHIPMENT, Operation.DISPATCH, Operation.CAPTURE, Operation.DELIVER),
        *(Operation.REQUEST_RETURN, Operation.APPROVE_RETURN, Operation.RECEIVE_RETURN),
        Operation.REFUND,
    ),
    (Operation.CAPTURE, Operation.GRANT_CREDIT, Operation.REVOKE_CREDIT, Operation.REFUND),
)
"""What people set out to do, in this order."""
