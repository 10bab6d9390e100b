"""What must be true of a history once everything has healed, judged by what is outside the
service: the payment service's books, the brokers' deliveries, the answers that clients got.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import pairwise

from orders.adapters.messages import encode
from orders.application.ports import LoggedEvent
from orders.domain.events import (
    OrderCancelled,
    OrderCompleted,
    OrderConfirmed,
    OrderCreated,
    OrderExpired,
    OrderItemsCancelled,
    RecordedEvent,
)
from orders.domain.identifiers import OrderId
from orders.domain.lifecycle import OrderStatus
from orders.domain.payments import (
    DisputeStatus,
    PaymentReport,
    PaymentStatus,
    RefundStatus,
)
from orders.domain.state import OrderState
from tests.domain.machine.invariants import MOVES
from tests.simulation.history import History
from tests.simulation.remote import WatchedBroker

GROSS = 4_300
"""What every order of the simulation costs when it is placed, in cents."""
DELIVERED_WITHIN = timedelta(seconds=60)
ENDED = {OrderStatus.CANCELLED, OrderStatus.EXPIRED}
TOLD_BY = {
    OrderStatus.CONFIRMED: OrderConfirmed,
    OrderStatus.COMPLETED: OrderCompleted,
    OrderStatus.CANCELLED: OrderCancelled,
    OrderStatus.EXPIRED: OrderExpired,
}


def violations(history: History) -> list[str]:
    """Every promise that a history has broken, by its number in the list of cases."""
    found = [f"I9 a use case raised {fault!r}" for fault in history.world.faults]
    if history.calm_after is None:
        found.append("I5 something is never done")
    found += _acknowledgements(history)
    stored = history.outside.orders.latest()
    found += [f"I6 an order nobody asked for: {key}" for key in stored.keys() - history.asked_for]
    for order_id, state in stored.items():
        delivered: list[LoggedEvent] = []
        for broker in history.outside.brokers.values():
            delivered = [e for e in broker.published if e.order_id == order_id]
            found += _deliveries(state, delivered)
            found += _delays(history, broker, delivered)
        found += _transitions(history, order_id, delivered)
        found += _versions(history, order_id)
        found += _charges(history, state)
        found += _money(history, state)
        found += _once(history, state, delivered)
        found += _at_rest(state)
    found += _strangers(history)
    found += [f"I7 told as booked, and forgotten: {key}" for key in history.outside.forgotten]
    return found


def _acknowledgements(history: History) -> Iterator[str]:
    """I2: what a client was told of is there, and not older than that; I6: by its own key."""
    stored = history.outside.orders.latest()
    for told in history.told:
        state = stored.get(told.order_id)
        if state is None:
            yield f"I2 {told.key} was acknowledged and is gone"
        elif state.version < told.version:
            yield f"I8 {told.key} saw version {told.version}, now it is {state.version}"
        elif told.state not in [each for each, _ in history.outside.orders.written[told.order_id]]:
            yield f"I2 {told.key} was told of what no majority ever had"


def _deliveries(state: OrderState, delivered: list[LoggedEvent]) -> Iterator[str]:
    """I4: 1..n without gaps, first deliveries in order, duplicates equal to the byte."""
    first: dict[int, LoggedEvent] = {}
    for event in delivered:
        known = first.setdefault(event.recorded.sequence, event)
        if known is not event and encode(known) != encode(event):
            yield f"I4 {event.id} was delivered in two forms"
    numbers = list(first)
    if numbers != sorted(numbers):
        yield f"I4 first deliveries out of order: {numbers}"
    if sorted(numbers) != list(range(1, state.sequence + 1)):
        yield f"I4 of {state.sequence} events {sorted(numbers)} were delivered"


def _delays(history: History, broker: WatchedBroker, delivered: list[LoggedEvent]) -> Iterator[str]:
    """I3: once nothing goes wrong, an event arrives within a minute."""
    for event in delivered:
        begun = max(history.healed_at, event.recorded.occurred_at)
        if broker.arrived_at[event.id] - begun > DELIVERED_WITHIN:
            yield f"I3 {event.id} took more than {DELIVERED_WITHIN}"


def _transitions(
    history: History, order_id: OrderId, delivered: list[LoggedEvent]
) -> Iterator[str]:
    """I3: each move of the stored order has exactly one event, and no event tells another."""
    states = [state for state, _ in history.outside.orders.written[order_id]]
    heard: dict[int, RecordedEvent] = {e.recorded.sequence: e.recorded for e in delivered}
    recorded = [heard[number] for number in sorted(heard)]
    told = [OrderStatus.PENDING, *(event.after.status for event in recorded)]
    moves = [pair for pair in pairwise(told) if pair[0] is not pair[1]]
    if any(move not in MOVES for move in moves):
        yield f"I3 events tell of moves that there are not: {moves}"
    kinds = Counter(type(event.event) for event in recorded)
    for status, kind in TOLD_BY.items():
        if kinds[kind] != sum(arrived is status for _, arrived in moves):
            yield f"I3 {kinds[kind]} {kind.__name__} for the moves {moves}"
    last: dict[int, OrderStatus] = {event.version: event.after.status for event in recorded}
    status = OrderStatus.PENDING
    for state in states:
        status = last.get(state.version, status)
        if state.status is not status:
            yield f"I3 version {state.version} is {state.status}, events say {status}"


def _versions(history: History, order_id: OrderId) -> Iterator[str]:
    """I8: each write made the next version, and took no event back."""
    states = [state for state, _ in history.outside.orders.written[order_id]]
    numbers = [state.version for state in states]
    if numbers != list(range(1, len(numbers) + 1)):
        yield f"I8 versions were written as {numbers}"
    if any(after.sequence < before.sequence for before, after in pairwise(states)):
        yield "I8 the newest event was taken back"


def _charges(history: History, state: OrderState) -> Iterator[str]:
    """I1: one charge at most that is kept or held, and each attempt under its own one key."""
    books = _books(history, state)
    keys = {f"{state.id}:{payment.id}" for payment in state.ledger.payments}
    if books.keys() - keys:
        yield f"I1 charged under keys that the order does not know: {sorted(books.keys() - keys)}"
    left = {key: _kept(r) + held for key, (r, held) in books.items()}
    if any(_was_taken_back(report) for report, _ in books.values()):
        return  # Who pays anew after that has paid twice once the bank changes its mind.
    if sum(amount > 0 for amount in left.values()) > 1:
        yield f"I1 charged more than once: {left}"
    if sum(left.values()) > GROSS:
        yield f"I1 charged more than was ordered: {left}"


def _money(history: History, state: OrderState) -> Iterator[str]:
    """I7: the payment service's books are ours, and what is kept is what the state says."""
    books = _books(history, state).values()
    reports = [report for report, _ in books]
    asked = [payment for payment in state.ledger.payments if payment.manual is None]
    held = sum(held for _, held in books)
    there = (
        sum(report.captured for report in reports),
        sum(report.refunded for report in reports),
        sum(map(_taken_by_banks, reports)),
        held,
    )
    here = (
        sum(payment.captured for payment in asked),
        sum(payment.refunded for payment in asked),
        sum(payment.charged_back for payment in asked),
        state.totals.authorized,
    )
    if there != here:
        yield f"I7 captured, refunded, charged back, held: {there} there, {here} here"
    yield from _refunds(state, reports)
    by_hand = sum(payment.refunded_elsewhere for payment in asked)
    kept, failed = sum(map(_kept, reports)) - by_hand, _failed(state)
    if state.status in ENDED and held + kept > failed:
        yield f"I7 {state.status}, and {held} held, {kept} kept"
    recorded = sum(payment.manual is not None for payment in state.ledger.payments)
    acknowledged = {
        told.key
        for told in history.told
        if (told.order_id, told.operation) == (state.id, "record_payment")
    }
    if recorded < len(acknowledged):
        yield f"I7 {len(acknowledged)} payments were recorded, and {recorded} are there"


def _refunds(state: OrderState, reports: Sequence[PaymentReport]) -> Iterator[str]:
    """What goes back is owed, and is there; unless others give the same money back."""
    totals = state.totals
    elsewhere = any(refund.recorded for refund in state.ledger.refunds) or any(
        refund.reference is None for report in reports for refund in report.refunds
    )
    if elsewhere:
        return
    if totals.refunded and totals.captured - totals.refunded < totals.due:
        yield f"I7 refunded below what is due: {totals.captured} - {totals.refunded}"
    for refund in state.ledger.refunds:
        if refund.failure_code not in (None, "refund_failed"):
            yield f"I7 refund {refund.id} was more than there is: {refund.failure_code}"


def _failed(state: OrderState) -> int:
    return sum(r.amount for r in state.ledger.refunds if r.status is RefundStatus.FAILED)


def _kept(report: PaymentReport) -> int:
    """What the shop has of a payment."""
    return report.captured - report.refunded - _taken_by_banks(report)


def _taken_by_banks(report: PaymentReport) -> int:
    return sum(each.amount for each in report.disputes if each.status is not DisputeStatus.WON)


def _was_taken_back(report: PaymentReport) -> bool:
    """Whether a bank took money back, or sent a refund back."""
    return bool(report.disputes) or report.failed_amount > 0


def _books(history: History, state: OrderState) -> dict[str, tuple[PaymentReport, int]]:
    """What the payment service has of an order, by reference, and what it still holds of each."""
    books = history.outside.provider.books().items()
    return {key: account for key, account in books if key.startswith(f"{state.id}:")}


def _once(history: History, state: OrderState, delivered: list[LoggedEvent]) -> Iterator[str]:
    """I6: a request key acts once, however often it was sent."""
    keys = [request.key for request in state.requests]
    if len(set(keys)) != len(keys):
        yield "I6 a request was carried out twice"
    made = {e.id for e in delivered if isinstance(e.recorded.event, OrderCreated)}
    if len(made) != 1:
        yield f"I6 {len(made)} orders created by one key"
    fewer = {e.id for e in delivered if isinstance(e.recorded.event, OrderItemsCancelled)}
    acknowledged = [
        told
        for told in history.told
        if (told.order_id, told.operation) == (state.id, "cancel_items")
    ]
    if len(fewer) < len(acknowledged):
        yield f"I6 {len(acknowledged)} cancellations acknowledged, {len(fewer)} carried out"


def _at_rest(state: OrderState) -> Iterator[str]:
    """I5: no call or refund without outcome, no payment in doubt, nothing that time should end."""
    if state.ledger.operations:
        yield f"I5 calls left: {[call.key for call in state.ledger.operations]}"
    doubtful = {PaymentStatus.PENDING, PaymentStatus.REQUIRES_ACTION, PaymentStatus.REVIEW}
    for payment in state.ledger.payments:
        if payment.status in doubtful:
            yield f"I5 payment {payment.id} is left {payment.status}"
    if any(refund.status is RefundStatus.REQUESTED for refund in state.ledger.refunds):
        yield "I5 a refund is left without outcome"
    if state.status is OrderStatus.PENDING and not state.open_holds:
        yield "I5 it is left pending, and nothing holds it"


def _strangers(history: History) -> Iterator[str]:
    """I1: nobody is charged for an order that is not there."""
    orders = {str(order_id) for order_id in history.outside.orders.latest()}
    for reference in history.outside.provider.books():
        if reference.partition(":")[0] not in orders:
            yield f"I1 charged without an order: {reference}"
