"""Every refusal of the domain. A refused command has changed nothing.

People read the message; programs read `code`, which never changes, and the attributes.
"""

from __future__ import annotations

from collections.abc import Sequence


class OrderError(Exception):
    """A rule of the order said no.

    `also` holds the other rules that said no to the same command, so that a caller can be
    told all of them at once.
    """

    code = "order-error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.also: tuple[OrderError, ...] = ()

    @property
    def blocked_by(self) -> tuple[str, ...]:
        """The codes of all rules that said no, this one first."""
        return (self.code, *(other.code for other in self.also))


def refuse_if_any(refusals: Sequence[OrderError]) -> None:
    """Raise the first refusal, carrying the others.

    Raises:
        OrderError: The first of `refusals`, if there is one.
    """
    if refusals:
        first, *others = refusals
        first.also = tuple(others)
        raise first


class InvalidValue(OrderError):
    """A value that no order can hold. `field` says where, as a path like `lines/3/sku`."""

    code = "invalid-value"

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class CurrencyUnknown(InvalidValue):
    """Not a code of ISO 4217 that money can be counted in."""

    code = "currency-unknown"

    def __init__(self) -> None:
        super().__init__("currency", "must be an ISO 4217 code such as EUR")


class CurrencyMismatch(OrderError):
    """Two currencies met where there can be only one."""

    code = "currency-mismatch"


class AmountTooLarge(InvalidValue):
    """A sum that a JSON number cannot hold exactly (2**53 minor units or more)."""

    code = "amount-too-large"

    def __init__(self) -> None:
        super().__init__("total", "the order's total must be below 2**53 minor units")


class TotalChanged(OrderError):
    """The price is not what the caller was told. Nothing was placed: quote again."""

    code = "total-changed"

    def __init__(self, *, stated: int, actual: int) -> None:
        super().__init__(f"the price is {actual} minor units, not {stated}: ask for a new quote")
        self.stated = stated
        self.actual = actual


class IllegalTransition(OrderError):
    """The order's status does not allow the command."""

    code = "illegal-transition"

    def __init__(self, status: str, action: str) -> None:
        super().__init__(f"{action.replace('_', ' ')} is not possible: the order is {status}")
        self.status = status
        self.action = action


class IllegalStep(OrderError):
    """A part of the order (a shipment, a payment, a return) is past the step asked for."""

    code = "illegal-step"

    def __init__(self, part: str, part_id: str, status: str) -> None:
        super().__init__(f"{part} {part_id} is {status}")
        self.part = part
        self.part_id = part_id
        self.status = status


class PartNotFound(OrderError):
    """The order has no such part."""

    code = "part-not-found"

    def __init__(self, part: str, part_id: str) -> None:
        super().__init__(f"the order has no such {part}")
        self.part = part
        self.part_id = part_id


class OnHold(OrderError):
    """Someone holds the order back. Release every hold first."""

    code = "on-hold"

    def __init__(self, holds: int) -> None:
        super().__init__(f"the order has {holds} open hold(s)")
        self.holds = holds


class PaymentNotCovered(OrderError):
    """What is authorised and paid does not reach what is due."""

    code = "payment-not-covered"

    def __init__(self, *, covered: int, due: int) -> None:
        super().__init__(f"{covered} of {due} minor units are covered")
        self.covered = covered
        self.due = due


class PaymentInFlight(OrderError):
    """Money is authorised, captured or on its way, so its fate must be known first."""

    code = "payment-in-flight"

    def __init__(self) -> None:
        super().__init__("a payment is in flight, authorised or captured")


class NotYetExpired(OrderError):
    """The time to pay is not over."""

    code = "not-yet-expired"

    def __init__(self) -> None:
        super().__init__("the time to pay is not over")


class AlreadyShipped(OrderError):
    """Units are packed, on their way or delivered. Return them instead."""

    code = "already-shipped"

    def __init__(self) -> None:
        super().__init__("units are allocated or shipped; cancel the shipment or return them")


class WouldCancelWholeOrder(OrderError):
    """Cancelling the last live unit is cancelling the order."""

    code = "use-cancel"

    def __init__(self) -> None:
        super().__init__("these are the order's last units: cancel the order instead")


class ChangeOpen(OrderError):
    """Another change is proposed. Apply or decline it first."""

    code = "change-open"

    def __init__(self, change_id: str) -> None:
        super().__init__(f"change {change_id} is proposed: apply or decline it first")
        self.change_id = change_id


class TooManyParts(OrderError):
    """The order has as many parts of this kind as one can hold."""

    code = "too-many-parts"

    def __init__(self, kind: str, *, most: int) -> None:
        super().__init__(f"an order has at most {most} {kind}")
        self.kind = kind
        self.most = most


class ChangeOutdated(OrderError):
    """The order has changed since the change was proposed: it would cost something else now."""

    code = "change-outdated"

    def __init__(self, change_id: str, *, agreed: int, actual: int) -> None:
        super().__init__(
            f"change {change_id} was agreed at {agreed} minor units and would make {actual}: "
            "decline it and propose it again"
        )
        self.change_id = change_id
        self.agreed = agreed
        self.actual = actual


class QuantityExceedsAvailable(OrderError):
    """More units than there are for this step."""

    code = "quantity-exceeds"

    def __init__(self, line_id: str, *, wanted: int, available: int) -> None:
        super().__init__(f"line {line_id}: {wanted} wanted, {available} available")
        self.line_id = line_id
        self.wanted = wanted
        self.available = available


class NothingDue(OrderError):
    """There is nothing left to pay, or what is left is on its way already."""

    code = "nothing-due"

    def __init__(self) -> None:
        super().__init__("nothing is left to pay")


class AmountExceedsDue(OrderError):
    """More money than the order still needs."""

    code = "amount-exceeds-due"

    def __init__(self, *, wanted: int, available: int) -> None:
        super().__init__(f"{wanted} minor units wanted, {available} still needed")
        self.wanted = wanted
        self.available = available


class AmountExceedsAuthorized(OrderError):
    """More money than the authorisation still holds."""

    code = "amount-exceeds-authorized"

    def __init__(self, *, wanted: int, available: int) -> None:
        super().__init__(f"{wanted} minor units wanted, {available} authorised")
        self.wanted = wanted
        self.available = available


class AmountExceedsRefundable(OrderError):
    """More money than is owed back and held."""

    code = "amount-exceeds-refundable"

    def __init__(self, *, wanted: int, available: int) -> None:
        super().__init__(f"{wanted} minor units wanted, {available} refundable")
        self.wanted = wanted
        self.available = available


class CreditExceedsAvailable(OrderError):
    """More credit than the order is worth."""

    code = "credit-exceeds"

    def __init__(self, *, wanted: int, available: int) -> None:
        super().__init__(f"{wanted} minor units wanted, {available} can be credited")
        self.wanted = wanted
        self.available = available


class NotDelivered(OrderError):
    """Units are still to be delivered."""

    code = "not-delivered"

    def __init__(self) -> None:
        super().__init__("not everything is delivered")


class NotSettled(OrderError):
    """What was paid is not what is due."""

    code = "not-settled"

    def __init__(self, *, net: int, due: int) -> None:
        super().__init__(f"{net} minor units are paid, {due} are due")
        self.net = net
        self.due = due


class OrderNotClosed(OrderError):
    """A payment, refund or return is not finished."""

    code = "still-open"

    def __init__(self, what: str) -> None:
        super().__init__(f"open: {what}")
        self.what = what
