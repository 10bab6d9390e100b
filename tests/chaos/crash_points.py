"""Every point at which a process may die, as the list of cases names them.

A row says which message is waited for, where the trap springs, and who is killed then. Rows of
one name take turns, and so do the ways to pay of a row.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Final

from tests.chaos.client_journeys import Story, cancels_in_flight, captures, pays, refunds
from tests.chaos.protocol_messages import Message
from tests.chaos.wire import When

SPEAKER: Final = ""
"""Kills whoever the message comes from or, on the wire of its callers, goes to."""
DATABASE, BROKER, SANDBOX = "database", "broker", "sandbox"

Payment = tuple[str, bool]
TAKEN: Final[Payment] = ("tok_ok", True)
HELD: Final[Payment] = ("tok_ok", False)
PENDING: Final[Payment] = ("tok_pending", True)
FLAKY: Final[Payment] = ("tok_flaky", True)
SLOW: Final[Payment] = ("tok_slow", True)
SLOWLY_HELD: Final[Payment] = ("tok_slow", False)
LATE: Final[Payment] = ("tok_timeout_booked", True)
LOST: Final[Payment] = ("tok_timeout_unbooked", False)
DECLINED: Final[Payment] = ("tok_declined", True)
ASKED: Final[Payment] = ("tok_requires_action", True)
DISPUTED: Final[Payment] = ("tok_disputed", True)
DISPUTED_WON: Final[Payment] = ("tok_disputed_won", True)
LAPSED: Final[Payment] = ("tok_authorization_expires", False)
REFUNDED_ELSEWHERE: Final[Payment] = ("tok_refunded_elsewhere", True)
SENT_BACK: Final[Payment] = ("tok_refund_fails_late", True)
BY_HAND: Final[Payment] = ("by hand", True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """The message, the moment, and whom it kills."""

    at: Callable[[Message], bool]
    when: When
    kills: str = SPEAKER


@dataclass(frozen=True, slots=True)
class CrashPoint:
    """A row. `again` is a second kill, waited for once the first has happened."""

    name: str
    what: str
    kill: Kill
    payments: tuple[Payment, ...] = (TAKEN, HELD)
    story: Story = pays
    again: Kill | None = None


def _asks(verb: str) -> Callable[[Message], bool]:
    return lambda message: message.verb == verb


def _moves(kind: str) -> Callable[[Message], bool]:
    return lambda message: message.verb.startswith("POST") and message.verb.endswith(f"/{kind}")


def _updates(message: Message) -> dict[str, Any]:
    if message.verb != "update orders":
        return {}
    change: dict[str, Any] = message.body["updates"][0]["u"]
    return change


def _saves(message: Message) -> bool:
    return "version" in _updates(message).get("$set", {})


def _claims(queue: str) -> Callable[[Message], bool]:
    return lambda message: f"{queue}.by" in _updates(message).get("$set", {})


def _forgets(message: Message) -> bool:
    return "$pull" in _updates(message)


def _looks_up(message: Message) -> bool:
    return message.verb.startswith("GET /v1/payments?reference=")


_CREATES = _asks("insert orders")
_LOGS = _asks("insert order_events")
_CHARGES = _asks("POST /v1/payments")
_PUBLISHES = _asks("publish")
_PLACES = _asks("POST /v1/orders")

# fmt: off
CRASH_POINTS: Final = (
    CrashPoint("C0", "before anything is stored",
               Kill(at=_PLACES, when=When.HALF)),
    CrashPoint("C1", "in the create write",
               Kill(at=_CREATES, when=When.BEFORE)),
    CrashPoint("C1", "in the create write, the database dies",
               Kill(at=_CREATES, when=When.HALF, kills=DATABASE)),
    CrashPoint("C2", "create commit unknown",
               Kill(at=_CREATES, when=When.PASSED)),
    CrashPoint("C2", "create committed, not acknowledged",
               Kill(at=_CREATES, when=When.ANSWERED)),
    CrashPoint("C2", "create commit unknown, the database dies",
               Kill(at=_CREATES, when=When.PASSED, kills=DATABASE)),
    CrashPoint("C2", "create committed, the database dies with the reply",
               Kill(at=_CREATES, when=When.ANSWERED, kills=DATABASE)),
    CrashPoint("C3", "stored, payment service not called",
               Kill(at=_CHARGES, when=When.BEFORE), (TAKEN, HELD, PENDING, DECLINED)),
    CrashPoint("C4", "half of the payment request sent",
               Kill(at=_CHARGES, when=When.HALF), (TAKEN, HELD, FLAKY)),
    CrashPoint("C4", "half of the payment request sent, the payment service dies",
               Kill(at=_CHARGES, when=When.HALF, kills=SANDBOX), (TAKEN, PENDING)),
    CrashPoint("C5", "payment service received it, did not record it",
               Kill(at=_CHARGES, when=When.PASSED), (LOST, FLAKY)),
    CrashPoint("C5", "payment service received it, did not record it, and dies",
               Kill(at=_CHARGES, when=When.PASSED, kills=SANDBOX), (LOST, TAKEN)),
    CrashPoint("C6", "recorded, response lost",
               Kill(at=_CHARGES, when=When.ANSWERED), (TAKEN, HELD, PENDING, DECLINED, SLOW)),
    CrashPoint("C6", "recorded, response never arrives",
               Kill(at=_CHARGES, when=When.PASSED), (LATE,)),
    CrashPoint("C6", "recorded, response lost, the payment service dies",
               Kill(at=_CHARGES, when=When.ANSWERED, kills=SANDBOX), (TAKEN, PENDING)),
    CrashPoint("C7", "response read, not stored",
               Kill(at=_CHARGES, when=When.RETURNED), (TAKEN, HELD, PENDING, DECLINED, FLAKY)),
    CrashPoint("C8", "in the update write",
               Kill(at=_saves, when=When.BEFORE), (TAKEN, HELD, FLAKY, PENDING)),
    CrashPoint("C8", "in the update write, the database dies",
               Kill(at=_saves, when=When.HALF, kills=DATABASE)),
    CrashPoint("C9", "update commit unknown",
               Kill(at=_saves, when=When.PASSED), (TAKEN, HELD, PENDING)),
    CrashPoint("C9", "update committed, not acknowledged",
               Kill(at=_saves, when=When.ANSWERED), (TAKEN, HELD)),
    CrashPoint("C9", "update commit unknown, the database dies",
               Kill(at=_saves, when=When.PASSED, kills=DATABASE)),
    CrashPoint("C10", "stored, response not sent",
               Kill(at=_PLACES, when=When.ANSWERED), (TAKEN, HELD, LATE, PENDING, DECLINED)),
    CrashPoint("C11", "relay claimed",
               Kill(at=_claims("outbox_claim"), when=When.RETURNED)),
    CrashPoint("C11", "relay wrote the feed, not published",
               Kill(at=_LOGS, when=When.ANSWERED)),
    CrashPoint("C11", "relay claims, the database dies",
               Kill(at=_claims("outbox_claim"), when=When.PASSED, kills=DATABASE)),
    CrashPoint("C12", "published, confirmation lost",
               Kill(at=_PUBLISHES, when=When.ANSWERED)),
    CrashPoint("C12", "half of the publish sent",
               Kill(at=_PUBLISHES, when=When.HALF)),
    CrashPoint("C12", "published, the broker dies",
               Kill(at=_PUBLISHES, when=When.PASSED, kills=BROKER)),
    CrashPoint("C13", "confirmed, not marked",
               Kill(at=_PUBLISHES, when=When.RETURNED)),
    CrashPoint("C13", "in the marking write",
               Kill(at=_forgets, when=When.BEFORE)),
    CrashPoint("C13", "marking commit unknown, the database dies",
               Kill(at=_forgets, when=When.PASSED, kills=DATABASE)),
    CrashPoint("C13", "confirmed, the broker dies",
               Kill(at=_PUBLISHES, when=When.ANSWERED, kills=BROKER)),
    CrashPoint("C14", "marked, not cleaned",
               Kill(at=_forgets, when=When.ANSWERED)),
    CrashPoint("C14", "marked, next batch started",
               Kill(at=_forgets, when=When.RETURNED)),
    CrashPoint("C15", "crash during recovery, at the look-up",
               Kill(at=_CHARGES, when=When.BEFORE), (TAKEN, HELD),
               again=Kill(at=_looks_up, when=When.ANSWERED)),
    CrashPoint("C15", "crash during recovery, at the claim",
               Kill(at=_CHARGES, when=When.BEFORE), (TAKEN,),
               again=Kill(at=_claims("work_claim"), when=When.RETURNED)),
    CrashPoint("C15", "crash during recovery, at the second request",
               Kill(at=_CHARGES, when=When.HALF), (TAKEN, HELD),
               again=Kill(at=_CHARGES, when=When.ANSWERED)),
    CrashPoint("C15", "crash during recovery, in the write",
               Kill(at=_CHARGES, when=When.HALF), (TAKEN, HELD),
               again=Kill(at=_saves, when=When.PASSED)),
    CrashPoint("C16", "cancel against payment, the payer's replica dies",
               Kill(at=_CHARGES, when=When.ANSWERED), (SLOW, SLOWLY_HELD), cancels_in_flight),
    CrashPoint("C16", "cancel against payment, the canceller's replica dies",
               Kill(at=_saves, when=When.BEFORE), (SLOW, SLOWLY_HELD), cancels_in_flight),
    CrashPoint("C16", "cancel against payment, refund in flight",
               Kill(at=_moves("refunds"), when=When.BEFORE), (SLOW,), cancels_in_flight),
    CrashPoint("C16", "cancel against payment, void in flight",
               Kill(at=_moves("voids"), when=When.ANSWERED), (SLOWLY_HELD,), cancels_in_flight),
    CrashPoint("C17", "refund requested, not stored",
               Kill(at=_moves("refunds"), when=When.ANSWERED), (TAKEN,), refunds),
    CrashPoint("C17", "refund response read, not stored",
               Kill(at=_moves("refunds"), when=When.RETURNED), (TAKEN,), refunds),
    CrashPoint("C17", "refund requested, the payment service dies",
               Kill(at=_moves("refunds"), when=When.PASSED, kills=SANDBOX), (TAKEN,), refunds),
    CrashPoint("C17", "capture requested, not stored",
               Kill(at=_moves("captures"), when=When.ANSWERED), (HELD,), captures),
)
# fmt: on

NAMES: Final = tuple(dict.fromkeys(row.name for row in CRASH_POINTS))
"""C0 to C17."""


def turn(name: str, number: int, ours: Collection[str]) -> tuple[CrashPoint, Payment]:
    """The row and the way to pay of a point's run, counted from 0; `ours` can be killed."""
    rows = [row for row in CRASH_POINTS if row.name == name and row.kill.kills in {SPEAKER, *ours}]
    row = rows[number % len(rows)]
    return row, row.payments[number // len(rows) % len(row.payments)]
