"""What all parts of the machine share: the order, its world, and how each step is judged.

A part is a class of rules over `Driven`; `OrderMachine` joins them. A rule gives a command or a
fact by `command`, `fact` or `fact_at_any_time`, and so says nothing of what must hold afterwards.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Protocol, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from orders.domain.errors import OrderError
from orders.domain.events import PaymentDismissed, PaymentOperationFailed, RecordedEvent
from orders.domain.identifiers import PartId
from orders.domain.order.order import Order
from orders.domain.order.storing import mark_stored, restore
from orders.domain.payments import PaymentOperation
from orders.domain.state import OrderState
from tests.domain.machine import books, invariants
from tests.domain.machine.books import Journal
from tests.domain.machine.payment_model import Answer, PaymentModel

PICK = st.integers(0, 5)
"""Which of some things: 0 is the newest, beyond the oldest it starts again."""
MONEY = st.none() | st.sampled_from([1, 10, 40]) | st.integers(-1, 400)
OVER = st.sampled_from([0, 1, 1, -1, -2])
"""How many units more than there are."""

REFUSED = "refused: "
"""Before the code of a refusal, among what was seen."""

T = TypeVar("T")


class Part(Protocol):
    @property
    def id(self) -> PartId: ...


def newest(things: Sequence[T], pick: int) -> T:
    return things[-1 - pick % len(things)]


def id_of(parts: Sequence[Part], pick: int) -> str:
    """A part's number, or that of a part that is not there."""
    return newest(parts, pick).id if parts else "1"


class Driven(RuleBasedStateMachine):
    """Commands may be refused, and then change nothing; facts are recorded."""

    runs: ClassVar[int] = 0
    seen: ClassVar[Counter[str]]
    """What the runs have led to: steps, events by their name, refusals by their code."""

    def __init_subclass__(cls, **arguments: Any) -> None:
        """Let each machine count for itself."""
        super().__init_subclass__(**arguments)
        cls.runs, cls.seen = 0, Counter()

    def begin(self, order: Order, *, lists_parts: bool) -> None:
        """Start with an order that was just placed, and a payment service of one kind."""
        type(self).runs += 1
        self.order = order
        self.payments = PaymentModel(lists_parts=lists_parts)
        self.journal = Journal()
        self.steps = 0
        self.told: list[Answer] = []
        self.calls: list[PaymentOperation] = []
        self.unvoidable: set[str] = set()
        self.dismissed: set[str] = set()
        first = self.order.new_events
        self.note(first)
        assert [event.sequence for event in first] == list(range(1, len(first) + 1))
        assert first[-1].after == invariants.standing(self.order.state)

    @invariant()
    def time_goes_by(self) -> None:
        self.steps = getattr(self, "steps", 0) + 1
        type(self).seen["steps"] += 1

    @rule()
    def store(self) -> None:
        """A store takes the order and gives it back."""
        mark_stored(self.order, self.order.version + 1)
        self.order = restore(self.order.state)

    @property
    def state(self) -> OrderState:
        return self.order.state

    @property
    def now(self) -> datetime:
        return self.order.state.updated_at + timedelta(milliseconds=1)

    def command(self, give: Callable[[Order], object]) -> bool:
        """A refused command changes nothing. Returns whether it was carried out."""
        before, events = self.order.state, self.order.new_events
        try:
            give(self.order)
        except OrderError as refusal:
            type(self).seen[f"{REFUSED}{refusal.code}"] += 1
            assert self.order.state is before
            assert self.order.new_events is events
            return False
        self.judge(before, len(events))
        return True

    def fact(self, record: Callable[[Order], object]) -> None:
        """A fact is never refused."""
        before, events = self.order.state, self.order.new_events
        record(self.order)
        self.judge(before, len(events))

    def fact_at_any_time(self, record: Callable[[Order], object]) -> None:
        """To hear a report again changes nothing."""
        self.fact(record)
        known = self.order.state
        record(self.order)
        assert self.order.state is known, "twice is not once"

    def judge(self, before: OrderState, known_events: int) -> None:
        state, news = self.order.state, self.order.new_events[known_events:]
        self.note(news)
        invariants.check(before, state, news, dismissed=self.dismissed)
        known = {call.key for call in before.ledger.operations}
        self.calls += [call for call in state.ledger.operations if call.key not in known]
        invariants.check_calls(self.calls)
        books.check(self.order, self.payments, self.journal)
        if state.status in invariants.ENDED or invariants.is_served(state):
            held = {payment.id for payment in state.ledger.payments if payment.capturable_amount}
            voiding = {call.payment_id for call in state.ledger.operations if call.kind == "void"}
            assert held <= voiding | self.unvoidable, "held for nothing"

    def note(self, news: Sequence[RecordedEvent]) -> None:
        """Remember what no state says: which voids were refused, what people have dismissed."""
        type(self).seen.update(type(recorded.event).__name__ for recorded in news)
        for recorded in news:
            match recorded.event:
                case PaymentOperationFailed(payment_id=payment_id, operation="void"):
                    self.unvoidable.add(payment_id)
                case PaymentDismissed(payment_id=payment_id):
                    self.dismissed.add(payment_id)
                case _:
                    pass
