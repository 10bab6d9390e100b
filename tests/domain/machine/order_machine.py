"""One order under random commands and facts, judged by the invariants after every step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, Protocol, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from orders.domain.errors import OrderError
from orders.domain.events import PaymentOperationFailed
from orders.domain.identifiers import PartId
from orders.domain.lines import DraftLine
from orders.domain.money import Money
from orders.domain.order.order import CANCEL_REASONS, Order
from orders.domain.order.storing import mark_stored, restore
from orders.domain.payments import PaymentOperation, PaymentStatus, ProviderStatus
from orders.domain.state import OrderState
from orders.domain.validation import Shipping
from tests.domain.machine import invariants
from tests.domain.machine.payment_model import FATES, Answer, PaymentModel
from tests.support.orders import CUSTOMER, STAFF, a_placed_order

PICK = st.integers(0, 5)
"""Which of some things: 0 is the newest, beyond the oldest it starts again."""
MONEY = st.none() | st.sampled_from([1, 10, 40]) | st.integers(-1, 400)
OVER = st.sampled_from([0, 1, 1, -1, -2])
"""How many units more than there are."""
LINES = st.lists(
    st.builds(
        DraftLine,
        sku=st.just("PEN"),
        name=st.just("Pen"),
        quantity=st.integers(1, 4),
        unit_price=st.integers(0, 60) | st.just(50),
        tax=st.integers(0, 7),
        shippable=st.sampled_from([True, True, True, False]),
    ),
    min_size=1,
    max_size=2,
)
START = st.sampled_from(
    [
        *("placed", "asked", "authorized", "captured", "sent", "delivered"),
        *("reduced", "cancelled", "refunding", "expired"),
    ]
)
"""How far an order has come when chance takes over: most of an order's life is late."""
CONTRADICTIONS: Sequence[dict[str, Any]] = [
    {"amount": Money(999, "EUR")},
    {"captured": 999},
    {"status": ProviderStatus.CAPTURED, "captured": 0, "refunded": 0},
    *(
        {"status": status, "captured": 1, "refunded": 0}
        for status in ProviderStatus
        if status not in {ProviderStatus.CAPTURED, ProviderStatus.AUTHORIZED}
    ),
]
FATE = st.sampled_from([*FATES, ProviderStatus.CAPTURED, ProviderStatus.AUTHORIZED])


T = TypeVar("T")


class Part(Protocol):
    @property
    def id(self) -> PartId: ...


def newest(things: Sequence[T], pick: int) -> T:
    return things[-1 - pick % len(things)]


def id_of(parts: Sequence[Part], pick: int) -> str:
    """A part's number, or that of a part that is not there."""
    return newest(parts, pick).id if parts else "1"


class OrderMachine(RuleBasedStateMachine):
    """Commands may be refused, and then change nothing; facts are booked. `runs` counts."""

    runs: ClassVar[int] = 0

    @initialize(lines=LINES, discount=st.integers(0, 5), shipping=st.integers(0, 9), start=START)
    def place(self, lines: list[DraftLine], discount: int, shipping: int, start: str) -> None:
        type(self).runs += 1
        worth = sum(line.quantity * (line.unit_price or 0) for line in lines)
        self.order = a_placed_order(
            lines=tuple(lines), discount=min(discount, worth), shipping=Shipping(price=shipping)
        )
        self.payments = PaymentModel()
        self.steps = 0
        self.told: list[Answer] = []
        self.calls: list[PaymentOperation] = []
        self.unvoidable: set[str] = set()
        first = self.order.new_events
        assert [event.sequence for event in first] == list(range(1, len(first) + 1))
        assert first[-1].after == invariants.standing(self.order.state)
        self.come_to(start)

    def come_to(self, start: str) -> None:
        match start:
            case "asked" | "cancelled":
                self.pay(None, True)
            case "authorized" | "reduced":
                self.pay_what_is_left(ProviderStatus.AUTHORIZED)
            case "expired":
                self.pay_what_is_left(ProviderStatus.DECLINED)
                self.expire()
            case "captured" | "refunding" | "sent" | "delivered":
                self.pay_what_is_left(ProviderStatus.CAPTURED)
            case _:
                pass
        if start == "reduced":
            self.cancel_items(0, 1 - invariants.left(self.order.state.lines[-1]))
        if start in {"cancelled", "refunding"}:
            self.cancel("customer")
        if start in {"sent", "delivered"}:
            self.send_all(start == "delivered")

    # -- commands -------------------------------------------------------------------------

    @rule(amount=MONEY, capture=st.booleans())
    def pay(self, amount: int | None, capture: bool) -> None:
        self.command(
            lambda order: order.start_payment(
                "tok_ok", amount=amount, capture=capture, by=CUSTOMER, now=self.now
            )
        )

    @rule(fate=FATE)
    def pay_what_is_left(self, fate: ProviderStatus) -> None:
        self.pay(None, fate is ProviderStatus.CAPTURED)
        if self.order.state.ledger.operations:
            self.answer(0, fate)

    @precondition(lambda self: self.order.state.totals.authorized)
    @rule(pick=PICK, amount=MONEY)
    def capture(self, pick: int, amount: int | None) -> None:
        payment_id = id_of(
            [p for p in self.order.state.ledger.payments if p.capturable_amount], pick
        )
        self.command(lambda order: order.capture(payment_id, amount=amount, by=STAFF, now=self.now))

    @precondition(lambda self: any(p.is_voidable for p in self.order.state.ledger.payments))
    @rule(pick=PICK)
    def void(self, pick: int) -> None:
        payment_id = id_of([p for p in self.order.state.ledger.payments if p.is_voidable], pick)
        self.command(lambda order: order.void(payment_id, by=STAFF, now=self.now))

    @precondition(lambda self: self.order.state.totals.captured)
    @rule(amount=MONEY, pick=st.none() | PICK)
    def refund(self, amount: int | None, pick: int | None) -> None:
        named = None if pick is None else id_of(self.order.state.ledger.payments, pick)
        self.command(
            lambda order: order.refund(
                amount=amount, payment_id=named, reason="asked", by=STAFF, now=self.now
            )
        )

    @rule(amount=st.integers(1, 60))
    def grant_credit(self, amount: int) -> None:
        self.command(lambda order: order.grant_credit(amount, "goodwill", by=STAFF, now=self.now))

    @precondition(lambda self: self.steps > 6)
    @rule(reason=st.sampled_from([*CANCEL_REASONS, "none"]))
    def cancel(self, reason: str) -> None:
        self.command(lambda order: order.cancel(reason, by=CUSTOMER, now=self.now))

    @rule(pick=PICK, over=OVER)
    def cancel_items(self, pick: int, over: int) -> None:
        line = newest(self.order.state.lines, pick)
        units = {line.id: invariants.left(line) + over}
        self.command(lambda order: order.cancel_items(units, "other", by=CUSTOMER, now=self.now))

    @rule(pick=PICK, over=OVER, more=LINES | st.just([]))
    def propose_change(self, pick: int, over: int, more: list[DraftLine]) -> None:
        line = newest(self.order.state.lines, pick)
        units = {line.id: invariants.left(line) + over}
        taken = {line_id: count for line_id, count in units.items() if count}
        self.command(
            lambda order: order.propose_change(
                removed=taken, added=more, reason="other", by=CUSTOMER, now=self.now
            )
        )

    @precondition(lambda self: self.order.state.changes)
    @rule(pick=PICK, step=st.sampled_from(["apply", "apply", "decline"]))
    def decide_change(self, pick: int, step: str) -> None:
        change = newest(self.order.state.changes, pick)
        agreed, lines = change.gross, self.order.state.lines
        self.command(
            lambda order: getattr(order, f"{step}_change")(change.id, by=STAFF, now=self.now)
        )
        if self.order.state.lines != lines:
            assert self.order.state.totals.gross == agreed, "not the price that was agreed"

    @precondition(lambda self: self.order.status == "pending" and self.steps > 12)
    @rule()
    def expire(self) -> None:
        self.command(lambda order: order.expire(now=order.state.expires_at))

    @precondition(lambda self: self.steps % 5 == 0)
    @rule()
    def hold(self) -> None:
        self.command(lambda order: order.hold("address", by=STAFF, now=self.now))

    @precondition(lambda self: self.order.state.holds)
    @rule(pick=PICK)
    def release(self, pick: int) -> None:
        hold_id = id_of(self.order.state.holds, pick)
        self.command(lambda order: order.release(hold_id, by=STAFF, now=self.now))

    @rule(pick=PICK, over=OVER)
    def pack(self, pick: int, over: int) -> None:
        line = newest(self.order.state.lines, pick)
        units = {line.id: invariants.left(line) + over}
        self.command(lambda order: order.create_shipment(units, by=STAFF, now=self.now))

    @precondition(lambda self: any(line.cancelled for line in self.order.state.lines))
    @rule(pick=PICK)
    def pack_what_was_ordered(self, pick: int) -> None:
        """The warehouse has not heard of what was called off."""
        line = newest(self.order.state.lines, pick)
        units = {line.id: line.quantity - line.allocated - line.shipped}
        self.command(lambda order: order.create_shipment(units, by=STAFF, now=self.now))

    @precondition(lambda self: self.order.status == "confirmed")
    @rule(delivered=st.booleans())
    def send_all(self, delivered: bool) -> None:
        lines = [line for line in self.order.state.lines if line.shippable]
        units = {line.id: invariants.left(line) for line in lines if invariants.left(line)}
        self.command(lambda order: order.create_shipment(units, by=STAFF, now=self.now))
        for step in ("dispatch", "deliver") if delivered else ("dispatch",):
            self.ship(0, step)

    @precondition(lambda self: self.order.state.shipments)
    @rule(pick=PICK, step=st.sampled_from(["dispatch", "deliver", "cancel_shipment"]))
    def ship(self, pick: int, step: str) -> None:
        shipment_id = id_of(self.order.state.shipments, pick)
        self.command(lambda order: getattr(order, step)(shipment_id, by=STAFF, now=self.now))

    @precondition(lambda self: any(line.delivered for line in self.order.state.lines))
    @rule(pick=PICK, over=OVER)
    def request_return(self, pick: int, over: int) -> None:
        line = newest(self.order.state.lines, pick)
        units = {line.id: line.delivered - line.returned + over}
        self.command(lambda order: order.request_return(units, "bad", by=CUSTOMER, now=self.now))

    @precondition(lambda self: self.order.state.returns)
    @rule(pick=PICK, step=st.sampled_from(["approve", "receive", "close", "decline"]))
    def take_back(self, pick: int, step: str) -> None:
        return_id = id_of(self.order.state.returns, pick)
        self.command(
            lambda order: getattr(order, f"{step}_return")(return_id, by=STAFF, now=self.now)
        )

    @precondition(lambda self: any(line.delivered for line in self.order.state.lines))
    @rule(pick=PICK)
    def take_all_back(self, pick: int) -> None:
        self.request_return(pick, 0)
        for step in ("approve", "receive") if self.order.state.returns else ():
            self.take_back(0, step)

    # -- facts ----------------------------------------------------------------------------

    @precondition(lambda self: self.calls)
    @rule(pick=PICK, fate=FATE | st.none())
    def ask(self, pick: int, fate: ProviderStatus | None) -> None:
        """A call reaches the payment service, now or much later, once or again."""
        call = newest(self.askable(self.calls), pick)
        self.told.append(self.payments.carry_out(self.order, call, fate))

    @precondition(lambda self: self.told)
    @rule(pick=PICK)
    def tell(self, pick: int) -> None:
        """An answer arrives: any one, so late, twice and out of order."""
        self.fact(newest(self.told, pick).tell)

    @precondition(lambda self: self.order.state.ledger.operations)
    @rule(pick=PICK, fate=FATE | st.none())
    def answer(self, pick: int, fate: ProviderStatus | None) -> None:
        call = newest(self.askable(self.order.state.ledger.operations), pick)
        self.told.append(self.payments.carry_out(self.order, call, fate))
        self.tell(0)

    @precondition(lambda self: self.order.state.ledger.operations)
    @rule(pick=PICK, fate=FATE | st.none())
    def answer_by_webhook(self, pick: int, fate: ProviderStatus | None) -> None:
        """The answer is late, and the webhook that tells the same is quicker."""
        call = newest(self.askable(self.order.state.ledger.operations), pick)
        self.told.append(self.payments.carry_out(self.order, call, fate))
        if self.payments.news:
            self.webhook(0)

    @rule()
    def answer_all(self) -> None:
        """Every service is well again: soon nothing is under way any more."""
        for _ in range(20):
            for account in self.payments.accounts.values():
                self.payments.decide(account, ProviderStatus.CAPTURED)
            if not self.order.state.ledger.operations:
                break
            self.answer(0, ProviderStatus.CAPTURED)
        assert not self.order.state.ledger.operations, "calls without end"

    @precondition(lambda self: self.order.state.ledger.operations)
    @rule(pick=PICK)
    def postpone(self, pick: int) -> None:
        key = newest(self.order.state.ledger.operations, pick).key
        self.fact(lambda order: order.record_unknown_outcome(key, now=self.now))

    @precondition(lambda self: self.payments.accounts)
    @rule(pick=PICK, fate=FATE)
    def decide(self, pick: int, fate: ProviderStatus) -> None:
        """The payment service makes up its mind."""
        self.payments.decide(newest(list(self.payments.accounts.values()), pick), fate)

    @precondition(lambda self: self.payments.accounts)
    @rule(pick=PICK, amount=st.integers(1, 60))
    def capture_unasked(self, pick: int, amount: int) -> None:
        account = newest(list(self.payments.accounts.values()), pick)
        self.payments.capture_unasked(account, amount)

    @precondition(lambda self: self.payments.news)
    @rule(pick=st.integers(0, 20))
    def webhook(self, pick: int) -> None:
        """Any report there ever was arrives by itself."""
        payment_id, report = newest(self.payments.news, pick)
        self.fact_for_ever(
            lambda order: order.record_payment_report(report, payment_id, now=self.now)
        )

    @precondition(lambda self: self.payments.news and self.steps > 12)
    @rule(pick=PICK, wrong=st.sampled_from(CONTRADICTIONS))
    def contradict(self, pick: int, wrong: dict[str, Any]) -> None:
        payment_id, report = newest(self.payments.news, pick)
        contradiction = replace(report, **wrong)
        self.fact_for_ever(
            lambda order: order.record_payment_report(contradiction, payment_id, now=self.now)
        )
        assert self.order.state.ledger.payment(payment_id).status is PaymentStatus.REVIEW

    @precondition(lambda self: self.payments.accounts)
    @rule(pick=PICK)
    def charge_back(self, pick: int) -> None:
        account = newest(list(self.payments.accounts.values()), pick)
        account.charged_back = account.charged_back or max(0, account.kept)
        if account.charged_back:
            payment_id, report = account.payment_id, account.report
            self.fact_for_ever(
                lambda order: order.record_payment_report(
                    report, payment_id, charged_back=True, now=self.now
                )
            )

    @invariant()
    def time_goes_by(self) -> None:
        self.steps = getattr(self, "steps", 0) + 1

    @rule()
    def store(self) -> None:
        """A store takes the order and gives it back."""
        mark_stored(self.order, self.order.version + 1)
        self.order = restore(self.order.state)

    # -- how each is judged ---------------------------------------------------------------

    @property
    def now(self) -> datetime:
        return self.order.state.updated_at + timedelta(milliseconds=1)

    def askable(self, calls: Sequence[PaymentOperation]) -> list[PaymentOperation]:
        """Those that can be made: a void of what has no name yet waits for its beginning."""
        named = self.payments.accounts
        return [call for call in calls if call.kind == "authorize" or call.payment_id in named]

    def command(self, give: Callable[[Order], object]) -> None:
        """A refused command changes nothing."""
        before, events = self.order.state, self.order.new_events
        try:
            give(self.order)
        except OrderError:
            assert self.order.state is before
            assert self.order.new_events is events
        else:
            self.judge(before, len(events))

    def fact(self, book: Callable[[Order], object]) -> None:
        """A fact is never refused."""
        before, events = self.order.state, self.order.new_events
        book(self.order)
        self.judge(before, len(events))

    def fact_for_ever(self, book: Callable[[Order], object]) -> None:
        """To hear a report again changes nothing."""
        self.fact(book)
        known = self.order.state
        book(self.order)
        assert self.order.state is known, "twice is not once"

    def judge(self, before: OrderState, known_events: int) -> None:
        state, news = self.order.state, self.order.new_events[known_events:]
        invariants.check(before, state, news)
        self.calls += [
            newer
            for newer in state.ledger.operations
            if newer.key not in {c.key for c in before.ledger.operations}
        ]
        invariants.check_calls(self.calls)
        self.unvoidable |= {
            told.event.payment_id
            for told in news
            if isinstance(told.event, PaymentOperationFailed) and told.event.operation == "void"
        }
        if state.status in invariants.ENDED or invariants.is_served(state):
            held = {payment.id for payment in state.ledger.payments if payment.capturable_amount}
            voiding = {call.payment_id for call in state.ledger.operations if call.kind == "void"}
            assert held <= voiding | self.unvoidable, "held for nothing"
