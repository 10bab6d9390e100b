"""The rules of orders, as a library that depends on the standard library only.

Everything that a caller needs is here; events by name are in `orders.domain.events`, and what a
store needs is in `orders.domain.order.storing`.
"""

from orders.domain.actions import Action
from orders.domain.errors import (
    AlreadyShipped,
    AmountExceedsAuthorized,
    AmountExceedsDue,
    AmountExceedsRefundable,
    AmountTooLarge,
    ChangeOpen,
    ChangeOutdated,
    CreditExceedsAvailable,
    CurrencyMismatch,
    CurrencyUnknown,
    IllegalStep,
    IllegalTransition,
    InvalidValue,
    NotDelivered,
    NothingDue,
    NotSettled,
    NotYetExpired,
    OnHold,
    OrderError,
    OrderNotClosed,
    PartNotFound,
    PaymentInFlight,
    PaymentNotCovered,
    QuantityExceedsAvailable,
    TooManyParts,
    TotalChanged,
    WouldCancelWholeOrder,
)
from orders.domain.events import OrderEvent, OrderSnapshot, RecordedEvent
from orders.domain.identifiers import (
    Actor,
    ActorKind,
    OrderId,
    derive_order_id,
    order_number,
    read_order_number,
)
from orders.domain.lifecycle import (
    TRANSITIONS,
    OrderFulfillmentStatus,
    OrderPaymentStatus,
    OrderReturnStatus,
    OrderStatus,
)
from orders.domain.lines import DraftLine, Items, Line
from orders.domain.money import Money
from orders.domain.operations import Ledger
from orders.domain.order.order import CANCEL_REASONS, UNCHANGED, Order
from orders.domain.order_changes import Change, ChangeStatus
from orders.domain.payments import (
    OperationKind,
    Payment,
    PaymentOperation,
    PaymentReport,
    PaymentStatus,
    ProviderStatus,
    Refund,
    RefundStatus,
)
from orders.domain.pricing import OrderDraft, Quote, Totals, quote
from orders.domain.returns import Credit, Return, ReturnStatus
from orders.domain.rules import argument_bounds, refusals
from orders.domain.shipments import Shipment, ShipmentStatus
from orders.domain.state import Hold, Note, OrderState, ProcessedRequest
from orders.domain.validation import Address, OrderLimits, Shipping

__all__ = [
    "CANCEL_REASONS",
    "TRANSITIONS",
    "UNCHANGED",
    "Action",
    "Actor",
    "ActorKind",
    "Address",
    "AlreadyShipped",
    "AmountExceedsAuthorized",
    "AmountExceedsDue",
    "AmountExceedsRefundable",
    "AmountTooLarge",
    "Change",
    "ChangeOpen",
    "ChangeOutdated",
    "ChangeStatus",
    "Credit",
    "CreditExceedsAvailable",
    "CurrencyMismatch",
    "CurrencyUnknown",
    "DraftLine",
    "Hold",
    "IllegalStep",
    "IllegalTransition",
    "InvalidValue",
    "Items",
    "Ledger",
    "Line",
    "Money",
    "NotDelivered",
    "NotSettled",
    "NotYetExpired",
    "Note",
    "NothingDue",
    "OnHold",
    "OperationKind",
    "Order",
    "OrderDraft",
    "OrderError",
    "OrderEvent",
    "OrderFulfillmentStatus",
    "OrderId",
    "OrderLimits",
    "OrderNotClosed",
    "OrderPaymentStatus",
    "OrderReturnStatus",
    "OrderSnapshot",
    "OrderState",
    "OrderStatus",
    "PartNotFound",
    "Payment",
    "PaymentInFlight",
    "PaymentNotCovered",
    "PaymentOperation",
    "PaymentReport",
    "PaymentStatus",
    "ProcessedRequest",
    "ProviderStatus",
    "QuantityExceedsAvailable",
    "Quote",
    "RecordedEvent",
    "Refund",
    "RefundStatus",
    "Return",
    "ReturnStatus",
    "Shipment",
    "ShipmentStatus",
    "Shipping",
    "TooManyParts",
    "TotalChanged",
    "Totals",
    "WouldCancelWholeOrder",
    "argument_bounds",
    "derive_order_id",
    "order_number",
    "quote",
    "read_order_number",
    "refusals",
]
