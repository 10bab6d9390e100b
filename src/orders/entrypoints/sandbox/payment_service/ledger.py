"""The sandbox's payment service without HTTP: each request is one durable transaction."""

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
    DisputeBody,
    DisputeEntry,
    Movement,
    Refusal,
    Void,
)
from orders.entrypoints.sandbox.payment_service.follow_ups import Step, disputed, next_step
from orders.entrypoints.sandbox.payment_service.scenarios import (
    SCENARIOS,
    FollowUp,
    Pace,
    ResponseDelay,
    Scenario,
)
from orders.entrypoints.sandbox.payment_service.store import PaymentStore, Webhook

WEBHOOK_TRIES = 12
MAX_WEBHOOK_WAIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Reply:
    """The response to a request, and how soon it is sent."""

    status: int
    body: bytes
    replayed: bool = False
    delay: ResponseDelay = ResponseDelay.AT_ONCE


class PaymentLedger:
    """Records payments, exactly once per key. Blocks on the disk; one thread at a time uses it."""

    def __init__(
        self,
        directory: Path,
        *,
        pace: Pace,
        sends_webhooks: bool,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Continue with the data in the directory. `clock` returns seconds since 1970."""
        directory.mkdir(parents=True, exist_ok=True)
        self._store = PaymentStore(directory / "payments.sqlite3")
        self._pace = pace
        self._sends_webhooks = sends_webhooks
        self._clock = clock
        self.close = self._store.close
        self.ledger = self._store.ledger

    def authorize(self, key: str, body: Authorization, *, traceparent: str | None = None) -> Reply:
        """Start a payment. Its webhooks carry `traceparent`."""
        request = f"authorize {msgspec.json.encode(body).decode()}"
        return self._once(
            key, request, lambda calls: self._authorize(key, body, traceparent, calls)
        )

    def capture(self, key: str, account_id: str, body: Movement) -> Reply:
        """Capture some of a payment."""

        def record(_calls: int) -> Reply:
            account = self._known(account_id).with_capture(body.amount)
            return self._record(account, "capture", body.amount, key=key, event="captured")

        return self._once(key, f"capture {account_id} {body.amount} {body.reference}", record)

    def void(self, key: str, account_id: str, body: Void) -> Reply:
        """Release what is not captured of a payment."""

        def record(_calls: int) -> Reply:
            before = self._known(account_id)
            account = before.with_void()
            if account == before:
                return Reply(201, msgspec.json.encode(account.published()))
            released = account.released - before.released
            return self._record(account, "void", released, key=key, event="voided")

        return self._once(key, f"void {account_id} {body.reference}", record)

    def refund(self, key: str, account_id: str, body: Movement) -> Reply:
        """Give some of a payment back."""

        def record(_calls: int) -> Reply:
            account = self._known(account_id).with_refund(body.amount, body.reference)
            if code := SCENARIOS[account.method].refund_decline_code:
                return Reply(402, msgspec.json.encode({"code": code}))
            return self._record(account, "refund", body.amount, key=key, event="refunded")

        return self._once(key, f"refund {account_id} {body.amount} {body.reference}", record)

    def charge_back(self, account_id: str) -> Reply:
        """Let the payer's bank take back the net captured amount of a payment."""
        try:
            with self._store.transaction():
                before = self._known(account_id)
                account = before.with_charge_back()
                return self._record(
                    account, "charge_back", before.net_captured, key=None, event="charged_back"
                )
        except Refusal as refusal:
            return _refused(refusal)

    def dispute(self, account_id: str, body: DisputeBody) -> Reply:
        """Let the payer open a dispute, or their bank close one."""
        try:
            with self._store.transaction():
                entry = DisputeEntry(body.id, body.amount, body.status)
                return self._take(disputed(self._known(account_id), entry))
        except Refusal as refusal:
            return _refused(refusal)

    def read(self, account_id: str) -> Reply:
        """Return one payment."""
        try:
            return Reply(200, msgspec.json.encode(self._known(account_id).published()))
        except Refusal as refusal:
            return _refused(refusal)

    def find(self, reference: str) -> Reply:
        """Return the payment with a reference, if there is one."""
        account = self._store.by_reference(reference)
        found = [] if account is None else [account.published()]
        return Reply(200, msgspec.json.encode({"payments": found}))

    def next_due_at(self) -> float | None:
        """Return when the next payment settles or webhook is sent, in seconds since 1970."""
        return self._store.next_due_at(webhooks=self._sends_webhooks)

    def settle_due(self) -> None:
        """Decide the payments whose time has come, and let happen what happens later."""
        with self._store.transaction():
            for account in self._store.settling(self._clock()):
                if account.is_undecided:
                    self._record_authorized(account, key=None)
                elif step := next_step(account):
                    self._take(step)

    def due_webhooks(self, *, limit: int) -> list[Webhook]:
        """Return the webhooks to send now."""
        return self._store.due_webhooks(self._clock(), limit=limit)

    def mark_webhooks(self, tried: Sequence[tuple[Webhook, bool]]) -> None:
        """Store which webhooks were delivered; the others are retried later."""
        with self._store.transaction():
            for webhook, delivered in tried:
                if delivered or webhook.tries + 1 == WEBHOOK_TRIES:
                    state = "delivered" if delivered else "given up"
                    self._store.mark_webhook(webhook, state=state, due_at=None)
                else:
                    wait = self._pace.webhook_retry * 2.0**webhook.tries
                    due_at = self._clock() + min(wait, MAX_WEBHOOK_WAIT_SECONDS)
                    self._store.mark_webhook(webhook, state="waiting", due_at=due_at)

    def _once(self, key: str, request: str, record: Callable[[int], Reply]) -> Reply:
        with self._store.transaction():
            known = self._store.count_call(key, request)
            if known.request != request:
                return _refused(Refusal(422, "key_reused"))
            if known.status is not None and known.body is not None:
                return Reply(known.status, known.body, replayed=True)
            try:
                reply = record(known.calls)
            except Refusal as refusal:
                # Raised before any write, so only the number of calls is stored.
                return _refused(refusal)
            if reply.status in (201, 402):
                self._store.keep_reply(key, status=reply.status, body=reply.body)
            return reply

    def _authorize(
        self, key: str, body: Authorization, traceparent: str | None, calls: int
    ) -> Reply:
        scenario = SCENARIOS.get(body.method)
        if scenario is None:
            raise Refusal(422, "unknown_method")
        if calls <= scenario.lost_calls:
            return Reply(503, msgspec.json.encode({"code": "unavailable"}), delay=scenario.lost)
        if self._store.by_reference(body.reference) is not None:
            raise Refusal(422, "reference_taken")
        account = Account(
            id=f"pay_{secrets.token_hex(12)}",
            reference=body.reference,
            method=body.method,
            currency=body.currency,
            amount=body.amount,
            capture=body.capture,
            status="pending",
            traceparent=traceparent,
        )
        return replace(self._start(account, scenario, key), delay=scenario.delay)

    def _start(self, account: Account, scenario: Scenario, key: str) -> Reply:
        if scenario.undecided is not None:
            settles_at = self._clock() + self._pace.settle
            account = struct_replace(account, status=scenario.undecided, settles_at=settles_at)
            return self._record(
                account, "request", account.amount, key=key, event=scenario.undecided
            )
        if scenario.decline_code is None:
            return self._record_authorized(account, key=key)
        declined = struct_replace(account, status="declined", decline_code=scenario.decline_code)
        self._record(declined, "decline", account.amount, key=key, event="declined")
        return Reply(402, msgspec.json.encode({"code": scenario.decline_code}))

    def _record_authorized(self, pending: Account, *, key: str | None) -> Reply:
        account = pending.settled()
        if SCENARIOS[account.method].follow_up is FollowUp.LAPSE:
            until = self._clock() + self._pace.later
            account = struct_replace(account, authorized_until=until)
        self._save(account)
        self._move(account, "authorization", account.amount, key)
        if not account.capture:
            return self._respond(account, "authorized")
        self._move(account, "capture", account.captured, key)
        return self._respond(account, "captured")

    def _record(
        self, account: Account, kind: str, amount: int, *, key: str | None, event: str
    ) -> Reply:
        self._save(account)
        self._move(account, kind, amount, key)
        return self._respond(account, event)

    def _save(self, account: Account) -> None:
        """Store an account, and when its follow-up is due."""
        if not account.is_undecided:
            at = account.authorized_until or self._clock() + self._pace.later
            account = struct_replace(account, settles_at=at if next_step(account) else None)
        self._store.save(account)

    def _take(self, step: Step) -> Reply:
        return self._record(step.account, step.kind, step.amount, key=None, event=step.event)

    def _move(self, account: Account, kind: str, amount: int, key: str | None) -> None:
        self._store.add_movement(account, kind=kind, amount=amount, key=key, at=self._clock())

    def _respond(self, account: Account, event: str) -> Reply:
        payment = account.published()
        if self._sends_webhooks:
            body = msgspec.json.encode({"type": f"payment.{event}", "data": payment})
            webhook = Webhook(f"msg_{secrets.token_hex(12)}", body, tries=0)
            self._store.add_webhook(webhook, due_at=self._clock() + self._pace.webhook)
        return Reply(201, msgspec.json.encode(payment))

    def _known(self, account_id: str) -> Account:
        account = self._store.account(account_id)
        if account is None:
            raise Refusal(404, "payment_not_found")
        return account


def _refused(refusal: Refusal) -> Reply:
    return Reply(refusal.status, msgspec.json.encode({"code": refusal.code}))
