"""The rules that forbid a command because of the order's state, and the bounds of arguments."""

from orders.domain.rules.bounds import (
    Bound,
    argument_bounds,
    cancellable_units,
    capturable,
    creditable_by_line,
    in_flight,
    late_units,
    payable,
    recordable,
    refundable,
    returnable_units,
    revocable_credit_ids,
    shippable_units,
    uncollected,
    undeliverable_units,
)
from orders.domain.rules.cover import is_unpaid, payments_to_void_before_expiry
from orders.domain.rules.guards import MAX_PARTS, is_packed, refusals, require_allowed
from orders.domain.rules.worklists import dated_terms, next_action_at, overdue_from, ready_to_ship

__all__ = [
    "MAX_PARTS",
    "Bound",
    "argument_bounds",
    "cancellable_units",
    "capturable",
    "creditable_by_line",
    "dated_terms",
    "in_flight",
    "is_packed",
    "is_unpaid",
    "late_units",
    "next_action_at",
    "overdue_from",
    "payable",
    "payments_to_void_before_expiry",
    "ready_to_ship",
    "recordable",
    "refundable",
    "refusals",
    "require_allowed",
    "returnable_units",
    "revocable_credit_ids",
    "shippable_units",
    "uncollected",
    "undeliverable_units",
]
