"""Each promise that an order's evidence breaks is found, and by its number."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.client import Reply
from tests.chaos.client_journeys import Case
from tests.chaos.deliveries import Delivery
from tests.chaos.invariants import Evidence, feed_violations, strangers, violations

TOTAL = 2 * 1250 + 199
HEALTHY_AT = 1_000.0

Json = dict[str, Any]


def a_case(**changed: Any) -> Case:
    case = Case("key", "tok_ok", capture=True, units=2, point="C6")
    case.placed, case.done = Reply(201, {"id": str(case.order_id)}), True
    for name, value in changed.items():
        setattr(case, name, value)
    return case


def an_event(case: Case, sequence: int, kind: str, status: str, **after: int) -> Json:
    return {
        "id": f"{case.order_id}:{sequence}",
        "type": kind,
        "sequence": sequence,
        "data": {
            "after": {
                "status": status,
                "captured": 0,
                "refunded": 0,
                "charged_back": 0,
                "authorized": 0,
            }
            | after
        },
    }


def a_delivery(event: Json, case: Case, at: float = HEALTHY_AT + 1) -> Delivery:
    raw = json.dumps(event).encode()
    return Delivery(event["id"], str(case.order_id), event["sequence"], raw, at, event)


def kept(**changed: Any) -> Evidence:
    """A paid order to which every promise was kept."""
    case = a_case()
    own = str(case.order_id)
    order = {
        "id": own,
        "version": 3,
        "status": "confirmed",
        "payment_status": "paid",
        "payments": [{"id": "1", "status": "captured"}],
        "refunds": [],
        "totals": {
            "captured": TOTAL, "refunded": 0, "charged_back": 0, "authorized": 0,
            "due": TOTAL, "refund_due": 0,
        },
    }  # fmt: skip
    account = {
        "reference": f"{own}:1", "status": "captured", "amount": TOTAL, "captured": TOTAL,
        "refunded": 0, "released": 0, "charged_back": 0,
    }  # fmt: skip
    timeline = [
        an_event(case, 1, "OrderCreated", "pending"),
        an_event(case, 2, "PaymentStarted", "pending"),
        an_event(case, 3, "OrderConfirmed", "confirmed", captured=TOTAL),
    ]
    evidence = Evidence(
        case=case,
        shown={"api-0": order, "api-1": copy.deepcopy(order)},
        listed=[own],
        timeline=timeline,
        deliveries=[a_delivery(event, case) for event in timeline],
        accounts=[account],
        calls={f"{own}:1": 2},
        healthy_at=HEALTHY_AT,
    )
    return replace(evidence, **changed)


def test_nothing_is_found_where_every_promise_was_kept() -> None:
    assert violations(kept()) == []


def test_a_repeated_delivery_breaks_no_promise() -> None:
    evidence = kept()
    repeated = [*evidence.deliveries, evidence.deliveries[0]]
    assert violations(replace(evidence, deliveries=repeated)) == []


def _charged_twice(evidence: Evidence) -> Evidence:
    again = evidence.accounts[0] | {"reference": f"{evidence.case.order_id}:1045"}
    return replace(evidence, accounts=[*evidence.accounts, again])


def _another_key(evidence: Evidence) -> Evidence:
    return replace(evidence, calls={**evidence.calls, f"{evidence.case.order_id}:1045": 1})


def _gone(evidence: Evidence) -> Evidence:
    return replace(evidence, shown={})


def _lost(evidence: Evidence) -> Evidence:
    return replace(evidence, deliveries=evidence.deliveries[:-1])


def _of_nothing(evidence: Evidence) -> Evidence:
    strange = an_event(evidence.case, 4, "OrderCancelled", "cancelled")
    return replace(evidence, deliveries=[*evidence.deliveries, a_delivery(strange, evidence.case)])


def _late(evidence: Evidence) -> Evidence:
    last = evidence.deliveries[-1]
    return replace(
        evidence, deliveries=[*evidence.deliveries[:-1], replace(last, at=HEALTHY_AT + 61)]
    )


def _untold(evidence: Evidence) -> Evidence:
    return replace(evidence, timeline=evidence.timeline[:-1], deliveries=evidence.deliveries[:-1])


def _overtaken(evidence: Evidence) -> Evidence:
    first, second, third = evidence.deliveries
    return replace(evidence, deliveries=[first, third, second])


def _in_two_forms(evidence: Evidence) -> Evidence:
    changed = replace(evidence.deliveries[0], raw=b"{}")
    return replace(evidence, deliveries=[*evidence.deliveries, changed])


def _shown(evidence: Evidence, **changed: Any) -> Evidence:
    shown = {name: order | changed for name, order in evidence.shown.items()}
    return replace(evidence, shown=shown)


def _stuck(evidence: Evidence) -> Evidence:
    return _shown(evidence, payments=[{"id": "1", "status": "pending"}])


def _unpaid(evidence: Evidence) -> Evidence:
    return _shown(evidence, payment_status="failed")


def _unanswered(evidence: Evidence) -> Evidence:
    return replace(evidence, case=a_case(done=False))


def _two_orders(evidence: Evidence) -> Evidence:
    return replace(evidence, listed=[*evidence.listed, "another"])


def _other_amount(evidence: Evidence) -> Evidence:
    return replace(evidence, accounts=[evidence.accounts[0] | {"refunded": 100}])


def _kept_though_cancelled(evidence: Evidence) -> Evidence:
    return _shown(evidence, status="cancelled")


def _stale_replica(evidence: Evidence) -> Evidence:
    older = evidence.shown["api-0"] | {"version": 2}
    return replace(evidence, shown={**evidence.shown, "api-0": older})


@pytest.mark.parametrize(
    ("breaks", "promise"),
    [
        (_charged_twice, "I1"),
        (_another_key, "I1"),
        (_gone, "I2"),
        (_lost, "I3"),
        (_of_nothing, "I3"),
        (_late, "I3"),
        (_untold, "I3"),
        (_overtaken, "I4"),
        (_in_two_forms, "I4"),
        (_stuck, "I5"),
        (_unpaid, "I5"),
        (_unanswered, "I5"),
        (_two_orders, "I6"),
        (_other_amount, "I7"),
        (_kept_though_cancelled, "I7"),
        (_stale_replica, "I8"),
    ],
)
def test_finds(breaks: Callable[[Evidence], Evidence], promise: str) -> None:
    found = violations(breaks(kept()))
    assert promise in {text.partition(" ")[0] for text in found}


def test_finds_a_charge_without_an_order() -> None:
    ledger = {"payments": [{"reference": "somebody:1"}]}
    assert [*strangers(ledger, [a_case()])] == ["I1 charged without an order: somebody:1"]


@pytest.mark.parametrize(
    ("feed", "delivered"),
    [
        ([(1, "a"), (3, "b")], {"a", "b"}),
        ([(1, "a"), (2, "a")], {"a"}),
        ([(1, "a")], {"a", "b"}),
        ([(1, "a"), (2, "b")], {"a"}),
    ],
)
def test_finds_a_feed_with_a_gap_a_repetition_a_loss_or_a_stranger(
    feed: list[tuple[int, str]], delivered: set[str]
) -> None:
    events = [{"position": position, "id": event} for position, event in feed]
    assert [*feed_violations(events, delivered)]


def test_a_feed_of_every_event_once_is_good() -> None:
    events = [{"position": 1, "id": "a"}, {"position": 2, "id": "b"}]
    assert [*feed_violations(events, {"a", "b"})] == []
