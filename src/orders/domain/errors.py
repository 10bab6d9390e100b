"""Every error of the domain. A refused command has changed nothing.

People read the message; programs read `code`, which never changes, and the attributes.
"""

from __future__ import annotations

from collections.abc import Sequence


class OrderError(Exception):
    """A rule of the order refused a command.

    `also` holds the other rules that refused the same command, so that a caller sees all of
    them at once.
    """

    code = "order-error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.also: tuple[OrderError, ...] = ()

    @property
    def blocked_by(self) -> tuple[str, ...]:
        """The codes of all rules that refused the command, this one first."""
        return (self.code, *(other.code for other in self.also))


def refuse_if_any(refusals: Sequence[OrderError]) -> None:
    """Raise the first refusal, with the others in `also`.

    Raises:
        OrderError: The first of `refusals`, if there is one.
    """
    if refusals:
        first, *others = refusals
        first.also = tuple(others)
        raise first


class InvalidValue(OrderError):
    """A value that an order cannot hold. `field` is its path, such as `lines/3/sku`."""

    code = "invalid-value"

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class CurrencyUnknown(InvalidValue):
    """The currency is not an ISO 4217 code for money."""

    code = "currency-unknown"

    def __init__(self) -> None:
        super().__init__("currency", "must be an ISO 4217 code such as EUR")


class CurrencyMismatch(OrderError):
    """Amounts of two currencies cannot be combined."""

    code = "currency-mismatch"


class AmountTooLarge(InvalidValue):
    """The total is too large for an exact JSON number (2**53 minor units or more)."""

    code = "amount-too-large"

    def __init__(self) -> None:
        super().__init__("total", "the order's total must be below 2**53 minor units")


class TotalChanged(OrderError):
    """The price differs from the one that the caller stated. Nothing was placed: quote again."""

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
    """The status of a part (a shipment, a payment, a return) does not allow the step."""

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
    """The order has holds. Release every hold first."""

    code = "on-hold"

    def __init__(self, holds: int) -> None:
        super().__init__(f"the order has {holds} open hold(s)")
        self.holds = holds


class PaymentNotCovered(OrderError):
    """Authorised and paid amounts are less than what is due."""

    code = "payment-not-covered"

    def __init__(self, *, covered: int, due: int) -> None:
        super().__init__(f"{covered} of {due} minor units are covered")
        self.covered = covered
        self.due = due


class PaymentInFlight(OrderError):
    """A payment is in flight, authorised or captured. Its outcome must be known first."""

    code = "payment-in-flight"

    def __init__(self) -> None:
        super().__init__("a payment is in flight, authorised or captured")


class NotYetExpired(OrderError):
    """The time to pay is not over."""

    code = "not-yet-expired"

    def __init__(self) -> None:
        super().__init__("the time to pay is not over")


class AlreadyShipped(OrderError):
    """Units are packed, shipped or delivered. Return them instead."""

    code = "already-shipped"

    def __init__(self) -> None:
        super().__init__("units are allocated or shipped; cancel the shipment or return them")


class WouldCancelWholeOrder(OrderError):
    """These are the last live units. Cancel the order instead."""

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
    """The order already has the maximum number of parts of this kind."""

    code = "too-many-parts"

    def __init__(self, kind: str, *, most: int) -> None:
        super().__init__(f"an order has at most {most} {kind}")
        self.kind = kind
        self.most = most


class ChangeOutdated(OrderError):
    """The order has changed since the change was proposed, and the price would differ."""

    code = "change-outdated"

    def __init__(self, change_id: str, *, agreed: int, actual: int) -> None:
        super().__init__(
            f"change {change_id} was proposed at {agreed} minor units and would now cost {actual}: "
            "decline it and propose it again"
        )
        self.change_id = change_id
        self.agreed = agreed
        self.actual = actual


class QuantityExceedsAvailable(OrderError):
    """More units than are available for this step."""

    code = "quantity-exceeds"

    def __init__(self, line_id: str, *, wanted: int, available: int) -> None:
        super().__init__(f"line {line_id}: {wanted} requested, {available} available")
        self.line_id = line_id
        self.wanted = wanted
        self.available = available


class NothingDue(OrderError):
    """Nothing is left to pay, or a payment in flight covers the rest."""

    code = "nothing-due"

    def __init__(self) -> None:
        super().__init__("nothing is left to pay")


class AmountExceedsDue(OrderError):
    """The amount is larger than what is still to be paid."""

    code = "amount-exceeds-due"

    def __init__(self, *, wanted: int, available: int) -> None:
        super().__init__(f"{wanted} minor units requested, {available} still to be paid")
        self.wanted = wanted
        self.available = available


class AmountExceedsAuthorized(OrderError):
    """The amount is larger than the rest of the authorisation."""

    code = "amount-exceeds-authorized"

    def __init__(self, *, wanted: int, available: int) -> None:
        super().__init__(f"{wanted} minor units requested, {available} authorised")
        self.wanted = wanted
        self.available = available


class AmountExceedsRefundable(OrderError):
    """The amount is larger than what is owed to the customer and held."""

    code = "amount-exceeds-refundable"

    def __init__(self, *, wanted: int, available: int) -> None:
        super().__init__(f"{wanted} minor units requested, {available} refundable")
        self.wanted = wanted
        self.available = available


class CreditExceedsAvailable(OrderError):
    """The credit is larger than the price of the order."""

    code = "credit-exceeds"

    def __init__(self, *, wanted: int, available: int) -> None:
        super().__init__(f"{wanted} minor units requested, {available} can be credited")
        self.wanted = wanted
        self.available = available


class NotDelivered(OrderError):
    """Not all units are delivered."""

    code = "not-delivered"

    def __init__(self) -> None:
        super().__init__("not everything is delivered")


class NotSettled(OrderError):
    """The amount paid differs from the amount due."""

    code = "not-settled"

    def __init__(self, *, net: int, due: int) -> None:
        super().__init__(f"{net} minor units are paid, {due} are due")
        self.net = net
        self.due = due


class OrderNotClosed(OrderError):
    """A payment, refund or return is not finished yet."""

    code = "still-open"

    def __init__(self, what: str) -> None:
        super().__init__(f"not finished: {what}")
        self.what = what
