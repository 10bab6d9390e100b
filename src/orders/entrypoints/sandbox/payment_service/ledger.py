"""The sandbox's payment service without its HTTP: each request is one durable transaction."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
from msgspec.structs import replace as struct_replace

from orders.entrypoints.sandbox.payment_service.account import (
    Account,
    Authorization,
    Movement,
    Refusal,
    Void,
)
from orders.entrypoints.sandbox.payment_service.scenarios import (
    FATES,
    Pace,
    ResponseDelay,
    Scenario,
)
from orders.entrypoints.sandbox.payment_service.store import PaymentStore, Webhook

NOTICE_TRIES = 12
LONGEST_NOTICE_WAIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What a request is answered, and how soon."""

    status: int
    body: bytes
    replayed: bool = False
    haste: ResponseDelay = ResponseDelay.AT_ONCE


class PaymentLedger:
    """Books payments, exactly once per key. Blocks on the disk; used by one thread at a time."""

    def __init__(
        self,
        directory: Path,
        *,
        pace: Pace,
        notifies: bool,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Continue what the directory holds. `clock` tells seconds since 1970."""
        directory.mkdir(parents=True, exist_ok=True)
        self._store = PaymentStore(directory / "payments.sqlite3")
        self._pace = pace
        self._notifies = notifies
        self._clock = clock
        self.close = self._store.close
        self.ledger = self._store.ledger

    def authorize(self, key: str, asked: Authorization, *, traceparent: str | None = None) -> Reply:
        """Start a payment; what is told of it later is told in that trace."""
        request = f"authorize {msgspec.json.encode(asked).decode()}"
        return self._once(
            key, request, lambda calls: self._authorize(key, asked, traceparent, calls)
        )

    def capture(self, key: str, account_id: str, asked: Movement) -> Reply:
        """Capture some of a payment."""

        def book(_calls: int) -> Reply:
            account = self._known(account_id).with_capture(asked.amount)
            return self._book(account, "capture", asked.amount, key=key, news="captured")

        return self._once(key, f"capture {account_id} {asked.amount} {asked.reference}", book)

    def void(self, key: str, account_id: str, asked: Void) -> Reply:
        """Release what is not captured of a payment."""

        def book(_calls: int) -> Reply:
            before = self._known(account_id)
            account = before.with_void()
            if account == before:
                return Reply(201, msgspec.json.encode(account.published()))
            released = account.released - before.released
            return self._book(account, "void", released, key=key, news="voided")

        return self._once(key, f"void {account_id} {asked.reference}", book)

    def refund(self, key: str, account_id: str, asked: Movement) -> Reply:
        """Give some of a payment back."""

        def book(_calls: int) -> Reply:
            account = self._known(account_id).with_refund(asked.amount)
            if code := FATES[account.method].refund_decline_code:
                return Reply(402, msgspec.json.encode({"code": code}))
            return self._book(account, "refund", asked.amount, key=key, news="refunded")

        return self._once(key, f"refund {account_id} {asked.amount} {asked.reference}", book)

    def charge_back(self, account_id: str) -> Reply:
        """Let the payer's bank take back all that is kept of a payment."""
        try:
            with self._store.transaction():
                before = self._known(account_id)
                account = before.with_charge_back()
                return self._book(
                    account, "charge_back", before.kept, key=None, news="charged_back"
                )
        except Refusal as refusal:
            return _refused(refusal)

    def read(self, account_id: str) -> Reply:
        """One payment."""
        try:
            return Reply(200, msgspec.json.encode(self._known(account_id).published()))
        except Refusal as refusal:
            return _refused(refusal)

    def find(self, reference: str) -> Reply:
        """The payment of a reference, if any."""
        account = self._store.by_reference(reference)
        found = [] if account is None else [account.published()]
        return Reply(200, msgspec.json.encode({"payments": found}))

    def next_due_at(self) -> float | None:
        """When there is a payment to settle or a webhook to send, in seconds since 1970."""
        return self._store.next_due_at(notices=self._notifies)

    def settle_due(self) -> None:
        """Authorise the pending payments whose time has come."""
        with self._store.transaction():
            for pending in self._store.settling(self._clock()):
                self._book_authorized(pending, key=None)

    def due_notices(self, *, limit: int) -> list[Webhook]:
        """The webhooks to send now."""
        return self._store.due_notices(self._clock(), limit=limit)

    def mark_notices(self, tried: Sequence[tuple[Webhook, bool]]) -> None:
        """Store which webhooks were delivered; the others are sent again later, not for ever."""
        with self._store.transaction():
            for notice, delivered in tried:
                if delivered or notice.tries + 1 == NOTICE_TRIES:
                    state = "delivered" if delivered else "given up"
                    self._store.mark_notice(notice, state=state, due_at=None)
                else:
                    wait = self._pace.notice_retry * 2.0**notice.tries
                    due_at = self._clock() + min(wait, LONGEST_NOTICE_WAIT_SECONDS)
                    self._store.mark_notice(notice, state="waiting", due_at=due_at)

    def _once(self, key: str, request: str, book: Callable[[int], Reply]) -> Reply:
        with self._store.transaction():
            known = self._store.count_call(key, request)
            if known.request != request:
                return _refused(Refusal(422, "key_reused"))
            if known.status is not None and known.body is not None:
                return Reply(known.status, known.body, replayed=True)
            try:
                answer = book(known.calls)
            except Refusal as refusal:
                # Raised before anything was written, so only the call itself is kept.
                return _refused(refusal)
            if answer.status in (201, 402):
                self._store.keep_answer(key, status=answer.status, body=answer.body)
            return answer

    def _authorize(
        self, key: str, asked: Authorization, traceparent: str | None, calls: int
    ) -> Reply:
        fate = FATES.get(asked.method)
        if fate is None:
            raise Refusal(422, "unknown_method")
        if calls <= fate.lost_calls:
            return Reply(503, msgspec.json.encode({"code": "unavailable"}), haste=fate.lost)
        if self._store.by_reference(asked.reference) is not None:
            raise Refusal(422, "reference_taken")
        account = Account(
            id=f"pay_{secrets.token_hex(12)}",
            reference=asked.reference,
            method=asked.method,
            currency=asked.currency,
            amount=asked.amount,
            capture=asked.capture,
            status="pending",
            traceparent=traceparent,
        )
        return replace(self._start(account, fate, key), haste=fate.haste)

    def _start(self, account: Account, fate: Scenario, key: str) -> Reply:
        if fate.pending:
            settles_at = self._clock() + self._pace.settle
            account = struct_replace(account, settles_at=settles_at)
            return self._book(account, "request", account.amount, key=key, news="pending")
        if fate.decline_code is None:
            return self._book_authorized(account, key=key)
        declined = struct_replace(account, status="declined", decline_code=fate.decline_code)
        self._book(declined, "decline", account.amount, key=key, news="declined")
        return Reply(402, msgspec.json.encode({"code": fate.decline_code}))

    def _book_authorized(self, pending: Account, *, key: str | None) -> Reply:
        account = pending.settled()
        self._store.save(account)
        self._move(account, "authorization", account.amount, key)
        if not account.capture:
            return self._told(account, "authorized")
        self._move(account, "capture", account.captured, key)
        return self._told(account, "captured")

    def _book(
        self, account: Account, kind: str, amount: int, *, key: str | None, news: str
    ) -> Reply:
        self._store.save(account)
        self._move(account, kind, amount, key)
        return self._told(account, news)

    def _move(self, account: Account, kind: str, amount: int, key: str | None) -> None:
        self._store.add_movement(account, kind=kind, amount=amount, key=key, at=self._clock())

    def _told(self, account: Account, news: str) -> Reply:
        payment = account.published()
        if self._notifies:
            body = msgspec.json.encode({"type": f"payment.{news}", "data": payment})
            notice = Webhook(f"msg_{secrets.token_hex(12)}", body, tries=0)
            self._store.add_notice(notice, due_at=self._clock() + self._pace.notice)
        return Reply(201, msgspec.json.encode(payment))

    def _known(self, account_id: str) -> Account:
        account = self._store.account(account_id)
        if account is None:
            raise Refusal(404, "payment_not_found")
        return account


def _refused(refusal: Refusal) -> Reply:
    return Reply(refusal.status, msgspec.json.encode({"code": refusal.code}))
