"""The checks of the order machine find faults: five are planted, and each is caught."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime
from typing import Final

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from orders.domain import rules as guards
from orders.domain.actions import Action
from orders.domain.operations import Ledger
from orders.domain.order import _core, _follow_ups, _shipments
from orders.domain.state import OrderState
from tests.domain.machine.order_machine import OrderMachine

ENDED: Final = ("cancelled", "expired")


def unwind_where(patch: pytest.MonkeyPatch, fits: Callable[[OrderState, OrderState], bool]) -> None:
    """Money goes back only where the states before and after a change fit."""
    for name in ("_has_to_void", "_has_to_refund"):
        decide = getattr(_follow_ups, name)

        def decided(
            before: OrderState,
            state: OrderState,
            *now: datetime,
            came: bool,
            decide: Callable[..., bool] = decide,
        ) -> bool:
            return fits(before, state) and decide(before, state, *now, came=came)

        patch.setattr(_follow_ups, name, decided)


def late_money_is_ignored(patch: pytest.MonkeyPatch) -> None:
    unwind_where(patch, lambda before, state: before.status not in ENDED)
    patch.setattr(_core, "late_payments", lambda before, ledger: ())


def pending_refunds_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Ledger, "pending_refunds", lambda ledger, payment_id=None: 0)


def cancelling_unwinds_nothing(patch: pytest.MonkeyPatch) -> None:
    unwind_where(
        patch, lambda before, state: state.status != "cancelled" or before.status == "cancelled"
    )


def cancelled_units_can_be_packed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        _shipments,
        "shippable_units",
        lambda state: {
            line.id: line.quantity - line.allocated - line.shipped
            for line in state.lines
            if line.shippable
        },
    )


def completes_while_unsettled(patch: pytest.MonkeyPatch) -> None:
    guard = guards._GUARDS[Action.COMPLETE]
    less = tuple(each for each in guard if each is not guards._settled)
    patch.setattr(guards, "_GUARDS", {**guards._GUARDS, Action.COMPLETE: less})


@pytest.mark.parametrize(
    "plant",
    [
        late_money_is_ignored,
        pending_refunds_are_forgotten,
        cancelling_unwinds_nothing,
        cancelled_units_can_be_packed,
        completes_while_unsettled,
    ],
)
def test_the_machine_finds(
    plant: Callable[[pytest.MonkeyPatch], None],
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Faulty(OrderMachine):
        runs = 0

    plant(monkeypatch)
    budget = settings(
        max_examples=500,
        stateful_step_count=40,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Faulty, settings=budget)
    record_property("examples", Faulty.runs)
    with capsys.disabled():
        sys.stdout.write(f"\n{plant.__name__.replace('_', ' ')}: in {Faulty.runs} examples ")
