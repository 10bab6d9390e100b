"""Every refusal of the application layer. The domain's own are in `orders.domain.errors`.

People read the message; programs read `code`, which never changes.
"""

from __future__ import annotations

from collections.abc import Sequence

from orders.domain.identifiers import OrderId


class ApplicationError(Exception):
    """A request that was refused and changed nothing."""

    code = "application-error"


class OrderNotFound(ApplicationError):
    """There is no such order, or none that the caller may see: both get the same response."""

    code = "order-not-found"

    def __init__(self, wanted: object) -> None:
        super().__init__(f"there is no order {wanted}")


class AmbiguousReference(ApplicationError):
    """Several orders of others have the reference, and no order that the caller placed has it.

    `order_ids` are those the caller may see, the newest first, at most 20.
    """

    code = "ambiguous-reference"

    def __init__(self, order_ids: Sequence[OrderId]) -> None:
        super().__init__("several orders have this external reference: read one by its id")
        self.order_ids = tuple(order_ids)


class UnreadableOrder(ApplicationError):
    """Only a newer version of the service can read the order."""

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
    """The order is at another version than the one that the caller decided on."""

    code = "stale-version"

    def __init__(self, current: int) -> None:
        super().__init__(f"the order has changed: it is at version {current}; read it again")
        self.current = current


class ConcurrentUpdate(ApplicationError):
    """Someone else changed the order between reading and writing it. The call may be repeated."""

    code = "concurrent-update"

    def __init__(self) -> None:
        super().__init__("the order is being changed by someone else; repeat the request")


class DuplicateOrder(ApplicationError):
    """An order with this id is stored already: its request is a repetition."""

    code = "duplicate-order"

    def __init__(self) -> None:
        super().__init__("an order with this id exists")


class RequestKeyReused(ApplicationError):
    """The idempotency key was used before with another request."""

    code = "idempotency-key-reuse"

    def __init__(self) -> None:
        super().__init__("this Idempotency-Key was used with another request; take a new key")


class RequestInProgress(ApplicationError):
    """The first request with this key is still being carried out. Repeat it a little later."""

    code = "idempotency-key-in-progress"

    def __init__(self, *, retry_after_seconds: int) -> None:
        super().__init__("a request with this Idempotency-Key is being carried out; ask again")
        self.retry_after_seconds = retry_after_seconds


class PriceUnknown(ApplicationError):
    """The catalogue has no price for a SKU, and the caller may not state one."""

    code = "price-unknown"

    def __init__(self, sku: str, currency: str) -> None:
        super().__init__(f"there is no price for {sku} in {currency}")
        self.sku = sku


class StoreUnavailable(ApplicationError):
    """The database did not answer, or may still lose the write. Repeat with the same key."""

    code = "store-unavailable"


class PricesUnavailable(ApplicationError):
    """The catalogue gave no answer in time. Nothing was stored; repeat the call."""

    code = "prices-unavailable"


class PaymentDeclined(ApplicationError):
    """The payment service declined the payer. Final for this attempt."""

    code = "payment-declined"

    def __init__(self, decline_code: str) -> None:
        super().__init__(f"the payment was declined: {decline_code}")
        self.decline_code = decline_code


class PaymentRefused(ApplicationError):
    """The payment service refused the request itself. Final: a repetition is refused too."""

    code = "payment-refused"


class PaymentUnavailable(ApplicationError):
    """The payment service gave no clear answer: the outcome is unknown. It is looked up later."""

    code = "payment-unavailable"


class PaymentNotAttempted(PaymentUnavailable):
    """Nothing was sent, because the payment service fails at the moment. It is sent later."""

    code = "payment-not-asked"


class InvalidToken(ApplicationError):
    """The access token is not valid. The reason never repeats the token."""

    code = "invalid-token"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class KeysUnavailable(ApplicationError):
    """No signing key could be fetched yet, so no token can be verified. Repeat the call."""

    code = "keys-unavailable"


class PublisherUnavailable(ApplicationError):
    """The broker did not confirm every event. They stay in the outbox and are sent again."""

    code = "publisher-unavailable"


class InvalidWebhook(ApplicationError):
    """The webhook is not signed, too old or not readable. `reason` repeats nothing of it."""

    code = "invalid-webhook"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the webhook is not accepted: {reason}")
        self.reason = reason
