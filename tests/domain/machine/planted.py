"""Faults that are planted in the domain to see whether the machine finds them.

Each is a patch of the running code, never of the tree. `search` says after how many runs it shows.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from orders.domain.actions import Action
from orders.domain.order import _core, _follow_ups, _shipments
from orders.domain.payments import Ledger
from orders.domain.rules import guards
from orders.domain.state import OrderState
from tests.domain.machine.order_machine import OrderMachine

MOST_RUNS: Final = 1_000
"""After which a fault counts as not found."""
ENDED: Final = ("cancelled", "expired")

Plant = Callable[[pytest.MonkeyPatch], None]


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


PLANTS: Final[tuple[Plant, ...]] = (
    late_money_is_ignored,
    pending_refunds_are_forgotten,
    cancelling_unwinds_nothing,
    cancelled_units_can_be_packed,
    completes_while_unsettled,
)


class Planted(NamedTuple):
    """A fault, the runs after which it was found (0: never), and the rule that was broken."""

    name: str
    runs: int
    rule: str


def name_of(plant: Plant) -> str:
    """The fault in words."""
    return plant.__name__.replace("_", " ")


def search(plant: Plant) -> Planted:
    """Run orders until one breaks a rule."""

    class Faulty(OrderMachine):
        pass

    limits = settings(
        max_examples=MOST_RUNS,
        stateful_step_count=40,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    with pytest.MonkeyPatch.context() as patch:
        plant(patch)
        try:
            run_state_machine_as_test(seed(1)(Faulty), settings=limits)
        except AssertionError as found:
            return Planted(name_of(plant), Faulty.runs, str(found).partition("\n")[0])
    return Planted(name_of(plant), 0, "")
