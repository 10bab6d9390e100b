"""What the library promises to those who import it: names, few arguments, and a quick start."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import pytest

import orders.domain
from orders.domain import (
    TRANSITIONS,
    UNCHANGED,
    Action,
    Actor,
    ActorKind,
    DraftLine,
    InvalidValue,
    Order,
    OrderDraft,
    OrderStatus,
    derive_order_id,
    order_number,
)
from orders.domain.order.storing import mark_stored, restore, stored_state, write_token
from tests.domain.conftest import refusals_named_by
from tests.domain.test_wrong_kinds import Recorder
from tests.support.orders import CUSTOMER, NOW, a_placed_order, carry_out

SOURCE = Path(orders.domain.__file__).parents[2]

# Each name is a promise: one that goes or changes its meaning breaks somebody's import.
NAMES = """
Order OrderDraft DraftLine Quote quote OrderLimits Address Shipping Contact Billing BillingAddress
UNCHANGED CANCEL_REASONS FAILURE_REASONS
Actor ActorKind OrderId derive_order_id order_number read_order_number
OrderState Line Items Totals Money Ledger Hold Note Credit ProcessedRequest
Change ChangeStatus ShippingChange Confirmation
Payment PaymentStatus PaymentOperation OperationKind PaymentReport ProviderStatus
TaxLine TaxPolicy TaxRounding tax_lines_of
Refund RefundStatus Shipment ShipmentStatus Return ReturnStatus
ManualPayment ManualMethod PaymentTerms TermsKind
OrderStatus OrderPaymentStatus OrderFulfillmentStatus OrderReturnStatus
Action TRANSITIONS refusals argument_bounds OrderEvent RecordedEvent OrderSnapshot
OrderError InvalidValue ExpiryPassed CurrencyUnknown CurrencyMismatch AmountTooLarge TotalChanged
IllegalTransition IllegalStep PartNotFound TooManyParts TooManyDeclines OnHold HasCustomer
PaymentNotCovered PaymentInFlight NothingDue NotYetExpired NotDelivered NotSettled OrderNotClosed
AlreadyShipped WouldCancelWholeOrder ChangeOpen ChangeOutdated QuantityExceedsAvailable
AmountExceedsDue AmountExceedsAuthorized AmountExceedsRefundable CreditExceedsAvailable
RefundMustBeRecorded
"""

COMMANDS = """
place confirm complete expire cancel cancel_items edit assign_customer add_note hold release
propose_change apply_change decline_change start_payment capture void dismiss_payment refund
record_payment_report record_operation_result record_operation_failure record_unknown_outcome
record_payment record_refund write_off
record_not_attempted create_shipment record_late_shipment correct_shipment dispatch deliver
fail_delivery cancel_shipment grant_credit revoke_credit request_return
approve_return decline_return receive_return close_return find_request record_request
"""


def test_the_front_door_has_exactly_the_promised_names() -> None:
    assert sorted(orders.domain.__all__) == sorted(NAMES.split())
    assert all(hasattr(orders.domain, name) for name in NAMES.split())


@pytest.mark.parametrize(
    "package", [each.name for each in walk_packages(orders.domain.__path__, "orders.domain.")]
)
def test_every_module_has_the_names_that_it_promises(package: str) -> None:
    module = import_module(package)
    assert [n for n in getattr(module, "__all__", ()) if not hasattr(module, n)] == []


def test_an_order_shows_its_commands_and_nothing_of_its_store() -> None:
    public = {name for name in dir(a_placed_order()) if not name.startswith("_")}
    assert public == {
        *COMMANDS.split(),
        "id",
        "status",
        "version",
        "state",
        "new_events",
        "is_changed",
    }


def modules_after(statement: str) -> set[str]:
    code = f"import sys; sys.path.insert(0, {str(SOURCE)!r})\n{statement}\nprint(*sys.modules)"
    command = [sys.executable, "-I", "-S", "-c", code]
    return {*subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()}


def test_importing_everything_loads_little_of_the_standard_library() -> None:
    """Time differs between machines; what is loaded does not. It is what costs the time."""
    basis = modules_after(
        "import __future__, bisect, dataclasses, datetime, enum, re, typing, uuid"
    )
    loaded = modules_after("import orders.domain")
    assert {name for name in loaded - basis if not name.startswith("orders")} == set()
    assert "orders.application" not in loaded


def test_an_order_is_placed_with_few_arguments() -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    order = Order.place(
        OrderDraft(
            currency="EUR",
            lines=(DraftLine(sku="MUG", name="Mug", quantity=2, unit_price=1250),),
        ),
        order_id=derive_order_id(tenant="main", subject="ada", request_key="cart-7391"),
        number=order_number(2**60 - 1),
        by=Actor.customer("ada"),
        now=now,
    )
    assert (order.state.tenant, order.state.customer_id) == ("main", None)
    assert order.state.expires_at == now + timedelta(days=1)
    assert repr(order) == "<Order ZZZZ-ZZZZ-ZZZZG: pending, version 0, 25.00 EUR>"


@pytest.mark.parametrize("kind", ActorKind)
def test_an_actor_is_made_by_its_capacity(kind: ActorKind) -> None:
    assert getattr(Actor, kind.value)("ada") == Actor(kind, "ada")
    for subject in ("", None, 7):
        with pytest.raises(InvalidValue):
            getattr(Actor, kind.value)(subject)
    with pytest.raises(InvalidValue):
        Actor("customer", "ada")  # type: ignore[arg-type]


def test_orders_are_equal_if_their_states_are() -> None:
    order, same = a_placed_order(), a_placed_order()
    assert order == same
    assert order != order.state
    same.add_note("Rang twice", by=CUSTOMER, now=NOW)
    assert order != same
    with pytest.raises(TypeError):
        hash(order)


def test_editing_leaves_what_is_not_given() -> None:
    order = a_placed_order(note="Ring twice", external_reference="po-7", metadata={"a": "b"})
    known = order.state
    order.edit(by=CUSTOMER, now=NOW)
    order.edit(note=UNCHANGED, metadata=UNCHANGED, by=CUSTOMER, now=NOW)
    assert order.state is known
    order.edit(external_reference=None, by=CUSTOMER, now=NOW)
    left = order.state
    assert (left.note, left.external_reference, left.metadata) == ("Ring twice", None, {"a": "b"})


def test_a_store_restores_an_order_and_notes_what_it_wrote() -> None:
    order = a_placed_order()
    assert order.is_changed
    mark_stored(order, 1, write_token="first")
    again = restore(order.state, write_token="first")
    assert (again, write_token(again), again.is_changed) == (order, "first", False)
    before = again.state
    again.add_note("Rang twice", by=CUSTOMER, now=NOW)
    assert again.is_changed
    assert stored_state(again) is before
    mark_stored(again, 2, write_token="second")
    assert (again.version, again.new_events, write_token(again)) == (2, (), "second")
    assert stored_state(again) is again.state


@pytest.mark.parametrize("name", COMMANDS.split())
def test_every_command_documents_its_refusals(name: str) -> None:
    """Whether they are all of them, `conftest.py` watches in every test of this folder."""
    named = refusals_named_by(getattr(Order, name))
    assert "InvalidValue" in named
    assert named <= set(orders.domain.__all__)


@pytest.mark.parametrize("action", Action)
def test_a_command_documents_the_transitions_it_refuses(action: Action) -> None:
    """And none that it allows: an `IllegalTransition` cannot come from an action for any status."""
    recorder = Recorder()
    carry_out(recorder, action)  # type: ignore[arg-type]
    for_any = all((status, action) in TRANSITIONS for status in OrderStatus)
    named = refusals_named_by(getattr(Order, recorder.name))
    assert ("IllegalTransition" in named) is not for_any
