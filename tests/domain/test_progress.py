"""The three statuses that follow from facts, over every combination of small amounts.

Each is judged by the rules as the design words them, written here a second time, and by rows
with amounts as people would write them.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Final

import pytest

from orders.domain.identifiers import PartId
from orders.domain.lifecycle import (
    derive_fulfillment_status,
    derive_payment_status,
    derive_return_status,
    payment_status_of,
)
from orders.domain.lines import Line
from orders.domain.payments import Ledger, Payment, PaymentStatus
from orders.domain.pricing import Totals
from orders.domain.returns import Return, ReturnStatus
from tests.support.orders import NOW, items


def totals(
    *, due: int, authorized: int = 0, captured: int = 0, refunded: int = 0, charged_back: int = 0
) -> Totals:
    return Totals(
        subtotal=due,
        discount=0,
        tax=0,
        shipping=0,
        gross=due,
        due=due,
        authorized=authorized,
        captured=captured,
        refunded=refunded,
        charged_back=charged_back,
    )


def payment_status_by_the_book(
    due: int, a: int, c: int, r: int, k: int, *, p: bool, v: bool, f: bool
) -> str:
    net = c - r - k
    if c == 0 and a == 0:
        if p:
            return "pending"
        if v:
            return "voided"
        if due == 0:
            return "not_required"
        return "failed" if f else "unpaid"
    if c == 0:
        return "authorized" if a >= due else "partially_authorized"
    if k and net < due:
        return "charged_back"
    if net > due:
        return "overpaid"
    if net < due:
        return "partially_paid"
    if r or k:
        return "refunded" if due == 0 else "partially_refunded"
    return "paid"


def test_payment_status_over_every_combination() -> None:
    seen = set()
    flags = list(product((False, True), repeat=3))
    for due, a, c in product(range(4), repeat=3):
        for r, k in product(range(c + 1), repeat=2):
            for p, v, f in flags:
                expected = payment_status_by_the_book(due, a, c, r, k, p=p, v=v, f=f)
                amounts = totals(due=due, authorized=a, captured=c, refunded=r, charged_back=k)
                found = derive_payment_status(amounts, in_flight=p, voided=v, failed=f)
                assert found == expected, (due, a, c, r, k, p, v, f)
                seen.add(found)
    assert len(seen) == 13


@pytest.mark.parametrize(
    ("amounts", "status"),
    [
        (totals(due=100), "unpaid"),
        (totals(due=0), "not_required"),
        (totals(due=100, authorized=99), "partially_authorized"),
        (totals(due=100, authorized=100), "authorized"),
        (totals(due=100, authorized=60, captured=40), "partially_paid"),
        (totals(due=100, captured=100), "paid"),
        (totals(due=80, captured=100), "overpaid"),
        (totals(due=80, captured=100, refunded=20), "partially_refunded"),
        (totals(due=0, captured=100, refunded=100), "refunded"),
        (totals(due=0, captured=100), "overpaid"),
        (totals(due=100, captured=100, charged_back=100), "charged_back"),
        (totals(due=0, captured=100, charged_back=100), "refunded"),
    ],
)
def test_payment_status_of(amounts: Totals, status: str) -> None:
    assert derive_payment_status(amounts) == status


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ((), "unpaid"),
        (("pending",), "pending"),
        (("requires_action",), "pending"),
        (("review",), "pending"),
        (("declined",), "failed"),
        (("failed",), "failed"),
        (("voided",), "voided"),
        (("declined", "pending"), "pending"),
        (("declined", "voided"), "voided"),
        (("voided", "review"), "pending"),
    ],
)
def test_payment_status_of_payments_that_brought_nothing(
    statuses: tuple[str, ...], expected: str
) -> None:
    ledger = Ledger(
        payments=tuple(
            Payment(
                id=PartId(str(place)),
                amount=100,
                method=None,
                capture=False,
                created_at=NOW,
                status=PaymentStatus(status),
            )
            for place, status in enumerate(statuses)
        )
    )
    assert payment_status_of(totals(due=100), ledger) == expected


LINE: Final = Line(id=PartId("1"), sku="PEN", name="Pen", quantity=2, unit_price=1)


def possible_lines() -> list[Line]:
    """Every line of two units that the invariants allow."""
    return [
        replace(
            LINE,
            shippable=shippable,
            cancelled=cancelled,
            allocated=allocated,
            shipped=shipped,
            delivered=delivered,
            returned=returned,
            undeliverable=undeliverable,
        )
        for shippable in (True, False)
        for cancelled in range(3)
        for undeliverable in range(3 - cancelled if shippable else 1)
        for allocated in range(3 - cancelled - undeliverable if shippable else 1)
        for shipped in range(3 - cancelled - undeliverable - allocated if shippable else 1)
        for delivered in range(shipped + 1)
        for returned in range(delivered + 1)
    ]


def fulfillment_by_the_book(lines: list[Line]) -> str:
    shippable = [line for line in lines if line.shippable]
    live = sum(line.quantity - line.cancelled - line.undeliverable for line in shippable)
    shipped, delivered = (sum(getattr(x, n) for x in shippable) for n in ("shipped", "delivered"))
    if not shippable:
        return "not_required"
    if live == 0:
        return "cancelled"
    if delivered == live:
        return "delivered"
    if delivered > 0:
        return "partially_delivered"
    if shipped == live:
        return "shipped"
    if shipped > 0:
        return "partially_shipped"
    return "in_progress" if sum(line.allocated for line in shippable) > 0 else "unfulfilled"


def test_fulfillment_status_over_every_pair_of_lines() -> None:
    lines = possible_lines()
    seen = set()
    for pair in product(lines, repeat=2):
        found = derive_fulfillment_status(pair)
        assert found == fulfillment_by_the_book(list(pair)), pair
        seen.add(found)
    assert len(seen) == 8


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, "unfulfilled"),
        ({"allocated": 1}, "in_progress"),
        ({"allocated": 1, "shipped": 1}, "partially_shipped"),
        ({"shipped": 2}, "shipped"),
        ({"shipped": 2, "delivered": 1}, "partially_delivered"),
        ({"shipped": 2, "delivered": 2}, "delivered"),
        ({"cancelled": 1, "shipped": 1, "delivered": 1}, "delivered"),
        ({"shipped": 2, "delivered": 2, "returned": 2}, "delivered"),
        ({"cancelled": 2}, "cancelled"),
        ({"undeliverable": 2}, "cancelled"),
        ({"undeliverable": 1}, "unfulfilled"),
        ({"undeliverable": 1, "shipped": 1}, "shipped"),
        ({"undeliverable": 1, "shipped": 1, "delivered": 1}, "delivered"),
        ({"shippable": False}, "not_required"),
    ],
)
def test_fulfillment_status_of(changes: dict[str, int], status: str) -> None:
    assert derive_fulfillment_status([replace(LINE, **changes)]) == status  # type: ignore[arg-type]


def a_return(status: ReturnStatus) -> Return:
    return Return(id=PartId("1"), items=items(_1=1), reason="bad", created_at=NOW, status=status)


def return_status_by_the_book(lines: list[Line], returns: list[Return]) -> str:
    shippable = [line for line in lines if line.shippable]
    live = sum(line.quantity - line.cancelled - line.undeliverable for line in shippable)
    returned = sum(line.returned for line in lines)
    if returned and returned == live:
        return "returned"
    if returned:
        return "partially_returned"
    return "requested" if any(r.status in {"requested", "approved"} for r in returns) else "none"


def test_return_status_over_every_pair_of_lines_and_every_return() -> None:
    seen = set()
    for pair in product(possible_lines(), repeat=2):
        for returns in ([], *([a_return(status)] for status in ReturnStatus)):
            found = derive_return_status(pair, returns)
            assert found == return_status_by_the_book(list(pair), returns), (pair, returns)
            seen.add(found)
    assert len(seen) == 4
