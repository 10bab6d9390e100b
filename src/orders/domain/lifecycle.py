"""The state machine of `status`, and the three statuses that are computed from the order's parts.

The tables in the documentation are generated from this module.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType

from orders.domain.actions import Action
from orders.domain.lines import Line
from orders.domain.payments import IN_FLIGHT, Ledger, PaymentStatus
from orders.domain.pricing import Totals
from orders.domain.returns import AWAITED, Return


class OrderStatus(StrEnum):
    """The status of an order. Completed, cancelled and expired orders have ended."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


_P, _C, _D, _X, _E = OrderStatus
_ANY = tuple(OrderStatus)
_OPEN = (_P, _C)
_KEPT = (_C, _D)
_SHIPPED = (_C, _D, _X, _E)
"""Statuses of orders with parcels on their way: a parcel may have left before the order ended."""

_MOVES = {
    (_P, Action.CONFIRM): _C,
    (_P, Action.EXPIRE): _E,
    (_P, Action.CANCEL): _X,
    (_C, Action.CANCEL): _X,
    (_C, Action.COMPLETE): _D,
}
_STAYS: Mapping[Action, Iterable[OrderStatus]] = {
    Action.CANCEL_ITEMS: _OPEN,
    Action.EDIT: _OPEN,
    Action.PROPOSE_CHANGE: _OPEN,
    Action.APPLY_CHANGE: _OPEN,
    Action.DECLINE_CHANGE: _ANY,
    Action.ASSIGN_CUSTOMER: _ANY,
    Action.ADD_NOTE: _ANY,
    Action.HOLD: _OPEN,
    Action.RELEASE: _ANY,
    Action.PAY: _OPEN,
    Action.RECORD_PAYMENT: _ANY,
    Action.CAPTURE: _OPEN,
    Action.VOID: _ANY,
    Action.DISMISS_PAYMENT: _ANY,
    Action.REFUND: _ANY,
    Action.RECORD_REFUND: _ANY,
    Action.GRANT_CREDIT: (_P, _C, _D),
    Action.REVOKE_CREDIT: (_P, _C, _D),
    Action.WRITE_OFF: (_P, _C, _D),
    Action.CREATE_SHIPMENT: (_C,),
    Action.RECORD_LATE_SHIPMENT: _SHIPPED,
    Action.CORRECT_SHIPMENT: _SHIPPED,
    Action.DISPATCH: (_C,),
    Action.DELIVER: _SHIPPED,
    Action.FAIL_DELIVERY: _SHIPPED,
    Action.CANCEL_SHIPMENT: (_C,),
    Action.REQUEST_RETURN: _KEPT,
    Action.APPROVE_RETURN: _KEPT,
    Action.DECLINE_RETURN: _KEPT,
    Action.RECEIVE_RETURN: _KEPT,
    Action.CLOSE_RETURN: _KEPT,
}
TRANSITIONS: Mapping[tuple[OrderStatus, Action], OrderStatus] = MappingProxyType(
    _MOVES
    | {(status, action): status for action, statuses in _STAYS.items() for status in statuses}
)
"""The state machine: the status after each action. A pair that is not here is refused."""

ENDED_UNPAID = frozenset({OrderStatus.CANCELLED, OrderStatus.EXPIRED})
"""Statuses in which nothing is due. Money that still arrives is refunded or voided."""


class OrderPaymentStatus(StrEnum):
    """`payment_status`: what the payment service reported, compared with what is due."""

    PENDING = "pending"
    VOIDED = "voided"
    NOT_REQUIRED = "not_required"
    FAILED = "failed"
    UNPAID = "unpaid"
    AUTHORIZED = "authorized"
    PARTIALLY_AUTHORIZED = "partially_authorized"
    CHARGED_BACK = "charged_back"
    OVERPAID = "overpaid"
    PARTIALLY_PAID = "partially_paid"
    REFUNDED = "refunded"
    PARTIALLY_REFUNDED = "partially_refunded"
    PAID = "paid"


def derive_payment_status(
    totals: Totals, *, in_flight: bool = False, voided: bool = False, failed: bool = False
) -> OrderPaymentStatus:
    """The `payment_status` of amounts. The first rule that is true decides."""
    due, net = totals.due, totals.net
    rules: list[tuple[bool, OrderPaymentStatus]]
    if not totals.captured and not totals.authorized:
        rules = [
            (in_flight, OrderPaymentStatus.PENDING),
            (voided, OrderPaymentStatus.VOIDED),
            (due == 0, OrderPaymentStatus.NOT_REQUIRED),
            (failed, OrderPaymentStatus.FAILED),
            (True, OrderPaymentStatus.UNPAID),
        ]
    elif not totals.captured:
        rules = [
            (totals.authorized >= due, OrderPaymentStatus.AUTHORIZED),
            (True, OrderPaymentStatus.PARTIALLY_AUTHORIZED),
        ]
    else:
        returned = bool(totals.refunded or totals.charged_back)
        rules = [
            (bool(totals.charged_back) and net < due, OrderPaymentStatus.CHARGED_BACK),
            (net > due, OrderPaymentStatus.OVERPAID),
            (net < due, OrderPaymentStatus.PARTIALLY_PAID),
            (returned and due == 0, OrderPaymentStatus.REFUNDED),
            (returned, OrderPaymentStatus.PARTIALLY_REFUNDED),
            (True, OrderPaymentStatus.PAID),
        ]
    return next(status for fits, status in rules if fits)


def payment_status_of(totals: Totals, ledger: Ledger) -> OrderPaymentStatus:
    """The `payment_status` of an order."""
    statuses = {payment.status for payment in ledger.payments}
    return derive_payment_status(
        totals,
        in_flight=bool(statuses & IN_FLIGHT),
        voided=PaymentStatus.VOIDED in statuses,
        failed=bool(statuses & {PaymentStatus.DECLINED, PaymentStatus.FAILED}),
    )


class OrderFulfillmentStatus(StrEnum):
    """`fulfillment_status`: how far the shippable units have come."""

    NOT_REQUIRED = "not_required"
    CANCELLED = "cancelled"
    DELIVERED = "delivered"
    PARTIALLY_DELIVERED = "partially_delivered"
    SHIPPED = "shipped"
    PARTIALLY_SHIPPED = "partially_shipped"
    IN_PROGRESS = "in_progress"
    UNFULFILLED = "unfulfilled"


def derive_fulfillment_status(lines: Sequence[Line]) -> OrderFulfillmentStatus:
    """The `fulfillment_status` of lines. The first rule that is true decides."""
    shippable = deliverable = delivered = shipped = allocated = 0
    for line in lines:
        if line.shippable:
            shippable += 1
            deliverable += line.deliverable
            delivered += line.delivered
            shipped += line.shipped
            allocated += line.allocated
    rules = (
        (not shippable, OrderFulfillmentStatus.NOT_REQUIRED),
        (deliverable == 0, OrderFulfillmentStatus.CANCELLED),
        (delivered == deliverable, OrderFulfillmentStatus.DELIVERED),
        (delivered > 0, OrderFulfillmentStatus.PARTIALLY_DELIVERED),
        (shipped == deliverable, OrderFulfillmentStatus.SHIPPED),
        (shipped > 0, OrderFulfillmentStatus.PARTIALLY_SHIPPED),
        (allocated > 0, OrderFulfillmentStatus.IN_PROGRESS),
        (True, OrderFulfillmentStatus.UNFULFILLED),
    )
    return next(status for fits, status in rules if fits)


class OrderReturnStatus(StrEnum):
    """`return_status`: how much has come back."""

    NONE = "none"
    REQUESTED = "requested"
    PARTIALLY_RETURNED = "partially_returned"
    RETURNED = "returned"


def derive_return_status(lines: Sequence[Line], returns: Sequence[Return]) -> OrderReturnStatus:
    """The `return_status` of lines and returns. The first rule that is true decides."""
    deliverable = sum(line.deliverable for line in lines if line.shippable)
    returned = sum(line.returned for line in lines)
    awaited = any(a_return.status in AWAITED for a_return in returns)
    rules = (
        (returned > 0 and returned == deliverable, OrderReturnStatus.RETURNED),
        (returned > 0, OrderReturnStatus.PARTIALLY_RETURNED),
        (awaited, OrderReturnStatus.REQUESTED),
        (True, OrderReturnStatus.NONE),
    )
    return next(status for fits, status in rules if fits)
