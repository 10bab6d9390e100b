"""Every error of the application layer. `orders.domain.errors` has those of the domain.

People read the message; programs read `code`, which never changes.
"""

from __future__ import annotations

from collections.abc import Sequence

from orders.domain.identifiers import OrderId


class ApplicationError(Exception):
    """A request that was refused or failed, and changed nothing."""

    code = "application-error"


class OrderNotFound(ApplicationError):
    """The order does not exist, or the caller may not see it. The response does not say which."""

    code = "order-not-found"

    def __init__(self, wanted: object) -> None:
        super().__init__(f"there is no order {wanted}")


class AmbiguousReference(ApplicationError):
    """The caller placed no order with this reference, and several others did.

    `order_ids` are those the caller may see, the newest first, at most 20.
    """

    code = "ambiguous-reference"

    def __init__(self, order_ids: Sequence[OrderId]) -> None:
        super().__init__("several orders have this external reference: read one by its id")
        self.order_ids = tuple(order_ids)


class UnreadableOrder(ApplicationError):
    """The order is stored in a form that only a newer version can read."""

    code = "order-unreadable"

    def __init__(self, order_id: object, reason: str) -> None:
        super().__init__(f"order {order_id} cannot be read by this version: {reason}")
        self.order_id = order_id
        self.reason = reason


class Forbidden(ApplicationError):
    """The caller's roles and scopes do not allow the operation on any order."""

    code = "forbidden"

    def __init__(self, operation: str) -> None:
        super().__init__(f"your roles and scopes do not allow {operation}")
        self.operation = operation


class StaleVersion(ApplicationError):
    """The order has changed since the version that the caller read."""

    code = "stale-version"

    def __init__(self, current: int) -> None:
        super().__init__(f"the order has changed: it is at version {current}; read it again")
        self.current = current


class ConcurrentUpdate(ApplicationError):
    """Another request changed the order between reading and writing it. The call may be retried."""

    code = "concurrent-update"

    def __init__(self) -> None:
        super().__init__("another request is changing the order; retry the request")


class DuplicateOrder(ApplicationError):
    """An order with this id exists: its request was processed before."""

    code = "duplicate-order"

    def __init__(self) -> None:
        super().__init__("an order with this id exists")


class RequestKeyReused(ApplicationError):
    """The idempotency key was used before with another request."""

    code = "idempotency-key-reuse"

    def __init__(self) -> None:
        super().__init__("this Idempotency-Key was used with another request; use a new key")


class RequestInProgress(ApplicationError):
    """The first request with this key is still running. Retry after `Retry-After` seconds."""

    code = "idempotency-key-in-progress"

    def __init__(self, *, retry_after_seconds: int) -> None:
        super().__init__("a request with this Idempotency-Key is still running; retry later")
        self.retry_after_seconds = retry_after_seconds


class PriceUnknown(ApplicationError):
    """The price list has no price for a SKU, and the caller may not state one."""

    code = "price-unknown"

    def __init__(self, sku: str, currency: str) -> None:
        super().__init__(f"the price list has no price for {sku} in {currency}")
        self.sku = sku


class TaxChanged(ApplicationError):
    """A stated tax rate, or whether prices include tax, is not the price list's. Leave it out."""

    code = "tax-changed"

    def __init__(self, field: str) -> None:
        super().__init__(f"{field} is not that of the price list: leave it out")
        self.field = field


class StoreUnavailable(ApplicationError):
    """The database failed, or may still lose the write. Retry with the same key."""

    code = "store-unavailable"


class PricesUnavailable(ApplicationError):
    """The price list did not answer in time. Nothing was stored; retry the call."""

    code = "prices-unavailable"


class PaymentDeclined(ApplicationError):
    """The payment service declined the payment. Final for this attempt."""

    code = "payment-declined"

    def __init__(self, decline_code: str) -> None:
        super().__init__(f"the payment was declined: {decline_code}")
        self.decline_code = decline_code


class PaymentRefused(ApplicationError):
    """The payment service rejected the request itself. Final: a retry changes nothing."""

    code = "payment-refused"


class PaymentUnavailable(ApplicationError):
    """No trustworthy answer: the outcome is unknown. Retry with the same reference."""

    code = "payment-unavailable"


class PaymentNotAttempted(PaymentUnavailable):
    """Nothing was sent, as the payment service is failing. An unknown outcome stays unknown."""

    code = "payment-not-asked"


class TooManyCustomerDeclines(ApplicationError):
    """Too many payments of the customer were declined, over all their orders.

    Another can be started after `retry_after_seconds`.
    """

    code = "too-many-customer-declines"

    def __init__(self, *, retry_after_seconds: int) -> None:
        super().__init__(
            f"too many payments of this customer were declined: pay after {retry_after_seconds} s"
        )
        self.retry_after_seconds = retry_after_seconds


class InvalidToken(ApplicationError):
    """The access token is not valid. The reason never quotes the token."""

    code = "invalid-token"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class KeysUnavailable(ApplicationError):
    """No signing key could be fetched yet, so no token can be verified. Retry the call."""

    code = "keys-unavailable"


class PublisherUnavailable(ApplicationError):
    """The broker did not confirm every event. They stay in the outbox and are sent again."""

    code = "publisher-unavailable"


class InvalidWebhook(ApplicationError):
    """The signature is not valid, or the message is unknown. `reason` never quotes the message."""

    code = "invalid-webhook"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the webhook is not accepted: {reason}")
        self.reason = reason
