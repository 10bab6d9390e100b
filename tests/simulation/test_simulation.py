"""Whatever the network loses, delays or doubles and whichever process dies, every promise holds;
and where the code is broken on purpose, the simulation finds it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from orders.adapters.in_memory import InMemoryOrders
from orders.application import record_payment_event
from orders.application.errors import ConcurrentUpdate
from orders.application.execute_payment_operations import ExecutePaymentOperations
from orders.application.ports import OrderRepository
from orders.application.publisher_queue import RELAY_LEASE, Relayed
from orders.application.relay_events import RelayEvents
from orders.application.update_order import Updated, update_order
from orders.domain.identifiers import OrderId
from orders.domain.money import Money
from orders.domain.order.order import Order
from orders.domain.order.storing import mark_stored, restore, write_token
from orders.domain.payments import Ledger, PaymentOperation, PaymentReport
from tests.simulation.history import run
from tests.simulation.invariants import violations
from tests.simulation.remote import RemoteStore, WatchedOrders

ROOT = Path(__file__).parents[2]
HISTORIES = 100
"""Of the real code. `make simulate` runs more."""
PLANTED_HISTORIES = 60
"""Of each fault: the first of those that the real code lives through."""


@pytest.mark.parametrize("first", range(0, HISTORIES, 50))
def test_keeps_every_promise(first: int) -> None:
    broken = {seed: violations(run(seed)) for seed in range(first, first + 50)}
    assert {seed: found for seed, found in broken.items() if found} == {}


@pytest.mark.parametrize("seed", [698, 1221, 1990])
def test_keeps_every_promise_where_it_was_once_broken(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An order was saved over another write of the version that it was read at, and undone at."""
    assert violations(run(seed)) == []
    saved_over_another_write_of_its_version(monkeypatch)
    assert violations(run(seed)) != []


def test_a_history_is_its_seed() -> None:
    """Also in another interpreter, where strings hash otherwise."""
    once, again = run(7).digest(), run(7).digest()
    code = "from tests.simulation.history import run; print(run(7).digest())"
    elsewhere = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "77"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert once == again == elsewhere.stdout.strip()
    assert once != run(8).digest()


def test_histories_are_eventful() -> None:
    """Processes die, answers are lost, and orders end in every way: else nothing was tried."""
    histories = [run(seed) for seed in range(90)]
    words = {what for history in histories for _, _, what in history.world.story}
    assert {
        "dies",
        "stalls",
        "store-unavailable",
        "has a majority",
        "undoes what no majority had",
        "find",
        "authorize",
        "capture",
        "void",
        "refund",
    } <= words
    statuses = {
        state.status
        for history in histories
        for states in history.outside.orders.written.values()
        for state, _ in states
    }
    assert statuses == {"pending", "confirmed", "completed", "cancelled", "expired"}
    repeated = sum(
        len(broker.published) - len(broker.arrived_at)
        for history in histories
        for broker in history.outside.brokers.values()
    )
    assert repeated > 0


def a_new_key_for_an_unknown_outcome(patch: pytest.MonkeyPatch) -> None:
    async def authorize(
        self: ExecutePaymentOperations,
        call: PaymentOperation,
        amount: Money,
        method: str,
        capture: bool,
    ) -> PaymentReport:
        asked_before = call.tries > 0 or call.next_attempt_at <= self._now()
        key = f"{call.key}{self._now():%H%M%S}" if asked_before else call.key
        report = await self._payments.authorize(
            reference=key, amount=amount, method=method, capture=capture
        )
        return replace(report, reference=call.key)

    patch.setattr(ExecutePaymentOperations, "_authorize", authorize)


def forgotten_before_the_confirm(patch: pytest.MonkeyPatch) -> None:
    async def relay(self: RelayEvents, *, limit: int) -> Relayed:
        claimed = await self._outbox.claim(now=self._now(), lease=RELAY_LEASE, limit=limit)
        events = [event for waiting in claimed for event in waiting.events]
        await self._log.append(events)
        for waiting in claimed:
            await self._outbox.remove({waiting.order_id: waiting.events[-1].recorded.sequence})
        for queue in self.queues:
            await queue.publish(claimed)
        return Relayed(events=len(events))

    patch.setattr(RelayEvents, "__call__", relay)


def saved_over_what_others_saved(patch: pytest.MonkeyPatch) -> None:
    async def save(self: InMemoryOrders, order: Order) -> None:
        self._keep(order, version=order.version + 1)

    patch.setattr(InMemoryOrders, "save", save)


def saved_over_another_write_of_its_version(patch: pytest.MonkeyPatch) -> None:
    async def save(self: InMemoryOrders, order: Order) -> None:
        kept = self._kept.get(order.id)
        if kept is None or kept.state.version != order.version:
            raise ConcurrentUpdate
        self._keep(order, version=order.version + 1)

    patch.setattr(InMemoryOrders, "save", save)


def refunds_not_reserved(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Ledger, "pending_refunds", lambda ledger, payment_id=None: 0)


def events_stored_in_a_second_write(patch: pytest.MonkeyPatch) -> None:
    async def write(self: RemoteStore, name: str, order: Order) -> None:
        store: WatchedOrders = self._target
        method, state, events = getattr(store, name), order.state, order.new_events

        async def add_events() -> None:
            kept = store._kept[order.id]
            kept.outbox += tuple(store._logged(state, event) for event in events)

        sent = restore(state, write_token=write_token(order))
        await self._ask(name, lambda: method(sent))
        await self._ask("add_events", add_events)
        mark_stored(order, sent.version, write_token=write_token(sent))

    patch.setattr(RemoteStore, "_write", write)


def repetitions_answered_from_the_primary_alone(patch: pytest.MonkeyPatch) -> None:
    async def get_durable(self: RemoteStore, order_id: OrderId, *, at_least: int = 1) -> Order:
        return await self.get(order_id)  # type: ignore[no-any-return]

    patch.setattr(RemoteStore, "get_durable", get_durable, raising=False)


def messages_taken_because_the_primary_knows_them(patch: pytest.MonkeyPatch) -> None:
    async def update(
        orders: OrderRepository, order_id: OrderId, decide: Callable[[Order], None]
    ) -> Updated[None]:
        primary = await orders.get(order_id)
        return await update_order(orders, order_id, decide, durable=primary)

    patch.setattr(record_payment_event, "update_order", update)


@pytest.mark.parametrize(
    ("plant", "promises"),
    [
        (a_new_key_for_an_unknown_outcome, {"I1"}),
        (forgotten_before_the_confirm, {"I4"}),
        (saved_over_what_others_saved, {"I4", "I8"}),
        (refunds_not_reserved, {"I7"}),
        (events_stored_in_a_second_write, {"I4"}),
        (repetitions_answered_from_the_primary_alone, {"I2"}),
        (messages_taken_because_the_primary_knows_them, {"I7"}),
    ],
)
def test_finds(
    plant: Callable[[pytest.MonkeyPatch], None],
    promises: set[str],
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    plant(monkeypatch)
    broken = {seed: violations(run(seed)) for seed in range(PLANTED_HISTORIES)}
    found = {seed: told for seed, told in broken.items() if told}
    assert promises <= {one.partition(" ")[0] for told in found.values() for one in told}
    record_property("histories", len(found))
    name = plant.__name__.replace("_", " ")
    with capsys.disabled():
        sys.stdout.write(f"\n{name}: in {len(found)} of {PLANTED_HISTORIES} histories ")
