"""The errors of the domain. A command that raises one of them has changed nothing.

People read the message. Programs read `code`, which never changes, and the attributes.
"""

from __future__ import annotations


class OrderError(Exception):
    """A rule of the order forbids the command.

    `also` has the other rules that forbid the same command, so that a caller sees all at once.
    """

    code = "order-error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.also: tuple[OrderError, ...] = ()

    @property
    def blocked_by(self) -> tuple[str, ...]:
        """The codes of all rules that forbid the command, this one first."""
        return (self.code, *(other.code for other in self.also))


class InvalidValue(OrderError):
    """A value that is not valid. `field` says which, as a path such as `lines/3/sku`."""

    code = "invalid-value"

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class CurrencyUnknown(InvalidValue):
    """The currency is not an ISO 4217 code that amounts can have."""

    code = "currency-unknown"

    def __init__(self) -> None:
        super().__init__("currency", "must be an ISO 4217 code such as EUR")


class CurrencyMismatch(OrderError):
    """Two amounts of different currencies were added or compared."""

    code = "currency-mismatch"


class ExpiryPassed(InvalidValue):
    """The `expires_at` of a new order is not in the future."""

    code = "expiry-passed"

    def __init__(self) -> None:
        super().__init__("expires_at", "must be in the future")


class AmountTooLarge(InvalidValue):
    """The total is 2**53 minor units or more, which a JSON number cannot hold exactly."""

    code = "amount-too-large"

    def __init__(self) -> None:
        super().__init__("total", "the order's total must be below 2**53 minor units")


class TotalChanged(OrderError):
    """The price is not the one that the caller stated. Ask for a new quote."""

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
    """The status of a part (a shipment, payment or return) does not allow the command."""

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


class HasCustomer(OrderError):
    """The order is a customer's, not a guest's. It cannot become another customer's."""

    code = "has-customer"

    def __init__(self) -> None:
        super().__init__("the order has a customer")


class OnHold(OrderError):
    """The order has open holds. Release them first."""

    code = "on-hold"

    def __init__(self, holds: int) -> None:
        super().__init__(f"the order has {holds} open hold(s)")
        self.holds = holds


class PaymentNotCovered(OrderError):
    """Payments that are authorised or captured cover less than what is due."""

    code = "payment-not-covered"

    def __init__(self, *, covered: int, due: int) -> None:
        super().__init__(f"{covered} of {due} minor units are covered")
        self.covered = covered
        self.due = due


class PaymentInFlight(OrderError):
    """A payment is pending, authorised or captured. Its outcome must be known first."""

    code = "payment-in-flight"

    def __init__(self) -> None:
        super().__init__("a payment is in flight, authorised or captured")


class NotYetExpired(OrderError):
    """It is before the order's `expires_at`."""

    code = "not-yet-expired"

    def __init__(self) -> None:
        super().__init__("the time to pay is not over")


class AlreadyShipped(OrderError):
    """Units are packed, sent or delivered. Cancel the shipment or return them."""

    code = "already-shipped"

    def __init__(self) -> None:
        super().__init__("units are allocated or shipped; cancel the shipment or return them")


class WouldCancelWholeOrder(OrderError):
    """No unit would be left. Cancel the order instead."""

    code = "use-cancel"

    def __init__(self) -> None:
        super().__init__("these are the order's last units: cancel the order instead")


class ChangeOpen(OrderError):
    """A change is already proposed. Apply or decline it first."""

    code = "change-open"

    def __init__(self, change_id: str) -> None:
        super().__init__(f"change {change_id} is proposed: apply or decline it first")
        self.change_id = change_id


class TooManyParts(OrderError):
    """The order has the most parts of this kind that it may have."""

    code = "too-many-parts"

    def __init__(self, kind: str, *, most: int) -> None:
        super().__init__(f"an order has at most {most} {kind}")
        self.kind = kind
        self.most = most


class ChangeOutdated(OrderError):
    """The order has changed since the change was proposed, and would cost something else now."""

    code = "change-outdated"

    def __init__(self, change_id: str, *, agreed: int, actual: int) -> None:
        super().__init__(
            f"change {change_id} was agreed at {agreed} minor units and would now make {actual}: "
            "decline it and propose it again"
        )
        self.change_id = change_id
        self.agreed = agreed
        self.actual = actual


class QuantityExceedsAvailable(OrderError):
    """A line has fewer units available than the command asks for."""

    code = "quantity-exceeds"

    def __init__(self, line_id: str, *, wanted: int, available: int) -> None:
        super().__init__(f"line {line_id}: {wanted} wanted, {available} available")
        self.line_id = line_id
        self.wanted = wanted
        self.available = available


class NothingDue(OrderError):
    """Nothing is left to pay."""

    code = "nothing-due"

    def __init__(self) -> None:
        super().__init__("nothing is left to pay")


class TooManyDeclines(OrderError):
    """Too many payments of the order were declined, or may still be, within an hour.

    Another can be started after `retry_after_seconds`.
    """

    code = "too-many-declines"

    def __init__(self, *, retry_after_seconds: int) -> None:
        super().__init__(
            f"too many payments of the order were declined: pay after {retry_after_seconds} s"
        )
        self.retry_after_seconds = retry_after_seconds


class AmountExceedsDue(OrderError):
    """The amount is more than the order still needs, in minor units."""

    code = "amount-exceeds-due"

    def __init__(self, *, wanted: int, available: int) -> None:
        super().__init__(f"{wanted} minor units wanted, {available} still needed")
        self.wanted = wanted
        self.available = available


class AmountExceedsAuthorized(OrderError):
    """The amount is more than what the payment still has authorised, in minor units."""

    code = "amount-exceeds-authorized"

    def __init__(self, *, wanted: int, available: int) -> None:
        super().__init__(f"{wanted} minor units wanted, {available} authorised")
        self.wanted = wanted
        self.available = available


class AmountExceedsRefundable(OrderError):
    """The amount is more than what is owed and can be refunded, in minor units."""

    code = "amount-exceeds-refundable"

    def __init__(self, *, wanted: int, available: int) -> None:
        super().__init__(f"{wanted} minor units wanted, {available} refundable")
        self.wanted = wanted
        self.available = available


class RefundMustBeRecorded(OrderError):
    """The money did not come through the payment service. Give it back, then record the refund."""

    code = "refund-must-be-recorded"

    def __init__(self) -> None:
        super().__init__("the payment service does not have this money: record its refund")


class CreditExceedsAvailable(OrderError):
    """The amount is more than what can be credited, in minor units."""

    code = "credit-exceeds"

    def __init__(self, *, wanted: int, available: int) -> None:
        super().__init__(f"{wanted} minor units wanted, {available} can be credited")
        self.wanted = wanted
        self.available = available


class NotDelivered(OrderError):
    """Some units are not delivered."""

    code = "not-delivered"

    def __init__(self) -> None:
        super().__init__("not everything is delivered")


class NotSettled(OrderError):
    """The amount paid is not the amount due. Both are minor units."""

    code = "not-settled"

    def __init__(self, *, net: int, due: int) -> None:
        super().__init__(f"{net} minor units are paid, {due} are due")
        self.net = net
        self.due = due


class OrderNotClosed(OrderError):
    """A payment, refund, return, hold or change is open."""

    code = "still-open"

    def __init__(self, what: str) -> None:
        super().__init__(f"not finished: {what}")
        self.what = what
