"""The commands of an order, by name."""

from __future__ import annotations

from enum import StrEnum


class Action(StrEnum):
    """The commands that an order may refuse. Reports of the payment service are not here."""

    CONFIRM = "confirm"
    EXPIRE = "expire"
    CANCEL = "cancel"
    COMPLETE = "complete"
    CANCEL_ITEMS = "cancel_items"
    EDIT = "edit"
    ASSIGN_CUSTOMER = "assign_customer"
    ADD_NOTE = "add_note"
    PROPOSE_CHANGE = "propose_change"
    APPLY_CHANGE = "apply_change"
    DECLINE_CHANGE = "decline_change"
    HOLD = "hold"
    RELEASE = "release"
    PAY = "pay"
    RECORD_PAYMENT = "record_payment"
    CAPTURE = "capture"
    VOID = "void"
    DISMISS_PAYMENT = "dismiss_payment"
    REFUND = "refund"
    RECORD_REFUND = "record_refund"
    GRANT_CREDIT = "grant_credit"
    WRITE_OFF = "write_off"
    CREATE_SHIPMENT = "create_shipment"
    DISPATCH = "dispatch"
    DELIVER = "deliver"
    CANCEL_SHIPMENT = "cancel_shipment"
    REQUEST_RETURN = "request_return"
    APPROVE_RETURN = "approve_return"
    DECLINE_RETURN = "decline_return"
    RECEIVE_RETURN = "receive_return"
    CLOSE_RETURN = "close_return"
