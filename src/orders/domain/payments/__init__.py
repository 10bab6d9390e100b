"""One payment, one refund, one operation at the payment service, and what the service reports.

Money moves in three steps: the order reserves a `PaymentOperation` and is stored, the payment
service is called with the operation's key, and the result is recorded. Reports about a payment
under review are ignored.
"""

from orders.domain.payments.keys import (
    authorization_key,
    capture_key,
    order_of_reference,
    payment_of_reference,
    refund_key,
    void_key,
)
from orders.domain.payments.operation import (
    NOT_ATTEMPTED_RETRY_SECONDS,
    OPERATION_LEASE,
    PENDING_POLL_SECONDS,
    UNKNOWN_OUTCOME_RETRY_SECONDS,
    OperationKind,
    PaymentOperation,
)
from orders.domain.payments.payment import IN_FLIGHT, Payment, PaymentStatus
from orders.domain.payments.refund import Refund, RefundStatus
from orders.domain.payments.reports import PaymentReport, ProviderStatus

__all__ = [
    "IN_FLIGHT",
    "NOT_ATTEMPTED_RETRY_SECONDS",
    "OPERATION_LEASE",
    "PENDING_POLL_SECONDS",
    "UNKNOWN_OUTCOME_RETRY_SECONDS",
    "OperationKind",
    "Payment",
    "PaymentOperation",
    "PaymentReport",
    "PaymentStatus",
    "ProviderStatus",
    "Refund",
    "RefundStatus",
    "authorization_key",
    "capture_key",
    "order_of_reference",
    "payment_of_reference",
    "refund_key",
    "void_key",
]
