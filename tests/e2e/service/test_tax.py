"""Tax from outside: the parts of an order have its tax, and its payer gets the price with tax."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.processes.service import MUG, Caller, Running, body

TEA = {**MUG, "quantity": 3, "unit_price": 999, "tax_rate": "0.19"}
ONE = {"items": [{"line_id": "1", "quantity": 1}]}


def done(staff: Caller, path: str, content: object = None) -> dict[str, Any]:
    """The order after a command that is taken."""
    answer = staff.post(path, content)
    assert answer.status_code in {200, 201}, answer.text
    order: dict[str, Any] = answer.json()
    return order


def deliver(staff: Caller, path: str, shipment: int) -> None:
    """Pack, send and deliver one unit."""
    done(staff, f"{path}/shipments", ONE)
    for step in ("dispatch", "deliver"):
        done(staff, f"{path}/shipments/{shipment}/{step}")


def take_back(staff: Caller, path: str) -> dict[str, Any]:
    """Return one unit."""
    done(staff, f"{path}/returns", ONE)
    done(staff, f"{path}/returns/1/approve")
    return done(staff, f"{path}/returns/1/receive")


@pytest.mark.parametrize("currency", ["JPY", "EUR", "BHD", "CLF"])
@pytest.mark.parametrize("cancels_first", [True, False])
def test_k_tax_sum(running: Running, currency: str, cancels_first: bool) -> None:
    staff = running.someone("admin")
    placed = staff.placed(
        body(
            currency=currency,
            lines=[TEA],
            prices_include_tax=True,
            expected_total=2_997,
            payment={"method": "tok_ok", "capture": True},
        )
    )
    path = f"/v1/orders/{placed['id']}"
    assert (placed["totals"]["gross"], placed["totals"]["tax"]) == (2_997, 479)

    if cancels_first:
        done(staff, f"{path}/cancellations", ONE)
    deliver(staff, path, 1)
    returned = take_back(staff, path)
    if not cancels_first:
        done(staff, f"{path}/cancellations", ONE)
    deliver(staff, path, 2)
    done(staff, f"{path}/refunds", {})

    order = staff.order(placed["id"])
    (credit,) = order["credits"]
    assert credit["amount"] == returned["returns"][0]["credited"] == 999
    (in_credit,), (in_order,) = credit["tax_lines"], order["totals"]["tax_lines"]
    cancelled = placed["totals"]["tax"] - order["totals"]["tax"]
    kept = order["totals"]["tax"] - in_credit["tax"]
    assert (cancelled, in_credit["tax"], kept) == (160, 160, 159)
    assert in_order == {"rate": "0.19", "taxable": 1_679, "tax": 319}
    assert order["status"] == "completed"
    (charge,) = running.charges(order["id"])
    assert charge["captured"] - charge["refunded"] == order["totals"]["due"] == 999


def test_tax_on_top_is_charged_with_the_price(running: Running) -> None:
    staff = running.someone("admin")
    order = staff.placed(
        body(
            lines=[TEA, {**TEA, "quantity": 1, "tax_rate": "0.07", "discount": 99}],
            shipping={"price": 500, "tax_rate": "0.19"},
            payment={"method": "tok_ok", "capture": True},
        )
    )

    assert order["totals"]["tax_lines"] == [
        {"rate": "0.19", "taxable": 3_497, "tax": 664},
        {"rate": "0.07", "taxable": 900, "tax": 63},
    ]
    (charge,) = running.charges(order["id"])
    assert charge["captured"] == order["totals"]["gross"] == 3_497 + 664 + 963
