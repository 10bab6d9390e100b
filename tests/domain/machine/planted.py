"""Faults that are planted in the domain to see whether the machine finds them.

Each is a patch of the running code, never of the tree. `search` says after how many runs it shows.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from orders.domain.actions import Action
from orders.domain.lines import Line
from orders.domain.money import share_of_units
from orders.domain.order import _core, _follow_ups, _manual, _returns, _shipments
from orders.domain.order._state_change import Steps, changed
from orders.domain.payments import (
    Dispute,
    DisputeStatus,
    Ledger,
    Payment,
    PaymentReport,
    details,
)
from orders.domain.pricing import Confirmation, Totals
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


def without_guard(patch: pytest.MonkeyPatch, action: Action, guard: guards.Guard) -> None:
    """An action is allowed though a rule forbids it."""
    others = tuple(each for each in guards._GUARDS[action] if each is not guard)
    patch.setattr(guards, "_GUARDS", {**guards._GUARDS, action: others})


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
    without_guard(patch, Action.COMPLETE, guards._settled)


def a_won_dispute_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Dispute, "charged_back", property(lambda dispute: dispute.amount))


def a_lost_dispute_counts_as_won(patch: pytest.MonkeyPatch) -> None:
    def charged_back(dispute: Dispute) -> int:
        return dispute.amount if dispute.status is DisputeStatus.OPEN else 0

    patch.setattr(Dispute, "charged_back", property(charged_back))


def a_late_refund_failure_is_ignored(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(details, "_failures", lambda report: ())
    patch.setattr(PaymentReport, "failed_amount", property(lambda report: 0))


def a_refund_made_elsewhere_is_asked_for_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_core, "with_refunds_elsewhere_credited", lambda before, change, now: change)


def the_tax_of_a_part_is_rounded_anew(patch: pytest.MonkeyPatch) -> None:
    def tax_of(line: Line, units: int) -> int:
        if line.tax_rule is None or line.tax_rule.rate is None:
            return share_of_units(line.tax, units=units, of=line.quantity)
        return units * line.tax_rule.tax_on(line.price_of(1))

    patch.setattr(Line, "tax_of", tax_of)


def included_tax_is_added_again(patch: pytest.MonkeyPatch) -> None:
    def value_of(line: Line, units: int) -> int:
        return line.price_of(units) + line.tax_of(units)

    patch.setattr(Line, "value_of", value_of)


def a_credit_exceeds_what_the_order_costs(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Totals, "creditable", property(lambda totals: totals.gross))


def a_write_off_is_not_bounded(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_manual, "uncollected", lambda state: state.totals.creditable)


def a_manual_payment_is_refunded_by_the_payment_service(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Ledger, "refundable", Ledger.held)


def what_lost_its_cover_is_sent(patch: pytest.MonkeyPatch) -> None:
    without_guard(patch, Action.DISPATCH, guards._covered)


def a_recorded_refund_is_not_counted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Payment, "total_refunded", property(lambda payment: payment.refunded))


def a_credit_exceeds_its_line(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        _returns,
        "creditable_by_line",
        lambda state: {line.id: state.totals.creditable for line in state.lines},
    )


def a_failed_parcel_keeps_its_units(patch: pytest.MonkeyPatch) -> None:
    fail_delivery = _shipments.fail_delivery

    def fail(state: OrderState, shipment_id: str, reason: str, now: datetime) -> Steps[None]:
        for change in fail_delivery(state, shipment_id, reason, now):
            yield changed(*change.events, shipments=change.fields["shipments"])

    patch.setattr(_shipments, "fail_delivery", fail)


def a_parcel_is_worth_its_units_alone(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        _shipments,
        "_value_of",
        lambda state, items: sum(line.value_of(items.get(line.id, 0)) for line in state.lines),
    )


def an_order_for_staff_confirms_itself(patch: pytest.MonkeyPatch) -> None:
    follow_ups = _follow_ups.follow_ups

    def as_if_automatic(before: OrderState, state: OrderState, now: datetime) -> Steps[None]:
        return follow_ups(before, replace(state, confirmation=Confirmation.AUTOMATIC), now)

    patch.setattr(_core, "follow_ups", as_if_automatic)


QUICK: Final[tuple[Plant, ...]] = (
    pending_refunds_are_forgotten,
    cancelling_unwinds_nothing,
    a_won_dispute_is_forgotten,
    a_late_refund_failure_is_ignored,
    a_refund_made_elsewhere_is_asked_for_again,
    the_tax_of_a_part_is_rounded_anew,
    included_tax_is_added_again,
    a_credit_exceeds_what_the_order_costs,
    a_write_off_is_not_bounded,
    a_manual_payment_is_refunded_by_the_payment_service,
    a_recorded_refund_is_not_counted,
)
"""Found within a second."""
PLANTS: Final[tuple[Plant, ...]] = (
    *QUICK,
    late_money_is_ignored,
    cancelled_units_can_be_packed,
    completes_while_unsettled,
    a_lost_dispute_counts_as_won,
    what_lost_its_cover_is_sent,
    a_credit_exceeds_its_line,
    a_failed_parcel_keeps_its_units,
    a_parcel_is_worth_its_units_alone,
    an_order_for_staff_confirms_itself,
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
            return Planted(name_of(plant), Faulty.runs, re.split("[:\n]", str(found))[0])
    return Planted(name_of(plant), 0, "")
