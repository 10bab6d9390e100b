"""Payments, refunds and operations at the payment service, their ledger, and what it reports.

Money moves in three steps: the order reserves a `PaymentOperation` and is stored, the payment
service is called with the operation's key, and the result is recorded. Reports about a payment
under review are ignored.
"""

from orders.domain.payments.details import FailedRefund, PaymentDetails
from orders.domain.payments.disputes import Dispute, DisputeStatus
from orders.domain.payments.keys import (
    authorization_key,
    capture_key,
    order_of_reference,
    payment_of_reference,
    refund_key,
    void_key,
)
from orders.domain.payments.ledger import Ledger
from orders.domain.payments.manual import ManualMethod, ManualPayment
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
from orders.domain.payments.reports import (
    REDIRECT,
    NextAction,
    PaymentReport,
    ProviderStatus,
    ReportedDispute,
    ReportedRefund,
    ReportedRefundStatus,
)
from orders.domain.payments.terms import MAX_DUE_IN_DAYS, PaymentTerms, TermsKind

__all__ = [
    "IN_FLIGHT",
    "MAX_DUE_IN_DAYS",
    "NOT_ATTEMPTED_RETRY_SECONDS",
    "OPERATION_LEASE",
    "PENDING_POLL_SECONDS",
    "REDIRECT",
    "UNKNOWN_OUTCOME_RETRY_SECONDS",
    "Dispute",
    "DisputeStatus",
    "FailedRefund",
    "Ledger",
    "ManualMethod",
    "ManualPayment",
    "NextAction",
    "OperationKind",
    "Payment",
    "PaymentDetails",
    "PaymentOperation",
    "PaymentReport",
    "PaymentStatus",
    "PaymentTerms",
    "ProviderStatus",
    "Refund",
    "RefundStatus",
    "ReportedDispute",
    "ReportedRefund",
    "ReportedRefundStatus",
    "TermsKind",
    "authorization_key",
    "capture_key",
    "order_of_reference",
    "payment_of_reference",
    "refund_key",
    "void_key",
]
