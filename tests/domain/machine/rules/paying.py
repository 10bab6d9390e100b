"""Payments: the commands that move money through the payment service, and what they bring."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from orders.domain.payments import PaymentOperation, ProviderStatus
from tests.domain.machine.driving import MONEY, PICK, id_of, newest
from tests.domain.machine.rules.reporting import FATE, Reporting
from tests.support.orders import CUSTOMER, STAFF


class Paying(Reporting):
    """What a customer and finance do about money that the payment service moves."""

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
        if self.state.ledger.operations:
            self.answer(0, fate)

    @precondition(lambda self: self.state.totals.authorized)
    @rule(pick=PICK, amount=MONEY)
    def capture(self, pick: int, amount: int | None) -> None:
        payment_id = id_of([p for p in self.state.ledger.payments if p.capturable_amount], pick)
        self.command(lambda order: order.capture(payment_id, amount=amount, by=STAFF, now=self.now))

    @precondition(lambda self: any(p.is_voidable for p in self.state.ledger.payments))
    @rule(pick=PICK)
    def void(self, pick: int) -> None:
        payment_id = id_of([p for p in self.state.ledger.payments if p.is_voidable], pick)
        self.command(lambda order: order.void(payment_id, by=STAFF, now=self.now))

    @precondition(lambda self: self.state.totals.captured)
    @rule(amount=MONEY, pick=st.none() | PICK)
    def refund(self, amount: int | None, pick: int | None) -> None:
        named = None if pick is None else id_of(self.state.ledger.payments, pick)
        self.command(
            lambda order: order.refund(
                amount=amount, payment_id=named, reason="asked", by=STAFF, now=self.now
            )
        )

    @precondition(lambda self: self.state.ledger.doubtful_ids and self.steps % 3 == 0)
    @rule(pick=PICK)
    def dismiss(self, pick: int) -> None:
        payment_id = newest(self.state.ledger.doubtful_ids, pick)
        self.command(lambda order: order.dismiss_payment(payment_id, by=STAFF, now=self.now))

    # -- what operations bring ----------------------------------------------------------------

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

    @precondition(lambda self: self.state.ledger.operations)
    @rule(pick=PICK, fate=FATE | st.none())
    def answer(self, pick: int, fate: ProviderStatus | None) -> None:
        call = newest(self.askable(self.state.ledger.operations), pick)
        self.told.append(self.payments.carry_out(self.order, call, fate))
        self.tell(0)

    @precondition(lambda self: self.state.ledger.operations)
    @rule(pick=PICK, fate=FATE | st.none())
    def answer_by_webhook(self, pick: int, fate: ProviderStatus | None) -> None:
        """The answer is late, and the webhook that tells the same is quicker."""
        call = newest(self.askable(self.state.ledger.operations), pick)
        self.told.append(self.payments.carry_out(self.order, call, fate))
        if self.payments.news:
            self.webhook(0)

    @rule()
    def answer_all(self) -> None:
        """Every service is well again: soon nothing is under way any more."""
        for _ in range(20):
            for account in self.payments.accounts.values():
                self.payments.decide(account, ProviderStatus.CAPTURED)
                for place in range(len(account.report.refunds)):
                    if account.report.refunds[-1 - place].status == "pending":
                        self.payments.settle_refund(account, place, succeeds=True)
            if not self.state.ledger.operations:
                break
            self.answer(0, ProviderStatus.CAPTURED)
        assert not self.state.ledger.operations, "calls without end"

    @precondition(lambda self: self.state.ledger.operations)
    @rule(pick=PICK)
    def postpone(self, pick: int) -> None:
        key = newest(self.state.ledger.operations, pick).key
        self.fact(lambda order: order.record_unknown_outcome(key, now=self.now))

    def askable(self, calls: Sequence[PaymentOperation]) -> list[PaymentOperation]:
        """Those that can be made: a void of what has no name yet waits for its beginning."""
        named = self.payments.accounts
        return [call for call in calls if call.kind == "authorize" or call.payment_id in named]
