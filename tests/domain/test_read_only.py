"""The state of an order cannot be written, nor can anything in it: only commands change it."""

from __future__ import annotations

import copy
import operator
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import FrozenInstanceError, fields, is_dataclass
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.adapters.contracts.full_order import an_order_with_everything
from orders.adapters.contracts.samples import LATER, STAFF
from orders.domain import ChangeStatus, Order, OrderStatus
from orders.domain.order.storing import restore
from orders.domain.read_only import ReadOnlyDict
from tests.support.orders import (
    a_placed_order,
    an_order_that_is,
    an_order_with_every_part,
    an_order_with_late_money,
)

ENDED = (OrderStatus.CANCELLED, OrderStatus.EXPIRED)
ORDERS: Mapping[str, Callable[[], Order]] = {
    **{status.value: partial(an_order_that_is, status) for status in OrderStatus},
    **{f"late {each}": partial(an_order_with_late_money, each) for each in ENDED},
    "every part": an_order_with_every_part,
    # As a store gives it back: made of plain mappings, by no command.
    "restored": lambda: an_order_with_everything(status=OrderStatus.CONFIRMED),
}
MAPPING_WRITES: tuple[Callable[[Any], object], ...] = (
    lambda mapping: operator.setitem(mapping, "1", 7),
    lambda mapping: operator.delitem(mapping, "1"),
    lambda mapping: mapping.__ior__({"1": 7}),
    lambda mapping: mapping.update({"1": 7}),
    lambda mapping: mapping.setdefault("new", 7),
    lambda mapping: mapping.pop("1"),
    lambda mapping: mapping.popitem(),
    lambda mapping: mapping.clear(),
)


def reachable(value: object, path: str = "state") -> Iterator[tuple[str, Any]]:
    """Everything of the domain's own in a state, with the way to it."""
    if is_dataclass(value):
        yield path, value
        for field in fields(value):
            yield from reachable(getattr(value, field.name), f"{path}.{field.name}")
    elif isinstance(value, Mapping):
        yield path, value
        for name, inner in value.items():
            yield from reachable(inner, f"{path}[{name!r}]")
    elif isinstance(value, Sequence) and not isinstance(value, str):
        yield path, value
        for place, inner in enumerate(value):
            yield from reachable(inner, f"{path}[{place}]")


def writes(value: Any) -> Iterator[Callable[[], object]]:
    """Every way to write into one value."""
    if is_dataclass(value):
        for name in [*(field.name for field in fields(value)), "brand_new"]:
            yield partial(setattr, value, name, None)
            yield partial(delattr, value, name)
    elif isinstance(value, Mapping):
        yield from (partial(write, value) for write in MAPPING_WRITES)
    else:
        yield lambda: operator.setitem(value, 0, None)
        yield lambda: operator.delitem(value, 0)


@pytest.mark.parametrize("build", ORDERS.values(), ids=ORDERS)
def test_nothing_that_can_be_reached_from_a_state_can_be_written(
    build: Callable[[], Order],
) -> None:
    order = build()
    before = copy.deepcopy(order.state)
    for path, value in reachable(order.state):
        for write in writes(value):
            try:
                write()
            except TypeError:
                continue
            pytest.fail(f"{path} was written")
    assert order.state == before


def test_every_kind_of_record_and_mapping_was_tried() -> None:
    """An order without returns would prove nothing of returns."""
    reached = [*reachable(ORDERS["every part"]().state)]
    kinds = {type(value).__name__ for _, value in reached}
    assert kinds == {
        *("OrderState", "Line", "Shipping", "Address", "Contact", "Billing", "BillingAddress"),
        *("Totals", "Ledger", "Payment", "Refund"),
        *("PaymentOperation", "Shipment", "Return", "Credit", "Hold", "Note", "Change"),
        *("ProcessedRequest", "ManualPayment", "TaxPolicy", "TaxRule", "TaxLine"),
        *("ShippingChange", "ReadOnlyDict", "tuple"),
    }
    mappings = {path.rpartition(".")[2] for path, value in reached if isinstance(value, Mapping)}
    assert mappings == {
        *("metadata", "items", "removed"),
        *("surplus", "received", "lines", "line_taxes", "undeliverable"),
    }


def test_what_is_read_only_says_so_as_a_frozen_record_does() -> None:
    state = a_placed_order().state
    with pytest.raises(FrozenInstanceError, match=r"OrderState\.note is read-only"):
        state.note = "Ring twice"  # type: ignore[misc]


@given(
    metadata=st.dictionaries(
        st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.sampled_from(["x", "y"]), max_size=4
    )
)
def test_metadata_is_a_copy_that_cannot_be_written(metadata: dict[str, str]) -> None:
    order, meant = a_placed_order(metadata=metadata), dict(metadata)
    metadata["later"] = "z"
    assert order.state.metadata == meant
    for write in MAPPING_WRITES:
        with pytest.raises(TypeError):
            write(order.state.metadata)
    assert order.state.metadata == meant


@pytest.mark.parametrize(
    "clone", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_a_copy_of_a_state_is_equal_and_as_read_only(clone: Callable[[Any], Any]) -> None:
    state = an_order_with_every_part().state
    copied = clone(state)
    assert copied == state
    assert type(copied.metadata) is type(copied.shipments[0].items) is ReadOnlyDict
    assert copied.changes[-1].status is ChangeStatus.PROPOSED
    assert restore(copied) == restore(state)


def test_a_copy_of_an_order_is_independent() -> None:
    order = an_order_that_is(OrderStatus.CONFIRMED)
    for duplicate in (copy.copy(order), copy.deepcopy(order), pickle.loads(pickle.dumps(order))):
        assert duplicate == order
        duplicate.add_note("Only here", by=STAFF, now=LATER)
        assert (len(order.state.notes), len(duplicate.state.notes)) == (0, 1)
