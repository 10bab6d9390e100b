"""The references and keys under which the payment service knows payments and operations."""

from __future__ import annotations

from uuid import UUID

from orders.domain.identifiers import OrderId, PartId


def authorization_key(order_id: OrderId, payment_id: str) -> str:
    """The reference of a payment, which is the key of the operation that starts it."""
    return f"{order_id}:{payment_id}"


def capture_key(order_id: OrderId, payment_id: str, number: int) -> str:
    """The key of the n-th capture of a payment."""
    return f"{order_id}:{payment_id}:capture:{number}"


def void_key(order_id: OrderId, payment_id: str, number: int) -> str:
    """The key of the n-th void of a payment. There is a second one if the first was refused."""
    return f"{order_id}:{payment_id}:void:{number}"


def refund_key(order_id: OrderId, refund_id: str) -> str:
    """The key of a refund."""
    return f"{order_id}:refund:{refund_id}"


def payment_of_reference(reference: str) -> PartId:
    """The id of the payment that a reference names, within its order."""
    return reference.rpartition(":")[2]


def order_of_reference(reference: str) -> OrderId | None:
    """The order that a reference names; None if this service did not make the reference."""
    head, separator, attempt = reference.partition(":")
    if not separator or not attempt.isdecimal():
        return None
    try:
        return OrderId(UUID(head))
    except ValueError:
        return None
