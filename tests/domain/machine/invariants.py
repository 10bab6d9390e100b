"""What is true of every order after every step, worked out apart from the code it judges."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise

from orders.domain.events import (
    OrderCompleted,
    OrderConfirmed,
    OrderShipped,
    OrderSnapshot,
    RecordedEvent,
    ShipmentCreated,
)
from orders.domain.lifecycle import (
    OrderStatus,
    derive_fulfillment_status,
    derive_return_status,
    payment_status_of,
)
from orders.domain.lines import Line
from orders.domain.payments import (
    IN_FLIGHT,
    OperationKind,
    Payment,
    PaymentOperation,
    PaymentStatus,
    RefundStatus,
)
from orders.domain.pricing import Totals
from orders.domain.returns import WRITE_OFF
from orders.domain.shipments import FREED, ShipmentStatus
from orders.domain.state import OrderState
from tests.domain.machine.amounts import check_parts, held, totals_by_unit, value_of, wanted

ENDED = {OrderStatus.CANCELLED, OrderStatus.EXPIRED}
MOVES = {
    (OrderStatus.PENDING, OrderStatus.CONFIRMED),
    (OrderStatus.PENDING, OrderStatus.CANCELLED),
    (OrderStatus.PENDING, OrderStatus.EXPIRED),
    (OrderStatus.CONFIRMED, OrderStatus.COMPLETED),
    (OrderStatus.CONFIRMED, OrderStatus.CANCELLED),
}


def check(
    before: OrderState,
    after: OrderState,
    news: Sequence[RecordedEvent],
    *,
    dismissed: Collection[str] = (),
) -> None:
    """Check one step and the events it has brought. A person has `dismissed` these payments."""
    check_lines(after)
    check_statuses(after)
    assert sum(change.status == "proposed" for change in after.changes) <= 1, "two open changes"
    check_money(before, after)
    check_sent(before, news)
    check_events(before, after, news)
    if after.status in ENDED:
        check_ended(after, dismissed)
    check_due(after)


def check_due(state: OrderState) -> None:
    """Time asks for the calls without an answer, and for the end of what nobody pays."""
    times = [call.next_attempt_at for call in state.ledger.operations]
    if state.status is OrderStatus.PENDING and ends_by_time(state):
        times.append(state.expires_at)
    assert state.next_action_at == min(times, default=None), "time acts otherwise"


def ends_by_time(state: OrderState) -> bool:
    """Nothing is kept or covers it, and what may still come has not been called off before."""
    totals, calls = state.totals, state.ledger.operations
    leaving = {call.payment_id for call in calls if call.kind is OperationKind.VOID}
    cover = totals.net + sum(
        held(payment) for payment in state.ledger.payments if payment.id not in leaving
    )
    capturing = any(call.kind is OperationKind.CAPTURE for call in calls)
    if state.terms or totals.net > 0 or cover >= totals.due or capturing:
        return False
    coming = [p for p in state.ledger.payments if held(p) or p.status in IN_FLIGHT]
    return not coming or any(
        p.provider_id and not p.voids and p.status is not PaymentStatus.REVIEW for p in coming
    )


def check_lines(state: OrderState) -> None:
    """Lines count what their parcels and returns have."""
    for line in state.lines:
        assert 0 <= line.returned <= line.delivered <= line.shipped, "more came back than went"
        assert 0 <= line.cancelled <= line.quantity, "more is cancelled than was ordered"
        assert line.undeliverable >= 0, "less than no unit is given up"
        taken, wanted = line.shipped + line.allocated, deliverable(line)
        assert taken <= wanted, "more is packed than is wanted"
        parcels = {
            status: sum(
                parcel.items.get(line.id, 0) - parcel.surplus.get(line.id, 0)
                for parcel in state.shipments
                if parcel.status is status
            )
            for status in ShipmentStatus
        }
        delivered = parcels[ShipmentStatus.DELIVERED]
        sent = parcels[ShipmentStatus.DISPATCHED] + delivered
        counted = line.allocated, line.shipped, line.delivered
        assert counted == (parcels[ShipmentStatus.CREATED], sent, delivered), "units of parcels"
        came = sum(r.received.get(line.id, 0) for r in state.returns if r.received is not None)
        assert line.returned == came, "units that came back"


def check_money(before: OrderState, after: OrderState) -> None:
    assert after.totals == totals_by_unit(after), "totals that the parts do not add up to"
    if after.lines is not before.lines:
        check_parts(after)
    check_credits(before, after)
    check_value(before, after)
    known = {payment.id: payment for payment in before.ledger.payments}
    for payment in after.ledger.payments:
        old = known.get(payment.id, payment)
        assert old.captured <= payment.captured <= payment.amount, "captured"
        assert payment.refunded <= payment.captured, "refunded"
        going = asked_back(after, payment, RefundStatus.REQUESTED, RefundStatus.SUCCEEDED)
        assert going <= payment.captured, "more goes back than came"
    for call in after.ledger.operations:
        assert not after.ledger.payment(call.payment_id).manual, "a manual payment is sent"
    check_refunds(before, after)


def check_refunds(before: OrderState, after: OrderState) -> None:
    """Each refund has its call until it is settled, and none began without money to give."""
    called = {
        call.refund_id for call in after.ledger.operations if call.kind is OperationKind.REFUND
    }
    for refund in after.ledger.refunds:
        payment = after.ledger.payment(refund.payment_id)
        requested = refund.status is RefundStatus.REQUESTED
        assert (refund.id in called) <= requested, "a settled refund has a call"
        in_doubt = payment.status is PaymentStatus.REVIEW
        assert refund.id in called or not requested or in_doubt, "a refund without its call"
    for refund in after.ledger.refunds[len(before.ledger.refunds) :]:
        payment = after.ledger.payment(refund.payment_id)
        assert payment.status is not PaymentStatus.REVIEW, "a refund of a payment in doubt"
        if refund.recorded:
            continue
        old = next((p for p in before.ledger.payments if p.id == payment.id), payment)
        # One report may bring money and count a refund under way: what came is sent back first.
        both = payment.captured > old.captured and payment.refunded > old.refunded
        refunded = payment.refunded_elsewhere + (old.refunded if both else payment.refunded)
        kept = payment.captured - refunded - payment.charged_back
        assert pending(after, payment) <= kept, "more is going back than is held"


def check_credits(before: OrderState, after: OrderState) -> None:
    """A new credit is for something that the order costs, and a write-off for what is owed."""
    for credit in after.credits[len(before.credits) :]:
        # One command may call units off and grant a credit: what counts is the order after it.
        known = after.totals.credits <= after.totals.gross or not credit.amount
        assert known, "a credit beyond what the order costs"
        if credit.reason == WRITE_OFF:
            assert credit.amount <= before.totals.outstanding, "written off and not owed"
        assert 0 <= credit.tax <= credit.amount, "more tax than credit"
        assert sum(credit.lines.values()) in {0, credit.amount}, "a credit without its parts"
        for line in after.lines:
            if line.id in credit.lines:
                given = sum(c.lines.get(line.id, 0) for c in after.credits if not c.revoked_at)
                assert given <= value_of(after, line, wanted(line)), "a credit beyond its line"


def check_value(before: OrderState, after: OrderState) -> None:
    """What may be captured for all parcels is what their units and the shipping cost."""
    for parcel in after.shipments[len(before.shipments) :]:
        there = [each.value or 0 for each in before.shipments if each.status not in FREED]
        left = sum(
            value_of(after, line, wanted(line))
            - value_of(after, line, line.allocated + line.shipped)
            for line in after.lines
        )
        packed = min(after.totals.due, after.totals.gross - left)
        counted = any(
            parcel.items.get(line.id, 0) > parcel.surplus.get(line.id, 0) for line in after.lines
        )
        expected = max(0, packed - sum(there)) if counted else 0
        assert parcel.value == expected, "the value of a parcel"


def check_sent(before: OrderState, news: Sequence[RecordedEvent]) -> None:
    """Nothing is packed or sent that nobody pays for, and nothing that is held."""
    if not any(isinstance(each.event, ShipmentCreated | OrderShipped) for each in news):
        return
    leaving = {c.payment_id for c in before.ledger.operations if c.kind is OperationKind.VOID}
    open_amount = sum(held(p) for p in before.ledger.payments if p.id not in leaving)
    covered = before.totals.net + open_amount >= before.totals.due
    assert before.terms or covered, "sent without cover"
    assert not any(hold.released_at is None for hold in before.holds), "sent while held"


def check_events(before: OrderState, after: OrderState, news: Sequence[RecordedEvent]) -> None:
    """Events have no gap, tell of every move along the table, and the last one how it stands."""
    numbers = [event.sequence for event in news]
    assert numbers == list(range(before.sequence + 1, after.sequence + 1)), "events have a gap"
    statuses = [before.status, *(event.after.status for event in news)]
    moves = {pair for pair in pairwise(statuses) if pair[0] is not pair[1]}
    assert moves <= MOVES, "a move that there is not"
    for event in news:
        assert event.version == after.version + 1, "an event of another version"
        if isinstance(event.event, OrderCompleted):
            check_completed(event.after.totals, after.lines)
        if isinstance(event.event, OrderConfirmed):
            by_people = event.actor.kind != "system"
            assert after.confirmation == "automatic" or by_people, "confirmed without a person"
    last = news[-1].after if news else standing(before)
    assert last == standing(after), "a change that no event tells"


def check_completed(totals: Totals, lines: Iterable[Line]) -> None:
    assert totals.net == totals.due or totals.net < 0 == totals.due, "completed and not settled"
    assert totals.authorized == totals.pending_refunds == 0, "completed with money under way"
    arrived = all(line.delivered == deliverable(line) for line in lines if line.shippable)
    assert arrived, "completed before all arrived"


def check_statuses(state: OrderState) -> None:
    """They follow from facts: worked out from the state alone, they are what it says."""
    assert state.payment_status is payment_status_of(state.totals, state.ledger), "payment_status"
    assert state.fulfillment_status is derive_fulfillment_status(state.lines), "fulfillment_status"
    assert state.return_status is derive_return_status(state.lines, state.returns), "return_status"


def check_ended(state: OrderState, dismissed: Collection[str]) -> None:
    """Nothing is owed, nothing travels, and all that came is on its way back."""
    totals = state.totals
    assert totals.due == 0, "something is due of an ended order"
    # A bank may take what was refunded already, and two people may give the same money back.
    twice = totals.charged_back or any(p.refunded_elsewhere for p in state.ledger.payments)
    assert totals.outstanding == 0 or twice, "an ended order owes"
    wanted = any(line.allocated or line.shipped or line.live for line in state.lines)
    assert not wanted, "units of an ended order are wanted"
    # What people decide: refunds that were refused or failed, payments that contradict us or did
    # so, money that came without the payment service.
    refused = sum(r.amount for r in state.ledger.refunds if r.status is RefundStatus.FAILED)
    refused += sum(p.details.failed_amount for p in state.ledger.payments if p.details)
    reviewed = sum(
        payment.captured
        for payment in state.ledger.payments
        if payment.status is PaymentStatus.REVIEW or payment.id in dismissed or payment.manual
    )
    assert totals.refund_due <= refused + reviewed, "money is kept that nobody owes"


def is_served(state: OrderState) -> bool:
    """All is delivered and paid: an authorisation holds a payer's money for nothing."""
    taken = state.status in {OrderStatus.CONFIRMED, OrderStatus.COMPLETED}
    paid = state.totals.net >= state.totals.due
    capturing = any(call.kind is OperationKind.CAPTURE for call in state.ledger.operations)
    arrived = all(line.delivered == deliverable(line) for line in state.lines if line.shippable)
    return taken and paid and arrived and not capturing


def check_calls(calls: Iterable[PaymentOperation]) -> None:
    """A key means one call for ever. Voids have no amount on the wire."""
    meanings: dict[str, tuple[object, ...]] = {}
    for call in calls:
        meaning = (call.kind, call.payment_id, call.kind is OperationKind.VOID or call.amount)
        assert meanings.setdefault(call.key, meaning) == meaning, "a key got a second meaning"


def standing(state: OrderState) -> OrderSnapshot:
    return OrderSnapshot(
        status=state.status,
        payment_status=state.payment_status,
        fulfillment_status=state.fulfillment_status,
        return_status=state.return_status,
        totals=state.totals,
    )


def pending(state: OrderState, payment: Payment) -> int:
    """What is on its way back of a payment, or may be."""
    return asked_back(state, payment, RefundStatus.REQUESTED)


def asked_back(state: OrderState, payment: Payment, *statuses: RefundStatus) -> int:
    """What the refunds of a payment that have these statuses add up to."""
    return sum(
        refund.amount
        for refund in state.ledger.refunds
        if refund.payment_id == payment.id and refund.status in statuses
    )


def left(line: Line) -> int:
    """Units that are wanted and in no shipment."""
    return deliverable(line) - line.allocated - line.shipped


def deliverable(line: Line) -> int:
    """Units that are delivered, or are still to be."""
    return line.quantity - line.cancelled - line.undeliverable
