"""Orders for tests: fresh, in every status, with every part. Each call builds a new one.

They are built by the order's own methods at fixed times; only `restored` goes past them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from orders.domain.actions import Action
from orders.domain.identifiers import (
    Actor,
    OrderId,
    PartId,
    derive_order_id,
    order_number,
)
from orders.domain.lifecycle import OrderStatus
from orders.domain.lines import DraftLine, Items, TaxRounding
from orders.domain.money import Money
from orders.domain.order.order import Order
from orders.domain.order.storing import restore
from orders.domain.order_changes import ShippingChange
from orders.domain.payments import ManualMethod, ManualPayment, PaymentReport, ProviderStatus
from orders.domain.pricing import OrderDraft
from orders.domain.state import ProcessedRequest
from orders.domain.validation import Address, Billing, BillingAddress, Contact, Shipping

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
EXPIRES = NOW + timedelta(days=1)
TENANT = "shop"
CUSTOMER = Actor.customer("customer-1")
STAFF = Actor.staff("staff-1")
A_TRANSFER = ManualPayment(
    method=ManualMethod.BANK_TRANSFER, reference="Order 4711, Ada", received_at=NOW
)
ADDRESS = Address(name="Ada Quill", line1="1 Mill Lane", city="Cork", country="IE")


def items(**units: int) -> Items:
    """Units by line: `items(_1=2)` is two units of line "1"."""
    return {PartId(name.removeprefix("_")): count for name, count in units.items()}


def a_draft(**changes: Any) -> OrderDraft:
    """Three pens at 1000, two lamps at 500 and a gift card at 300; 4,300 in all."""
    lines = (
        DraftLine(sku="PEN", name="Pen", quantity=3, unit_price=1_000),
        DraftLine(sku="LAMP", name="Lamp", quantity=2, unit_price=500),
        DraftLine(sku="GIFT", name="Gift card", quantity=1, unit_price=300, shippable=False),
    )
    return replace(OrderDraft(currency="EUR", lines=lines), **changes)


def an_order_id(key: str = "key-1") -> OrderId:
    """The id of the order that the customer placed with this key."""
    return derive_order_id(tenant=TENANT, subject=CUSTOMER.subject, request_key=key)


def a_placed_order(
    *,
    key: str = "key-1",
    customer_id: str | None = CUSTOMER.subject,
    expires_at: datetime | None = EXPIRES,
    **changes: Any,
) -> Order:
    """A pending order of 4,300; `changes` are of the draft."""
    order_id = an_order_id(key)
    return Order.place(
        a_draft(**changes),
        order_id=order_id,
        number=order_number(order_id.int),
        tenant=TENANT,
        customer_id=customer_id,
        expires_at=expires_at,
        by=CUSTOMER,
        now=NOW,
    )


def restored(order: Order, **changes: Any) -> Order:
    """The order as a store gives it back, with some of its state changed."""
    return restore(replace(order.state, **changes))


# -- money ------------------------------------------------------------------------------------


def a_report(
    order: Order,
    status: ProviderStatus = ProviderStatus.AUTHORIZED,
    *,
    payment_id: str | None = None,
    **changes: Any,
) -> PaymentReport:
    """What the payment service says of a payment; of the last one if none is named."""
    ledger = order.state.ledger
    payment = ledger.payment(payment_id) if payment_id else ledger.payments[-1]
    captured = payment.amount if status is ProviderStatus.CAPTURED else payment.captured
    if status is ProviderStatus.VOIDED and captured:
        # Of which a part was captured: it stays captured when the rest is voided.
        status = ProviderStatus.CAPTURED
    report = PaymentReport(
        provider_id=f"pay_{payment.id}",
        reference=f"{order.id}:{payment.id}",
        status=status,
        amount=Money(payment.amount, order.state.currency),
        captured=captured,
        refunded=payment.refunded,
    )
    return replace(report, **changes)


def authorize(order: Order, amount: int | None = None) -> str:
    """Pay by an authorisation, and return the payment's id."""
    call = order.start_payment("tok_ok", amount=amount, by=CUSTOMER, now=NOW)
    order.record_operation_result(call.key, a_report(order), now=NOW)
    return call.payment_id


def decline(order: Order, now: datetime = NOW, amount: int | None = None) -> None:
    """Try to pay, and be declined."""
    call = order.start_payment("tok_declined", amount=amount, by=CUSTOMER, now=now)
    order.record_operation_failure(call.key, "insufficient_funds", now=now)


def take(order: Order, amount: int | None = None) -> str:
    """Pay with immediate capture, and return the payment's id."""
    call = order.start_payment("tok_ok", amount=amount, capture=True, by=CUSTOMER, now=NOW)
    order.record_operation_result(call.key, a_report(order, ProviderStatus.CAPTURED), now=NOW)
    return call.payment_id


def record_payment(order: Order, amount: int | None = None) -> str:
    """Record money that came by bank transfer, and return the payment's id."""
    order.record_payment(A_TRANSFER, amount=amount, by=STAFF, now=NOW)
    return order.state.ledger.payments[-1].id


def capture(order: Order, payment_id: str = "1", amount: int | None = None) -> None:
    """Take authorised money."""
    call = order.capture(payment_id, amount=amount, by=STAFF, now=NOW)
    captured = order.state.ledger.payment(payment_id).captured + call.amount
    report = a_report(order, ProviderStatus.CAPTURED, payment_id=payment_id, captured=captured)
    order.record_operation_result(call.key, report, now=NOW)


def void(order: Order, payment_id: str = "1") -> None:
    """Give an authorisation back."""
    order.void(payment_id, by=STAFF, now=NOW)
    report = a_report(order, ProviderStatus.VOIDED, payment_id=payment_id)
    order.record_operation_result(f"{order.id}:{payment_id}:void:1", report, now=NOW)


def settle_refund(order: Order, refund_id: str = "1") -> None:
    """Let a requested refund succeed."""
    refund = next(r for r in order.state.ledger.refunds if r.id == refund_id)
    payment = order.state.ledger.payment(refund.payment_id)
    given_back = order.state.ledger.refunded_by_us(payment.id)
    report = a_report(
        order,
        ProviderStatus.CAPTURED,
        payment_id=payment.id,
        captured=payment.captured,
        refunded=max(payment.refunded, given_back + refund.amount),
    )
    order.record_operation_result(f"{order.id}:refund:{refund_id}", report, now=NOW)


# -- units ------------------------------------------------------------------------------------


def pack(order: Order, units: Items | None = None) -> str:
    """Pack units, all that are left if none are named, and return the shipment's id."""
    left = {line.id: line.unallocated for line in order.state.lines if line.shippable}
    order.create_shipment(units or {i: n for i, n in left.items() if n}, by=STAFF, now=NOW)
    return order.state.shipments[-1].id


def send(order: Order, units: Items | None = None) -> str:
    """Pack and dispatch units."""
    shipment_id = pack(order, units)
    order.dispatch(shipment_id, by=STAFF, now=NOW)
    return shipment_id


def deliver(order: Order, units: Items | None = None) -> str:
    """Pack, dispatch and deliver units."""
    shipment_id = send(order, units)
    order.deliver(shipment_id, by=STAFF, now=NOW)
    return shipment_id


def return_units(order: Order, *steps: str, units: Items | None = None) -> str:
    """Request a return, take it through `steps` such as "approve", and return its id."""
    order.request_return(units or items(_1=1), "damaged", by=CUSTOMER, now=NOW)
    return_id = order.state.returns[-1].id
    for step in steps:
        getattr(order, f"{step}_return")(return_id, by=STAFF, now=NOW)
    return return_id


# -- orders in every status -------------------------------------------------------------------


def _confirmed() -> Order:
    order = a_placed_order()
    authorize(order)
    return order


def _completed() -> Order:
    order = a_placed_order()
    take(order)
    deliver(order)
    return order


def _cancelled() -> Order:
    order = a_placed_order()
    order.cancel("customer", by=CUSTOMER, now=NOW)
    return order


def _expired() -> Order:
    order = a_placed_order()
    order.expire(now=EXPIRES)
    return order


_IN_STATUS: Mapping[OrderStatus, Callable[[], Order]] = {
    OrderStatus.PENDING: a_placed_order,
    OrderStatus.CONFIRMED: _confirmed,
    OrderStatus.COMPLETED: _completed,
    OrderStatus.CANCELLED: _cancelled,
    OrderStatus.EXPIRED: _expired,
}


def an_order_that_is(status: OrderStatus) -> Order:
    """The plainest order in a status: confirmed is authorised, completed is delivered and paid."""
    order = _IN_STATUS[status]()
    assert order.status is status
    return order


def an_order_with_late_money(status: OrderStatus) -> Order:
    """An ended order that was paid after its end, and whose automatic refund failed."""
    order = a_placed_order()
    payment = order.start_payment("tok_slow", capture=True, by=CUSTOMER, now=NOW)
    if status is OrderStatus.CANCELLED:
        order.cancel("customer", by=CUSTOMER, now=NOW)
    else:
        order.record_operation_failure(payment.key, "timeout", now=NOW)
        order.expire(now=EXPIRES)
    order.record_payment_report(
        a_report(order, ProviderStatus.CAPTURED), payment.payment_id, now=EXPIRES
    )
    order.record_operation_failure(f"{order.id}:refund:1", "refused", now=EXPIRES)
    return order


def an_order_with_every_part() -> Order:
    """A confirmed order that holds every kind of part in every state a part can have.

    Some calls are under way, one payment contradicts what was asked, and it is on hold.
    """
    order = a_placed_order(
        lines=(
            DraftLine(sku="BOLT", name="Bolt", quantity=20, unit_price=100, discount=7, tax=107),
            DraftLine(
                sku="NUT",
                name="Nut",
                quantity=10,
                unit_price=100,
                tax_rate="0",
                metadata={"engrave": "To Bea"},
            ),
            DraftLine(sku="CARD", name="Card", quantity=1, unit_price=50, shippable=False),
        ),
        shipping=Shipping(
            address=ADDRESS, method="express", price=250, instructions="Behind the hedge"
        ),
        contact=Contact(email="ada@quill.example", phone="+353 21 555 0100"),
        billing=Billing(
            address=BillingAddress(name="Quill", line1="9 Inn Row", city="Cork", country="IE"),
            company="Quill and Sons",
            vat_id="IE1234567T",
        ),
        gift_message="Many happy returns",
        discount=100,
        external_reference="po-7",
        note="Ring twice",
        metadata={"basket": "b-1"},
        tax_rounding=TaxRounding.ORDER,
    )
    _pay_in_every_way(order)
    _ship_in_every_way(order)
    _return_in_every_way(order)
    _refund_in_every_way(order)
    _change_in_every_way(order)
    order.record_late_shipment(items(_2=6), by=STAFF, now=NOW)
    order.add_note("Checked by phone", by=STAFF, now=NOW)
    order.hold("address", by=STAFF, now=NOW)
    order.hold("suspected-fraud", by=STAFF, now=NOW)
    order.release("1", by=STAFF, now=NOW)
    order.record_payment_report(a_report(order, reference="another"), "9", now=NOW)
    order.record_request(ProcessedRequest(key="k" * 64, fingerprint="f" * 64, answered_at=NOW))
    return order


def _pay_in_every_way(order: Order) -> None:
    declined = order.start_payment("tok_declined", by=CUSTOMER, now=NOW)
    order.record_operation_failure(declined.key, "insufficient_funds", now=NOW)
    take(order, 2_000)
    authorize(order, 500)
    authorize(order, 300)
    void(order, authorize(order, 200))
    waiting = order.start_payment("tok_pending", amount=20, by=CUSTOMER, now=NOW)
    order.record_operation_result(
        waiting.key, a_report(order, ProviderStatus.REQUIRES_ACTION), now=NOW
    )
    lost = take(order, 20)
    report = a_report(order, ProviderStatus.CAPTURED, payment_id=lost)
    order.record_payment_report(report, lost, charged_back=True, now=NOW)
    order.start_payment("tok_slow", amount=20, by=CUSTOMER, now=NOW)
    authorize(order)
    order.capture("3", amount=10, by=STAFF, now=NOW)


def _ship_in_every_way(order: Order) -> None:
    order.cancel_items(items(_2=1), "inventory", by=STAFF, now=NOW)
    deliver(order, items(_1=10, _2=2))
    send(order, items(_1=2))
    pack(order, items(_1=1, _2=1))
    order.cancel_shipment(pack(order, items(_2=1)), by=STAFF, now=NOW)
    order.fail_delivery(send(order, items(_1=1)), "lost", by=STAFF, now=NOW)
    # What is being voided covers nothing that is still to be packed.
    order.void("4", by=STAFF, now=NOW)


def _return_in_every_way(order: Order) -> None:
    return_units(order)
    return_units(order, "approve")
    return_units(order, "decline")
    return_units(order, "approve", "receive")
    return_units(order, "approve", "receive", "close", units=items(_2=2))
    order.grant_credit(50, "lost", line_id="1", undeliverable=1, by=STAFF, now=NOW)
    order.grant_credit(10, "goodwill", by=STAFF, now=NOW)
    order.revoke_credit(order.state.credits[-1].id, by=STAFF, now=NOW)


def _refund_in_every_way(order: Order) -> None:
    """Refunds need more than is due: credit everything that was paid."""
    order.grant_credit(order.state.totals.creditable, "goodwill", by=STAFF, now=NOW)
    for amount in (40, 30, 20):
        order.refund(amount=amount, reason="goodwill", by=STAFF, now=NOW)
    settle_refund(order, "1")
    order.record_operation_failure(f"{order.id}:refund:2", "refused", now=NOW)
    record_payment(order, 50)
    order.record_refund("BANK-8", amount=10, reason="goodwill", by=STAFF, now=NOW)


def _change_in_every_way(order: Order) -> None:
    for decide in (order.decline_change, order.apply_change, None):
        order.propose_change(
            removed=items(_2=1) if decide else items(_1=1),
            added=(),
            shipping=ShippingChange(method="express"),
            reason="other",
            by=CUSTOMER,
            now=NOW,
        )
        if decide is not None:
            decide(order.state.changes[-1].id, by=STAFF, now=NOW)


# -- orders that a command fits ----------------------------------------------------------------


def an_order_ready_for(action: Action, status: OrderStatus) -> Order:
    """An order in this status that the action is allowed for, with plain arguments.

    `carry_out` has the arguments. Only where the status allows the action at all.
    """
    prepare = _READY.get((status, action)) or _READY.get(action)
    if prepare is None:
        return an_order_that_is(status)
    order = prepare(status)
    assert order.status is status
    return order


def _held(status: OrderStatus) -> Order:
    order = a_placed_order()
    order.hold("address", by=STAFF, now=NOW)
    return restored(order, status=status)


def _guests(status: OrderStatus) -> Order:
    return restored(an_order_that_is(status), customer_id=None)


def _proposed(status: OrderStatus) -> Order:
    order = a_placed_order()
    carry_out(order, Action.PROPOSE_CHANGE)
    return restored(order, status=status)


def _authorized(status: OrderStatus) -> Order:
    """A void that was refused leaves money held, whatever became of the order."""
    return restored(_confirmed(), status=status)


def _under_review(status: OrderStatus) -> Order:
    order = a_placed_order()
    call = order.start_payment("tok_ok", by=CUSTOMER, now=NOW)
    order.record_operation_result(call.key, a_report(order, amount=Money(1, "EUR")), now=NOW)
    return restored(order, status=status)


def _partly_authorized(_: OrderStatus) -> Order:
    order = a_placed_order()
    authorize(order, 300)
    return order


def _partly_recorded(_: OrderStatus) -> Order:
    order = a_placed_order()
    record_payment(order, 300)
    return order


def _charged_back(_: OrderStatus) -> Order:
    order = _completed()
    report = a_report(order, ProviderStatus.CAPTURED)
    order.record_payment_report(report, "1", charged_back=True, now=NOW)
    return order


def _with_nothing_authorized(_: OrderStatus) -> Order:
    order = _confirmed()
    void(order)
    return order


def _overpaid(status: OrderStatus) -> Order:
    order = a_placed_order()
    if status is OrderStatus.PENDING:
        order.hold("address", by=STAFF, now=NOW)
    take(order)
    order.cancel_items(items(_1=1), "customer", by=CUSTOMER, now=NOW)
    return order


def _credited(status: OrderStatus) -> Order:
    order = an_order_that_is(status)
    order.grant_credit(100, "goodwill", by=STAFF, now=NOW)
    return order


def _packed(_: OrderStatus) -> Order:
    order = _confirmed()
    pack(order)
    return order


def _sent(_: OrderStatus) -> Order:
    order = _confirmed()
    send(order)
    return order


def _sent_late(status: OrderStatus) -> Order:
    """An order whose first parcel is on its way: if it has ended, with a cancelled unit."""
    if status is OrderStatus.CONFIRMED:
        return _sent(status)
    order = _partly_cancelled(OrderStatus.CONFIRMED if status is OrderStatus.COMPLETED else status)
    order.record_late_shipment(items(_1=1), by=STAFF, now=NOW)
    if status is OrderStatus.COMPLETED:
        deliver(order)
    return order


def _partly_cancelled(status: OrderStatus) -> Order:
    """An order of whose first line every unit is cancelled."""
    if status in {OrderStatus.CANCELLED, OrderStatus.EXPIRED}:
        return an_order_that_is(status)
    order = a_placed_order()
    order.cancel_items(items(_1=3), "customer", by=CUSTOMER, now=NOW)
    take(order)
    if status is OrderStatus.COMPLETED:
        deliver(order)
    return order


def _delivered(status: OrderStatus) -> Order:
    if status is OrderStatus.COMPLETED:
        return _completed()
    order = _confirmed()
    deliver(order)
    return order


def _returning(*steps: str) -> Callable[[OrderStatus], Order]:
    def prepare(status: OrderStatus) -> Order:
        order = _delivered(status)
        return_units(order, *steps)
        return order

    return prepare


def _before(status: OrderStatus) -> Callable[[OrderStatus], Order]:
    """An order confirms and completes itself; one that has not yet done so can only be stored."""

    def prepare(wanted: OrderStatus) -> Order:
        return restored(an_order_that_is(status), status=wanted)

    return prepare


_READY: Mapping[Action | tuple[OrderStatus, Action], Callable[[OrderStatus], Order]] = {
    Action.CONFIRM: _before(OrderStatus.CONFIRMED),
    Action.COMPLETE: _before(OrderStatus.COMPLETED),
    Action.ASSIGN_CUSTOMER: _guests,
    Action.RELEASE: _held,
    Action.APPLY_CHANGE: _proposed,
    Action.DECLINE_CHANGE: _proposed,
    Action.VOID: _authorized,
    Action.DISMISS_PAYMENT: _under_review,
    (OrderStatus.PENDING, Action.CAPTURE): _partly_authorized,
    (OrderStatus.PENDING, Action.VOID): _partly_authorized,
    (OrderStatus.CONFIRMED, Action.PAY): _with_nothing_authorized,
    (OrderStatus.PENDING, Action.REFUND): _overpaid,
    (OrderStatus.CONFIRMED, Action.REFUND): _overpaid,
    (OrderStatus.COMPLETED, Action.REFUND): _credited,
    (OrderStatus.CANCELLED, Action.REFUND): an_order_with_late_money,
    (OrderStatus.EXPIRED, Action.REFUND): an_order_with_late_money,
    (OrderStatus.PENDING, Action.RECORD_REFUND): _partly_recorded,
    (OrderStatus.CONFIRMED, Action.RECORD_REFUND): _overpaid,
    (OrderStatus.COMPLETED, Action.RECORD_REFUND): an_order_that_is,
    (OrderStatus.CANCELLED, Action.RECORD_REFUND): an_order_with_late_money,
    (OrderStatus.EXPIRED, Action.RECORD_REFUND): an_order_with_late_money,
    (OrderStatus.COMPLETED, Action.WRITE_OFF): _charged_back,
    Action.DISPATCH: _packed,
    Action.CANCEL_SHIPMENT: _packed,
    Action.RECORD_LATE_SHIPMENT: _partly_cancelled,
    Action.CORRECT_SHIPMENT: _sent_late,
    Action.DELIVER: _sent_late,
    Action.FAIL_DELIVERY: _sent_late,
    Action.REVOKE_CREDIT: _credited,
    Action.REQUEST_RETURN: _delivered,
    Action.APPROVE_RETURN: _returning(),
    Action.DECLINE_RETURN: _returning(),
    Action.RECEIVE_RETURN: _returning("approve"),
    Action.CLOSE_RETURN: _returning("approve", "receive"),
}


def carry_out(order: Order, action: Action) -> None:
    """Give the command with the plainest arguments; parts are the order's first of their kind."""
    _COMMANDS[action](order)


_COMMANDS: Mapping[Action, Callable[[Order], object]] = {
    Action.CONFIRM: lambda order: order.confirm(by=STAFF, now=NOW),
    Action.EXPIRE: lambda order: order.expire(now=EXPIRES),
    Action.CANCEL: lambda order: order.cancel("staff", by=STAFF, now=NOW),
    Action.COMPLETE: lambda order: order.complete(by=STAFF, now=NOW),
    Action.CANCEL_ITEMS: lambda order: order.cancel_items(
        items(_1=1), "customer", by=CUSTOMER, now=NOW
    ),
    Action.PROPOSE_CHANGE: lambda order: order.propose_change(
        removed=items(_1=1), added=(), reason="customer", by=CUSTOMER, now=NOW
    ),
    Action.APPLY_CHANGE: lambda order: order.apply_change("1", by=STAFF, now=NOW),
    Action.DECLINE_CHANGE: lambda order: order.decline_change("1", by=STAFF, now=NOW),
    Action.EDIT: lambda order: order.edit(note="Ring twice", by=CUSTOMER, now=NOW),
    Action.ASSIGN_CUSTOMER: lambda order: order.assign_customer("customer-2", by=STAFF, now=NOW),
    Action.ADD_NOTE: lambda order: order.add_note("Checked", by=STAFF, now=NOW),
    Action.HOLD: lambda order: order.hold("address", by=STAFF, now=NOW),
    Action.RELEASE: lambda order: order.release("1", by=STAFF, now=NOW),
    Action.PAY: lambda order: order.start_payment("tok_ok", by=CUSTOMER, now=NOW),
    Action.RECORD_PAYMENT: lambda order: order.record_payment(
        A_TRANSFER, amount=1, by=STAFF, now=NOW
    ),
    Action.CAPTURE: lambda order: order.capture("1", by=STAFF, now=NOW),
    Action.VOID: lambda order: order.void("1", by=STAFF, now=NOW),
    Action.DISMISS_PAYMENT: lambda order: order.dismiss_payment("1", by=STAFF, now=NOW),
    Action.REFUND: lambda order: order.refund(reason="goodwill", by=STAFF, now=NOW),
    Action.RECORD_REFUND: lambda order: order.record_refund(
        "BANK-7", amount=1, reason="goodwill", by=STAFF, now=NOW
    ),
    Action.WRITE_OFF: lambda order: order.write_off(amount=1, by=STAFF, now=NOW),
    Action.GRANT_CREDIT: lambda order: order.grant_credit(1, "goodwill", by=STAFF, now=NOW),
    Action.REVOKE_CREDIT: lambda order: order.revoke_credit("1", by=STAFF, now=NOW),
    Action.CREATE_SHIPMENT: lambda order: order.create_shipment(items(_1=1), by=STAFF, now=NOW),
    Action.RECORD_LATE_SHIPMENT: lambda order: order.record_late_shipment(
        items(_1=1), by=STAFF, now=NOW
    ),
    Action.CORRECT_SHIPMENT: lambda order: order.correct_shipment(
        "1", tracking="1Z9", by=STAFF, now=NOW
    ),
    Action.DISPATCH: lambda order: order.dispatch("1", by=STAFF, now=NOW),
    Action.DELIVER: lambda order: order.deliver("1", by=STAFF, now=NOW),
    Action.FAIL_DELIVERY: lambda order: order.fail_delivery("1", "lost", by=STAFF, now=NOW),
    Action.CANCEL_SHIPMENT: lambda order: order.cancel_shipment("1", by=STAFF, now=NOW),
    Action.REQUEST_RETURN: lambda order: order.request_return(
        items(_1=1), "damaged", by=CUSTOMER, now=NOW
    ),
    Action.APPROVE_RETURN: lambda order: order.approve_return("1", by=STAFF, now=NOW),
    Action.DECLINE_RETURN: lambda order: order.decline_return("1", by=STAFF, now=NOW),
    Action.RECEIVE_RETURN: lambda order: order.receive_return("1", by=STAFF, now=NOW),
    Action.CLOSE_RETURN: lambda order: order.close_return("1", by=STAFF, now=NOW),
}
