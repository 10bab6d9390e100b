"""The order, with all its commands. How each one decides is in the private modules beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from datetime import datetime
from typing import Final

from orders.domain.errors import InvalidValue
from orders.domain.events import RecordedEvent
from orders.domain.identifiers import PROVIDER, SYSTEM, Actor, OrderId
from orders.domain.lifecycle import OrderStatus
from orders.domain.lines import DraftLine, Items
from orders.domain.money import Money
from orders.domain.order import (
    _changes,
    _lifecycle,
    _manual,
    _payment_reports,
    _payments,
    _placing,
    _returns,
    _shipments,
)
from orders.domain.order._core import OrderCore
from orders.domain.order._lifecycle import CANCEL_REASONS, UNCHANGED, LineMetadata, Unchanged
from orders.domain.order_changes import ShippingChange
from orders.domain.payments import ManualPayment, PaymentOperation, PaymentReport
from orders.domain.pricing import OrderDraft, quote
from orders.domain.state import OrderState, ProcessedRequest
from orders.domain.validation import (
    Address,
    Billing,
    Contact,
    OrderLimits,
    validate_str,
)

__all__ = ["CANCEL_REASONS", "KEPT_REQUESTS", "UNCHANGED", "Order", "Unchanged"]

KEPT_REQUESTS: Final = 256
"""How many processed requests an order keeps; the oldest are dropped first."""


class Order:
    """An order. Each command keeps all the rules and records events, or raises an `OrderError`
    and changes nothing. `Order.place` starts an order; `orders.domain.order.storing` restores one.

    Commands take `by`, who acts, and `now`, an aware time in UTC. Amounts are whole minor units
    of the order's currency (cents of EUR), quantities are whole units; both are at least 1. Ids of
    parts are text, "1", "2", and so on, in the order of their creation.

    After each command the order does what follows: it confirms and completes itself when it may,
    and reserves refunds and voids of money that is no longer owed.

    A command that is called again does its work again, or is refused with `IllegalTransition` or
    `IllegalStep` because the work is done. To make a request repeatable, keep its key with
    `record_request` and look for it with `find_request` first. Recording a report may be repeated.

    Two orders are equal if their states are: the same id, at the same point of the same history.
    """

    __slots__ = ("_core",)
    __hash__ = None  # type: ignore[assignment] # it changes

    def __init__(self, core: OrderCore) -> None:
        """Not for callers: see `Order.place` and `orders.domain.order.storing.restore`."""
        self._core = core

    def __eq__(self, other: object) -> bool:
        return self.state == other.state if isinstance(other, Order) else NotImplemented

    def __copy__(self) -> Order:
        return Order(copy(self._core))

    def __repr__(self) -> str:
        state = self.state
        total = Money(state.totals.gross, state.currency)
        return f"<Order {state.number}: {state.status}, version {state.version}, {total}>"

    @property
    def id(self) -> OrderId:
        """The order's id."""
        return self._core.state.id

    @property
    def status(self) -> OrderStatus:
        """Pending, confirmed, completed, cancelled or expired."""
        return self._core.state.status

    @property
    def version(self) -> int:
        """The version in the store; 0 if the order was never stored."""
        return self._core.state.version

    @property
    def state(self) -> OrderState:
        """Everything about the order. It cannot be written, nor can anything in it."""
        return self._core.state

    @property
    def new_events(self) -> tuple[RecordedEvent, ...]:
        """What happened since the order was placed, restored or stored."""
        return self._core.events

    @property
    def is_changed(self) -> bool:
        """Whether the order differs from what its store has."""
        return self._core.state is not self._core.stored

    # -- the order as a whole -----------------------------------------------------------------

    @classmethod
    def place(
        cls,
        draft: OrderDraft,
        *,
        order_id: OrderId,
        number: str,
        by: Actor,
        now: datetime,
        tenant: str = "main",
        customer_id: str | None = None,
        expires_at: datetime | None = None,
        limits: OrderLimits = OrderLimits(),  # noqa: B008 - frozen
    ) -> Order:
        """Start an order. One that costs nothing is confirmed at once, and so is one with terms,
        unless it is held or staff confirm it.

        `customer_id` says whose order it is; None is a guest's. It expires at `expires_at`, or
        after a day, if nobody has paid; with terms it does not expire. Repeated with the same
        `order_id` it makes the same order again: a store takes only one of them.

        Raises:
            InvalidValue: If a value of the draft or an argument is not valid.
            ExpiryPassed: If `expires_at` is not after `now`.
            TotalChanged: If the order does not cost the draft's `expected_total`.
        """
        state = _placing.first_state(
            draft,
            quote(draft, limits=limits),
            order_id=order_id,
            number=number,
            tenant=tenant,
            customer_id=customer_id,
            expires_at=expires_at,
            by=by,
            now=now,
        )
        order = cls(OrderCore(state))
        order._core.carry_out(_placing.created(state, draft.holds), by, now)
        return order

    def confirm(self, *, by: Actor, now: datetime) -> None:
        """Commit to fulfilling a pending order that is covered by payments.

        Raises:
            InvalidValue: If `by` or `now` is not valid.
            IllegalTransition: If the order is not pending.
            OnHold: If the order has an open hold.
            PaymentNotCovered: If payments cover less than what is due.
        """
        self._core.carry_out(_lifecycle.confirm(self.state, now), by, now)

    def complete(self, *, by: Actor, now: datetime) -> None:
        """Close a confirmed order: everything is delivered and paid.

        A change that staff have proposed is declined: nobody but its customer is waited for.

        Raises:
            InvalidValue: If `by` or `now` is not valid.
            IllegalTransition: If the order is not confirmed.
            NotDelivered: If units are still to be delivered.
            NotSettled: If what was paid is not what is due. Less than nothing may be paid if
                nothing is due and no dispute is open.
            OrderNotClosed: If a payment, return or hold is open, or a change that its customer has
                proposed.
        """
        self._core.carry_out(_lifecycle.complete(self.state, now), by, now)

    def expire(self, *, now: datetime) -> None:
        """End a pending order that nobody paid in time.

        Payments that are authorised or undecided are voided first; the order stays pending
        until their outcome is known. Call it again then.

        Raises:
            InvalidValue: If `now` is not valid.
            IllegalTransition: If the order is not pending.
            NotYetExpired: If it is before the order's `expires_at`.
            PaymentInFlight: If the order is paid or covered, or money may still come.
        """
        self._core.carry_out(_lifecycle.expire(self.state, now), SYSTEM, now)

    def cancel(self, reason: str, *, by: Actor, now: datetime) -> None:
        """Cancel the whole order. Authorised money is voided, captured money is refunded.

        `reason` is one of `CANCEL_REASONS`.

        Raises:
            InvalidValue: If the reason is not one of them, or `by` or `now` is not valid.
            IllegalTransition: If the order is neither pending nor confirmed.
            AlreadyShipped: If units are packed or were sent.
        """
        self._core.carry_out(_lifecycle.cancel(self.state, reason, now), by, now)

    def cancel_items(self, items: Items, reason: str, *, by: Actor, now: datetime) -> None:
        """Cancel units that are in no shipment. `reason` is a code of the caller's own.

        Raises:
            InvalidValue: If there are no items, or a quantity, the reason, `by` or `now` is not
                valid.
            IllegalTransition: If the order is neither pending nor confirmed.
            PartNotFound: If the order has no such line.
            QuantityExceedsAvailable: If a line has fewer units that are in no shipment.
            WouldCancelWholeOrder: If no unit would be left.
        """
        self._core.carry_out(_lifecycle.cancel_items(self.state, items, reason, now), by, now)

    def edit(  # noqa: PLR0913 - keywords only, one for each thing that can be edited
        self,
        *,
        note: str | None | Unchanged = UNCHANGED,
        external_reference: str | None | Unchanged = UNCHANGED,
        metadata: Mapping[str, str] | None | Unchanged = UNCHANGED,
        address: Address | None | Unchanged = UNCHANGED,
        instructions: str | None | Unchanged = UNCHANGED,
        contact: Contact | None | Unchanged = UNCHANGED,
        billing: Billing | None | Unchanged = UNCHANGED,
        gift_message: str | None | Unchanged = UNCHANGED,
        line_metadata: LineMetadata | Unchanged = UNCHANGED,
        by: Actor,
        now: datetime,
    ) -> None:
        """Replace what is given, and remove what is None. May be repeated.

        Without a difference, nothing is recorded. A new address is for parcels to come: those
        that are packed keep theirs. `line_metadata` has the new metadata by line id; lines that
        it leaves out keep theirs.

        Raises:
            InvalidValue: If a value is not valid, or `by` or `now` is not.
            IllegalTransition: If the order is neither pending nor confirmed.
            PartNotFound: If the order has no such line.
            AlreadyShipped: If a customer changes the address, the instructions, the gift message
                or a line's metadata, and units are packed or sent.
        """
        edits = _lifecycle.Edits(
            note=note,
            external_reference=external_reference,
            metadata=metadata,
            address=address,
            instructions=instructions,
            contact=contact,
            billing=billing,
            gift_message=gift_message,
            line_metadata=line_metadata,
        )
        self._core.carry_out(_lifecycle.edit(self.state, by, now, edits), by, now)

    def assign_customer(self, customer_id: str, *, by: Actor, now: datetime) -> None:
        """Make a guest's order a customer's: from then on it is theirs. May be repeated.

        `customer_id` is the `sub` of the customer's tokens: 1 to 255 printable ASCII characters.

        Raises:
            InvalidValue: If the id, `by` or `now` is not valid.
            HasCustomer: If the order is another customer's.
        """
        self._core.carry_out(_lifecycle.assign_customer(self.state, customer_id, now), by, now)

    def add_note(self, content: str, *, by: Actor, now: datetime) -> None:
        """Add a note for staff, of 1 to 2,000 characters. An order takes 250.

        Raises:
            InvalidValue: If the text, `by` or `now` is not valid.
            TooManyParts: If the order has 250 notes.
        """
        self._core.carry_out(_lifecycle.add_note(self.state, content, by, now), by, now)

    def hold(self, reason: str, *, by: Actor, now: datetime) -> None:
        """Keep the order from being confirmed, packed or sent. It may have several holds.

        Raises:
            InvalidValue: If the reason is not a code, or `by` or `now` is not valid.
            IllegalTransition: If the order is neither pending nor confirmed.
            TooManyParts: If the order has 250 holds, open or not.
        """
        self._core.carry_out(_lifecycle.hold(self.state, reason, now), by, now)

    def release(self, hold_id: str, *, by: Actor, now: datetime) -> None:
        """Release one hold.

        Raises:
            InvalidValue: If the id is not text, or `by` or `now` is not valid.
            PartNotFound: If the order has no such hold.
            IllegalStep: If the hold is released already.
        """
        self._core.carry_out(_lifecycle.release(self.state, hold_id, now), by, now)

    # -- changes of what was ordered ------------------------------------------------------------

    def propose_change(
        self,
        *,
        removed: Items,
        added: Sequence[DraftLine],
        shipping: ShippingChange | None = None,
        reason: str,
        expected_total: int | None = None,
        by: Actor,
        now: datetime,
        limits: OrderLimits = OrderLimits(),  # noqa: B008 - frozen
    ) -> None:
        """Work out what the order costs with units removed, lines added, or another shipping.

        Nothing else changes until `apply_change`. Give the `expected_total` in minor units to
        make sure of the price.

        Raises:
            InvalidValue: If nothing would change, or a value of it, `by` or `now` is not valid.
            IllegalTransition: If the order is neither pending nor confirmed.
            ChangeOpen: If another change is proposed.
            PartNotFound: If the order has no such line.
            QuantityExceedsAvailable: If a line has fewer units that are in no shipment.
            WouldCancelWholeOrder: If no unit would be left.
            TotalChanged: If the order would not cost `expected_total`.
            TooManyParts: If the order has 250 changes.
        """
        steps = _changes.propose_change(
            self.state, removed, added, shipping, reason, expected_total, by, now, limits
        )
        self._core.carry_out(steps, by, now)

    def apply_change(self, change_id: str, *, by: Actor, now: datetime) -> None:
        """Apply a proposed change, at the price at which it was proposed.

        Raises:
            InvalidValue: If the id is not text, or `by` or `now` is not valid.
            IllegalTransition: If the order is neither pending nor confirmed.
            PartNotFound: If the order has no such change.
            IllegalStep: If the change is not proposed any more.
            ChangeOutdated: If the order would cost something else now.
            QuantityExceedsAvailable: If units it removes are packed or cancelled now.
            WouldCancelWholeOrder: If no unit would be left.
        """
        self._core.carry_out(_changes.apply_change(self.state, change_id, now), by, now)

    def decline_change(self, change_id: str, *, by: Actor, now: datetime) -> None:
        """Drop a proposed change.

        Raises:
            InvalidValue: If the id is not text, or `by` or `now` is not valid.
            PartNotFound: If the order has no such change.
            IllegalStep: If the change is not proposed any more.
        """
        self._core.carry_out(_changes.decline_change(self.state, change_id, now), by, now)

    # -- payments -------------------------------------------------------------------------------

    def start_payment(
        self,
        method: str,
        *,
        amount: int | None = None,
        capture: bool = False,
        by: Actor,
        now: datetime,
        limits: OrderLimits = OrderLimits(),  # noqa: B008 - frozen
    ) -> PaymentOperation:
        """Reserve a payment with the token of a payment method, never with card data.

        `amount` is minor units; None is what is outstanding, less what is authorised or in flight.
        With `capture` the payment service takes the money at once. Each call starts another
        payment.

        Returns:
            The operation to execute, once the order is stored. Its key never changes.

        Raises:
            InvalidValue: If the token, the amount, `capture`, `by` or `now` is not valid.
            IllegalTransition: If the order is neither pending nor confirmed.
            NothingDue: If nothing is left to pay.
            PaymentInFlight: If a payment without an outcome may pay for what is left.
            TooManyDeclines: If as many payments of the last hour as `limits` allow were declined,
                or may still be.
            AmountExceedsDue: If the amount is more than what is left to pay.
            TooManyParts: If the order has 250 payments.
        """
        steps = _payments.start_payment(
            self.state, method, amount, now, capture=capture, limits=limits
        )
        return self._core.carry_out(steps, by, now)

    def capture(
        self, payment_id: str, *, amount: int | None = None, by: Actor, now: datetime
    ) -> PaymentOperation:
        """Reserve the capture of authorised money.

        `amount` is minor units; None is all that is outstanding and authorised. Each call
        captures more.

        Returns:
            The operation to execute, once the order is stored. Its key never changes.

        Raises:
            InvalidValue: If the id is not text, or the amount, `by` or `now` is not valid.
            IllegalTransition: If the order is neither pending nor confirmed.
            PartNotFound: If the order has no such payment.
            IllegalStep: If the payment has nothing to capture, or is being voided.
            AmountExceedsDue: If the amount is more than the order still needs.
            AmountExceedsAuthorized: If the amount is more than the payment still has authorised.
        """
        return self._core.carry_out(_payments.capture(self.state, payment_id, amount, now), by, now)

    def void(self, payment_id: str, *, by: Actor, now: datetime) -> None:
        """Reserve the void of a payment that is authorised or has no outcome yet.

        The order can be paid in another way after the payment service has voided this payment.

        Raises:
            InvalidValue: If the id is not text, or `by` or `now` is not valid.
            PartNotFound: If the order has no such payment.
            IllegalStep: If the payment has nothing to void, or is being voided.
            PaymentInFlight: If a capture of the payment is pending.
        """
        self._core.carry_out(_payments.void(self.state, payment_id, now), by, now)

    def dismiss_payment(self, payment_id: str, *, by: Actor, now: datetime) -> None:
        """End the review of a payment, as a decision of staff.

        The order keeps the amounts that it recorded before the review and ignores the rest, which
        you settle with the payment service. Refunds of the payment without an outcome count as
        failed. The hold stays: call `release`. No refund starts: call `refund`.

        Raises:
            InvalidValue: If the id is not text, or `by` or `now` is not valid.
            PartNotFound: If the order has no such payment.
            IllegalStep: If the payment is not under review.
        """
        self._core.carry_out(_payments.dismiss_payment(self.state, payment_id, now), by, now)

    def refund(
        self,
        *,
        amount: int | None = None,
        payment_id: str | None = None,
        reason: str,
        by: Actor,
        now: datetime,
    ) -> None:
        """Reserve refunds of what is owed to the customer.

        `amount` is minor units; None is all that is owed. It is refunded to the payment that is
        named, or over as many as it takes; payments whose last refund was refused come last.
        Each call refunds more.

        Raises:
            InvalidValue: If the amount, an id, the reason, `by` or `now` is not valid.
            PartNotFound: If the order has no such payment.
            AmountExceedsRefundable: If less is owed, or the payment has less.
            RefundMustBeRecorded: If only manual payments have the money.
            TooManyParts: If the order has 250 refunds.
        """
        steps = _payments.refund(self.state, amount, payment_id, reason, now)
        self._core.carry_out(steps, by, now)

    # -- money that does not pass through the payment service: staff record what has happened ----

    def record_payment(
        self, received: ManualPayment, *, amount: int | None = None, by: Actor, now: datetime
    ) -> None:
        """Record money that was received elsewhere. It counts as captured at once.

        `amount` is minor units; None is all that is outstanding. It may be more than what is due,
        and the order may have ended: the rest is owed back. Nothing is sent to the payment service,
        now or later. Each call records another payment.

        Raises:
            InvalidValue: If the amount, `by` or `now` is not valid, or the money was received in
                the future, or more than 366 days before the order was placed.
            NothingDue: If no amount is given and nothing is left to pay.
            TooManyParts: If the order has 500 payments.
        """
        self._core.carry_out(_manual.record_payment(self.state, received, amount, now), by, now)

    def record_refund(
        self,
        reference: str,
        *,
        amount: int | None = None,
        payment_id: str | None = None,
        reason: str,
        by: Actor,
        now: datetime,
    ) -> None:
        """Record a refund that was made elsewhere: it has succeeded, and nothing is sent.

        `amount` is minor units; None is all that is owed. It may be more than what is owed: then
        the order is credited with the rest, so that the customer is not asked for it again. It
        counts for the payment that is named, or for as many as it takes, manual ones first. If the
        customer got back all that they paid and units are still to be sent, the order is held.
        Each call records another refund.

        Raises:
            InvalidValue: If the reference, the amount, an id, the reason, `by` or `now` is not
                valid.
            PartNotFound: If the order has no such payment.
            AmountExceedsRefundable: If less is held, or no amount is given and nothing is owed.
            TooManyParts: If the order has 500 refunds.
        """
        steps = _manual.record_refund(self.state, reference, amount, payment_id, reason, now)
        self._core.carry_out(steps, by, now)

    def write_off(self, *, amount: int | None = None, by: Actor, now: datetime) -> None:
        """Give up what will never be paid, by a credit with the reason `write-off`.

        `amount` is minor units; None is all that is outstanding. Each call writes off more.

        Raises:
            InvalidValue: If the amount, `by` or `now` is not valid.
            IllegalTransition: If the order is cancelled or expired.
            CreditExceedsAvailable: If less is outstanding.
            TooManyParts: If the order has 500 credits.
        """
        self._core.carry_out(_manual.write_off(self.state, amount, now), by, now)

    # -- what the payment service reports: accepted in every status -----------------------------

    def record_payment_report(
        self,
        report: PaymentReport,
        payment_id: str,
        *,
        charged_back: bool = False,
        now: datetime,
    ) -> None:
        """Record what the payment service says of a payment. May be repeated, in any order.

        `charged_back`: the payer's bank took back all that is captured and not refunded. A
        report that contradicts itself or what was requested puts the payment under review and
        the order on hold. During the review, reports about the payment are ignored.

        Raises:
            InvalidValue: If an argument is of another kind.
            PartNotFound: If the order has no such payment.
        """
        steps = _payment_reports.payment_report(
            self.state, report, payment_id, now, charged_back=charged_back
        )
        self._core.carry_out(steps, PROVIDER, now)

    def record_operation_result(self, key: str, report: PaymentReport, *, now: datetime) -> None:
        """Record the report that an operation brought. May be repeated.

        Raises:
            InvalidValue: If an argument is of another kind.
        """
        steps = _payment_reports.operation_result(self.state, key, report, now)
        self._core.carry_out(steps, PROVIDER, now)

    def record_operation_failure(self, key: str, failure_code: str, *, now: datetime) -> None:
        """Record that the payment service refused an operation for good. May be repeated.

        Raises:
            InvalidValue: If an argument is of another kind.
        """
        steps = _payment_reports.operation_failure(self.state, key, failure_code)
        self._core.carry_out(steps, PROVIDER, now)

    def record_unknown_outcome(self, key: str, *, now: datetime) -> None:
        """Record that an operation brought no clear answer. It is retried after 1 s to 15 s.

        Each call makes the delay longer.

        Raises:
            InvalidValue: If an argument is of another kind.
        """
        self._core.carry_out(_payment_reports.unknown_outcome(self.state, key, now), PROVIDER, now)

    def record_not_attempted(self, key: str, *, now: datetime) -> None:
        """Record that an operation was never sent. It is retried after 10 s. May be repeated.

        Raises:
            InvalidValue: If an argument is of another kind.
        """
        self._core.carry_out(_payment_reports.not_attempted(self.state, key, now), PROVIDER, now)

    # -- shipments ------------------------------------------------------------------------------

    def create_shipment(
        self,
        items: Items,
        *,
        carrier: str | None = None,
        tracking: str | None = None,
        by: Actor,
        now: datetime,
    ) -> None:
        """Pack units into one parcel, to the address that the order has now.

        Raises:
            InvalidValue: If there are no items, or a quantity, a text, `by` or `now` is not valid.
            IllegalTransition: If the order is not confirmed.
            OnHold: If the order has an open hold.
            PaymentNotCovered: If payments cover less than what is due.
            PartNotFound: If the order has no such line.
            QuantityExceedsAvailable: If a line has fewer units that are in no shipment.
            TooManyParts: If the order has 250 shipments.
        """
        steps = _shipments.create_shipment(self.state, items, carrier, tracking, now)
        self._core.carry_out(steps, by, now)

    def dispatch(
        self, shipment_id: str, *, tracking: str | None = None, by: Actor, now: datetime
    ) -> None:
        """Hand a packed shipment to the carrier. `tracking` replaces the number it has.

        Raises:
            InvalidValue: If the id or the number is not text, or `by` or `now` is not valid.
            IllegalTransition: If the order is not confirmed.
            OnHold: If the order has an open hold.
            PaymentNotCovered: If payments cover less than what is due.
            PartNotFound: If the order has no such shipment.
            IllegalStep: If the shipment was sent or cancelled.
        """
        self._core.carry_out(_shipments.dispatch(self.state, shipment_id, tracking, now), by, now)

    def deliver(self, shipment_id: str, *, by: Actor, now: datetime) -> None:
        """Record that a shipment has arrived, also one that had failed.

        Of a shipment that had failed, units that are sent again, cancelled or credited by now
        count as surplus.

        Raises:
            InvalidValue: If the id is not text, or `by` or `now` is not valid.
            IllegalTransition: If the order is pending.
            PartNotFound: If the order has no such shipment.
            IllegalStep: If the shipment is neither on its way nor failed.
        """
        self._core.carry_out(_shipments.deliver(self.state, shipment_id, now), by, now)

    def fail_delivery(self, shipment_id: str, reason: str, *, by: Actor, now: datetime) -> None:
        """Record that a shipment will not arrive. `reason` is one of `FAILURE_REASONS`.

        Its units can be packed again, cancelled, or credited as undeliverable.

        Raises:
            InvalidValue: If the reason is not one of them, the id is not text, or `by` or `now` is
                not valid.
            IllegalTransition: If the order is pending.
            PartNotFound: If the order has no such shipment.
            IllegalStep: If the shipment is not on its way.
        """
        steps = _shipments.fail_delivery(self.state, shipment_id, reason, now)
        self._core.carry_out(steps, by, now)

    def correct_shipment(
        self,
        shipment_id: str,
        *,
        carrier: str | None | Unchanged = UNCHANGED,
        tracking: str | None | Unchanged = UNCHANGED,
        by: Actor,
        now: datetime,
    ) -> None:
        """Replace the carrier or the tracking number, and remove it if None. May be repeated.

        Raises:
            InvalidValue: If the id or a value is not text, or `by` or `now` is not valid.
            IllegalTransition: If the order is pending.
            PartNotFound: If the order has no such shipment.
            IllegalStep: If the shipment is cancelled.
        """
        steps = _shipments.correct_shipment(
            self.state, shipment_id, now, carrier=carrier, tracking=tracking
        )
        self._core.carry_out(steps, by, now)

    def record_late_shipment(
        self,
        items: Items,
        *,
        carrier: str | None = None,
        tracking: str | None = None,
        dispatched_at: datetime | None = None,
        by: Actor,
        now: datetime,
    ) -> None:
        """Record a parcel that had left before a cancellation of its units was known.

        It left at `dispatched_at`, or now. Units that the order still wants count as sent, the
        cancelled ones as surplus: they stay cancelled, and no money moves.

        Raises:
            InvalidValue: If there are no items or none of them is cancelled, or a quantity, a
                text, a time or `by` is not valid.
            IllegalTransition: If the order is pending.
            PartNotFound: If the order has no such line.
            QuantityExceedsAvailable: If a line has fewer units that are cancelled or in no
                shipment.
            TooManyParts: If the order has 250 shipments.
        """
        steps = _shipments.record_late_shipment(
            self.state, items, carrier, tracking, dispatched_at, now
        )
        self._core.carry_out(steps, by, now)

    def cancel_shipment(self, shipment_id: str, *, by: Actor, now: datetime) -> None:
        """Unpack a shipment that was not sent.

        Raises:
            InvalidValue: If the id is not text, or `by` or `now` is not valid.
            IllegalTransition: If the order is not confirmed.
            PartNotFound: If the order has no such shipment.
            IllegalStep: If the shipment was sent or cancelled.
        """
        self._core.carry_out(_shipments.cancel_shipment(self.state, shipment_id, now), by, now)

    # -- returns and credits --------------------------------------------------------------------

    def grant_credit(
        self,
        amount: int,
        reason: str,
        *,
        line_id: str | None = None,
        undeliverable: int = 0,
        by: Actor,
        now: datetime,
    ) -> None:
        """Let the customer owe `amount` minor units less. What was paid too much can be refunded.

        With a `line_id` the credit is for this line. With `undeliverable`, that many of its units
        will not be delivered any more; the amount may be 0 then. Each call grants more.

        Raises:
            InvalidValue: If the amount, the reason, the units, `by` or `now` is not valid, or the
                reason is `write-off` or `refunded-elsewhere`, which say how others came about.
            IllegalTransition: If the order is cancelled or expired.
            PartNotFound: If the order has no such line.
            QuantityExceedsAvailable: If the line has fewer units to deliver that are in no
                shipment of a confirmed order.
            CreditExceedsAvailable: If credits would exceed what the order or the line costs.
            TooManyParts: If the order has 250 credits.
        """
        steps = _returns.grant_credit(
            self.state, amount, reason, now, line_id=line_id, undeliverable=undeliverable
        )
        self._core.carry_out(steps, by, now)

    def revoke_credit(self, credit_id: str, *, by: Actor, now: datetime) -> None:
        """Take a credit back: the customer owes its amount again.

        It counts as paid out if the money would be missing without it, because the order refunded
        money or is completed. Units that it made undeliverable can be packed again.

        Raises:
            InvalidValue: If the id is not text, or `by` or `now` is not valid.
            IllegalTransition: If the order is cancelled or expired.
            PartNotFound: If the order has no such credit.
            IllegalStep: If the credit is revoked or paid out.
        """
        self._core.carry_out(_returns.revoke_credit(self.state, credit_id, now), by, now)

    def request_return(self, items: Items, reason: str, *, by: Actor, now: datetime) -> None:
        """Ask to send delivered units back.

        Raises:
            InvalidValue: If there are no items, or a quantity, the reason, `by` or `now` is not
                valid.
            IllegalTransition: If the order is neither confirmed nor completed.
            PartNotFound: If the order has no such line.
            QuantityExceedsAvailable: If a line has fewer delivered units that are in no return.
            TooManyParts: If the order has 250 returns.
        """
        self._core.carry_out(_returns.request_return(self.state, items, reason, now), by, now)

    def approve_return(self, return_id: str, *, by: Actor, now: datetime) -> None:
        """Let the customer send the units of a requested return.

        Raises:
            InvalidValue: If the id is not text, or `by` or `now` is not valid.
            IllegalTransition: If the order is neither confirmed nor completed.
            PartNotFound: If the order has no such return.
            IllegalStep: If the return is not requested any more.
        """
        self._core.carry_out(_returns.approve_return(self.state, return_id, now), by, now)

    def decline_return(self, return_id: str, *, by: Actor, now: datetime) -> None:
        """Refuse to take the units of a requested return.

        Raises:
            InvalidValue: If the id is not text, or `by` or `now` is not valid.
            IllegalTransition: If the order is neither confirmed nor completed.
            PartNotFound: If the order has no such return.
            IllegalStep: If the return is not requested any more.
        """
        self._core.carry_out(_returns.decline_return(self.state, return_id, now), by, now)

    def receive_return(
        self,
        return_id: str,
        *,
        items: Items | None = None,
        credit: int | None = None,
        by: Actor,
        now: datetime,
    ) -> None:
        """Take in the units of an approved return, and credit what was charged for them.

        `items` are the units that came, None is all of them; the others can be returned again.
        `credit` is minor units, 0 or more; None is what was charged for the units, as far as
        it is not credited already.

        Raises:
            InvalidValue: If the id, the items, the credit, `by` or `now` is not valid.
            IllegalTransition: If the order is neither confirmed nor completed.
            PartNotFound: If the order has no such return or line.
            IllegalStep: If the return is not approved.
            QuantityExceedsAvailable: If more units came than were announced.
            CreditExceedsAvailable: If the credit is more than what is left to credit of the units.
        """
        steps = _returns.receive_return(self.state, return_id, items, credit, now)
        self._core.carry_out(steps, by, now)

    def close_return(self, return_id: str, *, by: Actor, now: datetime) -> None:
        """End a return that was received, or an approved one whose units never came.

        Raises:
            InvalidValue: If the id is not text, or `by` or `now` is not valid.
            IllegalTransition: If the order is neither confirmed nor completed.
            PartNotFound: If the order has no such return.
            IllegalStep: If the return is neither approved nor received.
        """
        self._core.carry_out(_returns.close_return(self.state, return_id, now), by, now)

    # -- requests that may be repeated ----------------------------------------------------------

    def find_request(self, key: str) -> ProcessedRequest | None:
        """The request whose key has this digest, if the order keeps it. May be repeated.

        Raises:
            InvalidValue: If the key is not text.
        """
        validate_str(key, "key")
        return next((each for each in self.state.requests if each.key == key), None)

    def record_request(self, request: ProcessedRequest) -> None:
        """Keep a request, in the same write as what it changed. The last 256 are kept.

        Call it once for each request.

        Raises:
            InvalidValue: If it is not a `ProcessedRequest`.
        """
        if not isinstance(request, ProcessedRequest):
            raise InvalidValue("request", "must be a ProcessedRequest")
        kept = (*self.state.requests, request)[-KEPT_REQUESTS:]
        self._core.state = replace(self.state, requests=kept)
