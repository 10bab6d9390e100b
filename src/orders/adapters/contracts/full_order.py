"""An order in which every field has a value, for stores to keep."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

from orders.adapters.contracts.samples import ADDRESS, BILLING, LARGE, LATER, NOW, TEXT
from orders.domain.identifiers import ActorKind, OrderId, PartId, order_number
from orders.domain.lifecycle import (
    OrderFulfillmentStatus,
    OrderPaymentStatus,
    OrderReturnStatus,
    OrderStatus,
)
from orders.domain.lines import Line, TaxLine, TaxPolicy, TaxRounding, TaxRule
from orders.domain.order.order import Order
from orders.domain.order.storing import restore
from orders.domain.order_changes import Change, ChangeStatus, ShippingChange
from orders.domain.payments import (
    Dispute,
    DisputeStatus,
    FailedRefund,
    Ledger,
    ManualMethod,
    ManualPayment,
    NextAction,
    OperationKind,
    Payment,
    PaymentDetails,
    PaymentOperation,
    PaymentStatus,
    PaymentTerms,
    Refund,
    RefundStatus,
    TermsKind,
)
from orders.domain.pricing import Confirmation, Totals
from orders.domain.read_only import ReadOnlyDict
from orders.domain.returns import Credit, Return, ReturnStatus
from orders.domain.shipments import Shipment, ShipmentStatus
from orders.domain.state import Hold, Note, OrderState, ProcessedRequest
from orders.domain.validation import Contact, Shipping


def an_order_with_everything(
    *,
    status: OrderStatus,
    payment_status: OrderPaymentStatus = OrderPaymentStatus.PARTIALLY_REFUNDED,
    fulfillment_status: OrderFulfillmentStatus = OrderFulfillmentStatus.PARTIALLY_DELIVERED,
    return_status: OrderReturnStatus = OrderReturnStatus.PARTIALLY_RETURNED,
    order_id: UUID | None = None,
) -> Order:
    """An order that is not stored yet, in which no field has its default value.

    It has every kind of part in every status. Its amounts do not add up, since no command made
    them: a store does not check them.
    """
    order_id = OrderId(order_id or uuid4())
    return restore(
        OrderState(
            id=order_id,
            tenant="shop",
            number=order_number(order_id.int),
            placed_by="subject-1",
            customer_id="customer-1",
            currency="BHD",
            lines=_lines(),
            shipping=Shipping(
                address=ADDRESS,
                method="express",
                price=250,
                tax=48,
                tax_rate="0.19",
                instructions=TEXT,
            ),
            external_reference="po-7",
            note=TEXT,
            metadata={"basket": TEXT, "A-1_b": "x"},
            created_at=NOW,
            updated_at=LATER,
            expires_at=NOW + timedelta(days=1),
            status=status,
            payment_status=payment_status,
            fulfillment_status=fulfillment_status,
            return_status=return_status,
            totals=every_total(),
            cancel_reason="customer",
            terms=PaymentTerms(kind=TermsKind.INVOICE, due_in_days=30, payment_due_at=LATER),
            ledger=_ledger(order_id),
            shipments=_shipments(),
            returns=_returns(),
            credits=(
                Credit(
                    id=PartId("1"),
                    amount=5,
                    reason="return",
                    created_at=NOW,
                    return_id=PartId("4"),
                    tax_lines=(
                        TaxLine(rate="0.19", taxable=3, tax=1),
                        TaxLine(rate=None, taxable=1, tax=0),
                    ),
                    lines={PartId("1"): 3, PartId("10"): 2},
                    line_taxes={PartId("1"): 1},
                    undeliverable={PartId("10"): 1},
                    revoked_at=LATER,
                ),
            ),
            holds=(Hold(id=PartId("1"), reason="fraud", placed_at=NOW, released_at=LATER),),
            notes=(Note(id=PartId("1"), text=TEXT, author="staff-1", created_at=LATER),),
            changes=_changes(),
            requests=(ProcessedRequest(key="k" * 64, fingerprint="f" * 64, answered_at=LATER),),
            tax_policy=TaxPolicy(prices_include_tax=True, rounding=TaxRounding.ORDER),
            sequence=17,
            contact=Contact(email="zoë@例え.example", phone="+353 21 000 0000"),
            billing=BILLING,
            gift_message=TEXT,
            next_action_at=LATER,
            confirmation=Confirmation.MANUAL,
        )
    )


def _lines() -> tuple[Line, ...]:
    full = Line(
        id=PartId("1"),
        sku="BOLT M6/20",
        name=TEXT,
        quantity=20,
        unit_price=10**10,
        discount=7,
        order_discount=3,
        tax=107,
        shippable=False,
        cancelled=1,
        allocated=2,
        shipped=12,
        delivered=11,
        returned=4,
        undeliverable=1,
        metadata=ReadOnlyDict({"engrave": TEXT, "A-1_b": "x"}),
        tax_rule=TaxRule(rate="0.19", included=True, taxed_before=LARGE),
    )
    return (
        full,
        replace(full, id=PartId("2"), sku="N", unit_price=0),
        replace(full, id=PartId("10"), tax_rule=TaxRule(rate=None, included=True)),
    )


def _changes() -> tuple[Change, ...]:
    return tuple(
        Change(
            id=PartId(str(place)),
            removed={PartId("1"): place},
            added=_lines()[1:],
            reason="customer",
            base_version=place,
            gross=LARGE,
            created_at=NOW,
            status=status,
            shipping=ShippingChange(method="express", price=place, tax=1, tax_rate="0.19"),
            proposed_by=ActorKind.STAFF,
        )
        for place, status in enumerate(ChangeStatus, 1)
    )


def every_total() -> Totals:
    """Totals with a different value in each field, `LARGE` included."""
    return Totals(
        subtotal=LARGE,
        discount=2,
        tax=3,
        shipping=4,
        gross=LARGE - 5,
        credits=6,
        due=LARGE - 7,
        authorized=8,
        captured=9,
        refunded=1,
        charged_back=2,
        pending_refunds=3,
    )


def _ledger(order_id: OrderId) -> Ledger:
    def payment(place: int, status: PaymentStatus) -> Payment:
        return Payment(
            id=PartId(str(place)),
            amount=LARGE,
            method="tok_ok",
            capture=True,
            created_at=NOW,
            status=status,
            provider_id=f"pay_{place}",
            captures=place,
            voids=place,
            captured=LARGE - place,
            refunded=2,
            charged_back=1,
            released=True,
            decline_code="insufficient_funds",
            refunded_elsewhere=3,
            manual=ManualPayment(
                method=ManualMethod.BANK_TRANSFER, reference=TEXT, received_at=NOW
            ),
            details=_details(place) if place != 2 else None,
        )

    def refund(place: int, status: RefundStatus) -> Refund:
        return Refund(
            id=PartId(str(place)),
            payment_id=PartId("1"),
            amount=40 + place,
            reason="goodwill",
            created_at=LATER,
            status=status,
            failure_code="refund_failed",
            reference="BANK-7",
        )

    def operation(place: int, kind: OperationKind) -> PaymentOperation:
        return PaymentOperation(
            key=f"{order_id}:{place}:{kind}",
            kind=kind,
            payment_id=PartId(str(place)),
            amount=LARGE,
            next_attempt_at=LATER,
            refund_id=PartId("1"),
            tries=place,
        )

    return Ledger(
        payments=tuple(payment(place, each) for place, each in enumerate(PaymentStatus, 1)),
        refunds=tuple(refund(place, each) for place, each in enumerate(RefundStatus, 1)),
        operations=tuple(operation(place, each) for place, each in enumerate(OperationKind, 1)),
    )


def _details(place: int) -> PaymentDetails:
    return PaymentDetails(
        disputes=tuple(
            Dispute(id=f"dp_{each}", payment_id=PartId(str(place)), amount=LARGE, status=each)
            for each in DisputeStatus
        ),
        failed_refunds=(FailedRefund(id="re_1", amount=7),),
        authorized_until=LATER,
        next_action=NextAction(type="redirect", url="https://pay.example/3ds?id=1"),
    )


def _shipments() -> tuple[Shipment, ...]:
    return tuple(
        Shipment(
            id=PartId(str(place)),
            items={PartId("1"): 2, PartId("10"): 1},
            created_at=NOW,
            address=ADDRESS,
            status=status,
            carrier="An Post",
            tracking=f"TRACK-{place}",
            dispatched_at=LATER,
            delivered_at=LATER,
            value=LARGE,
            surplus={PartId("10"): 1},
            failed_at=LATER,
            failure_reason="lost",
        )
        for place, status in enumerate(ShipmentStatus, 1)
    )


def _returns() -> tuple[Return, ...]:
    return tuple(
        Return(
            id=PartId(str(place)),
            items={PartId("1"): place},
            reason="damaged",
            created_at=LATER,
            status=status,
            credited=place,
            received={PartId("1"): 1},
        )
        for place, status in enumerate(ReturnStatus, 1)
    )
