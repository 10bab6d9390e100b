"""Every command, draft and part of one refuses values of a wrong kind, and changes nothing.

The cases are made from the signatures: a command or a parameter that is added is tried as well.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from datetime import date, datetime
from functools import partial
from types import NoneType, UnionType
from typing import Any, Final, get_args, get_origin, get_type_hints

import pytest

from orders.domain import (
    TRANSITIONS,
    Action,
    Actor,
    Address,
    Billing,
    BillingAddress,
    Confirmation,
    Contact,
    DraftLine,
    InvalidValue,
    Items,
    ManualPayment,
    Money,
    Order,
    OrderDraft,
    OrderId,
    OrderLimits,
    PaymentReport,
    PaymentTerms,
    ProcessedRequest,
    ProviderStatus,
    Shipping,
    ShippingChange,
    TaxRounding,
    quote,
)
from orders.domain.order.order import Unchanged
from tests.support.orders import (
    ADDRESS,
    CUSTOMER,
    NOW,
    STAFF,
    a_draft,
    a_placed_order,
    a_report,
    an_order_id,
    an_order_ready_for,
    carry_out,
)

NAIVE: Final = datetime(2026, 3, 1)  # noqa: DTZ001 - what is refused
A_LINE: Final = DraftLine(sku="PEN", name="Pen", quantity=1, unit_price=100)
BILLED_TO: Final = BillingAddress(name="Ada", line1="9 Inn Row", city="Cork", country="IE")
NOT_WHOLE: Final = (1.5, 1.0, True, "1", math.nan, math.inf)
WRONG: Final[Mapping[Any, Sequence[object]]] = {
    int: NOT_WHOLE,
    str: (7, 1.5, True, b"text", ["text"], ("a", "b")),
    bool: (1, 0, "yes"),
    datetime: (NAIVE, "2026-03-01T12:00:00Z", 1_772_366_400, date(2026, 3, 1)),
    Items: (
        *(7, "1", ["1"], {}, {7: 1}, {None: 1}, {"1": 0}, {"1": -1}, {"1": None}),
        *({"1": number} for number in NOT_WHOLE),
    ),
    Mapping[str, str]: (7, "text", ["a"], {"a": 7}, {"a": None}, {7: "a"}, {"a": True}),
    Sequence[DraftLine]: (7, "text", {"1": A_LINE}, [None], ["PEN"], (A_LINE, 7)),
    tuple[DraftLine, ...]: (7, "text", {"1": A_LINE}, [None], ["PEN"], (A_LINE, 7), ()),
    Actor: ("ada", 7),
    Address: ("1 Mill Lane", {"name": "Ada"}),
    Shipping: ("express", 7, ADDRESS),
    Contact: ("ada@shop.example", 7, {"email": "ada@shop.example"}),
    Billing: ("DE123", 7, BILLED_TO, {"company": "Quill"}),
    BillingAddress: (ADDRESS, "9 Inn Row", {"name": "Ada"}),
    Mapping[str, Mapping[str, str] | None]: (
        *(7, "1", ["1"], {7: {}}, {None: {}}, {"1": 7}, {"1": "a"}, {"1": ["a"]}, {"1": {"a": 7}}),
        *({"1": {7: "a"}}, {"1": {"a": None}}, {"1": ()}),
    ),
    ShippingChange: ("express", 7, {"method": "express"}),
    tuple[str, ...]: (
        7,
        "address",
        {"address": 1},
        ["Not a code"],
        (None,),
        ("a", "a"),
        ("a",) * 21,
    ),
    Confirmation: ("manual", 7, True),
    OrderId: ("018e0000-0000-8000-8000-0123456789ab", 7),
    OrderDraft: ({}, "draft", A_LINE),
    ManualPayment: ({}, "cash", 7),
    PaymentTerms: ({}, "invoice", 7),
    TaxRounding: ("line", 7),
    PaymentReport: ({}, "captured", 7),
    ProcessedRequest: ({}, "key", 7),
}
NOT_A_VALUE: Final = (NoneType, Unchanged)
"""What a parameter may hold beside its value."""


class Recorder:
    """Takes a command in place of an order, and keeps what it was called with."""

    def __init__(self) -> None:
        self.name = ""
        self.arguments: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Callable[..., None]:
        def command(*args: Any, **kwargs: Any) -> None:
            bound = inspect.signature(getattr(Order, name)).bind(None, *args, **kwargs)
            self.name, self.arguments = name, bound.arguments
            del bound.arguments["self"]

        return command


def by_command() -> Iterator[tuple[str, Callable[[], Order], dict[str, Any]]]:
    """Each command's name, an order that it is allowed for, and arguments that fit."""
    for action in Action:
        status = next(status for status, allowed in TRANSITIONS if allowed is action)
        recorder = Recorder()
        carry_out(recorder, action)  # type: ignore[arg-type]
        yield (
            recorder.name,
            partial(an_order_ready_for, action, status),
            recorder.arguments,
        )
    order = a_started_payment()
    key = order.state.ledger.operations[0].key
    report = a_report(order, ProviderStatus.CAPTURED)
    facts: dict[str, dict[str, Any]] = {
        "record_payment_report": {"report": report, "payment_id": "1", "now": NOW},
        "record_operation_result": {"key": key, "report": report, "now": NOW},
        "record_operation_failure": {"key": key, "failure_code": "refused", "now": NOW},
        "record_unknown_outcome": {"key": key, "now": NOW},
        "record_not_attempted": {"key": key, "now": NOW},
        "find_request": {"key": "k"},
        "record_request": {"request": ProcessedRequest(key="k", fingerprint="f", answered_at=NOW)},
    }
    for name, arguments in facts.items():
        yield name, a_started_payment, arguments


def a_started_payment() -> Order:
    order = a_placed_order()
    order.start_payment("tok_ok", by=CUSTOMER, now=NOW)
    return order


COMMANDS: Final = {name: (build, arguments) for name, build, arguments in by_command()}


def values_for(hint: Any) -> Sequence[object]:
    """Values of every wrong kind for a parameter or a field."""
    is_union = get_origin(hint) is UnionType or type(hint).__name__ == "_UnionGenericAlias"
    kinds = get_args(hint) if is_union else (hint,)
    (kind,) = (each for each in kinds if each not in NOT_A_VALUE)
    return WRONG[kind] if NoneType in kinds else (*WRONG[kind], None)


def parameters(function: Callable[..., object]) -> list[str]:
    hints = get_type_hints(function)
    trusted = {name for name, hint in hints.items() if hint is OrderLimits}
    return sorted(hints.keys() - trusted - {"return"})


def test_every_command_is_tried() -> None:
    public = {name for name, _ in inspect.getmembers(Order, callable) if name[0] != "_"}
    assert public - {"place"} == COMMANDS.keys()


@pytest.mark.parametrize("name", COMMANDS)
def test_the_arguments_fit_as_they_are(name: str) -> None:
    """Else a refusal would prove nothing."""
    build, arguments = COMMANDS[name]
    order = build()
    before = order.state
    getattr(order, name)(**arguments)
    assert order.state is not before or name == "find_request"


@pytest.mark.parametrize(
    ("name", "parameter"),
    [(name, each) for name in COMMANDS for each in parameters(getattr(Order, name))],
)
def test_a_command_refuses_wrong_kinds_and_changes_nothing(name: str, parameter: str) -> None:
    build, arguments = COMMANDS[name]
    order = build()
    before, events = order.state, order.new_events
    for wrong in values_for(get_type_hints(getattr(Order, name))[parameter]):
        if (name, parameter, wrong) == ("propose_change", "removed", {}):
            arguments = {**arguments, "added": ()}
        with pytest.raises(InvalidValue) as refused:
            getattr(order, name)(**{**arguments, parameter: wrong})
        assert type(refused.value) is InvalidValue, wrong
        assert order.state is before
        assert order.new_events is events


def with_field(record: Any, field: str, value: object) -> Any:
    """A record with one field that its type does not allow."""
    return replace(record, **{field: value})


PLACING: Final[dict[str, Any]] = {
    "draft": a_draft(),
    "order_id": an_order_id(),
    "number": "A-1",
    "by": CUSTOMER,
    "now": NOW,
}


@pytest.mark.parametrize("parameter", parameters(Order.place))
def test_placing_refuses_wrong_kinds(parameter: str) -> None:
    assert Order.place(**PLACING).version == 0
    hint = get_type_hints(Order.place)[parameter]
    empty = ("", " ") if str in (hint, *get_args(hint)) else ()
    for wrong in (*values_for(hint), *empty):
        with pytest.raises(InvalidValue):
            Order.place(**{**PLACING, parameter: wrong})


DRAFTED: Final[Mapping[type, Callable[[str, Any], OrderDraft]]] = {
    OrderDraft: lambda field, wrong: a_draft(**{field: wrong}),
    DraftLine: lambda field, wrong: a_draft(lines=(with_field(A_LINE, field, wrong),)),
    Shipping: lambda field, wrong: a_draft(
        shipping=with_field(Shipping(address=ADDRESS), field, wrong)
    ),
    Contact: lambda field, wrong: a_draft(contact=with_field(Contact(), field, wrong)),
    Billing: lambda field, wrong: a_draft(billing=with_field(Billing(), field, wrong)),
    BillingAddress: lambda field, wrong: a_draft(
        billing=Billing(address=with_field(BILLED_TO, field, wrong))
    ),
    Address: lambda field, wrong: a_draft(
        shipping=Shipping(address=with_field(ADDRESS, field, wrong))
    ),
}


@pytest.mark.parametrize(
    ("kind", "field"), [(kind, field.name) for kind in DRAFTED for field in fields(kind)]
)
def test_a_draft_with_wrong_kinds_is_neither_priced_nor_placed(kind: type, field: str) -> None:
    for wrong in values_for(get_type_hints(kind)[field]):
        with pytest.raises(InvalidValue):
            quote(DRAFTED[kind](field, wrong))
        with pytest.raises(InvalidValue):
            Order.place(**{**PLACING, "draft": DRAFTED[kind](field, wrong)})


@pytest.mark.parametrize(
    "field", ["sku", "name", "quantity", "unit_price", "discount", "tax", "metadata"]
)
def test_a_line_to_add_with_wrong_kinds_is_refused(field: str) -> None:
    order = a_placed_order()
    before = order.state
    for wrong in values_for(get_type_hints(DraftLine)[field]):
        with pytest.raises(InvalidValue):
            order.propose_change(
                removed={},
                added=[with_field(A_LINE, field, wrong)],
                reason="other",
                by=STAFF,
                now=NOW,
            )
    assert order.state is before


@pytest.mark.parametrize("field", ["captured", "refunded", "provider_id", "reference", "amount"])
def test_a_report_of_wrong_kinds_cannot_be_made(field: str) -> None:
    report = a_report(a_started_payment())
    wrongs = (7, "1 EUR") if field == "amount" else values_for(get_type_hints(PaymentReport)[field])
    for wrong in wrongs:
        with pytest.raises(InvalidValue):
            with_field(report, field, wrong)


def test_money_takes_whole_minor_units() -> None:
    for wrong in (*NOT_WHOLE, None):
        with pytest.raises(InvalidValue):
            Money(wrong, "EUR")  # type: ignore[arg-type]
