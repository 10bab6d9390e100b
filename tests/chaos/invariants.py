"""What must be true once everything answers again, judged from outside the service alone: the
payment service's ledger, the broker's deliveries, and what the API shows on every replica.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tests.chaos.client_journeys import Case
from tests.chaos.deliveries import Delivery

Json = dict[str, Any]
SETTLED_WITHIN_SECONDS = 60
MOVES = {
    ("pending", "confirmed"),
    ("pending", "cancelled"),
    ("pending", "expired"),
    ("confirmed", "completed"),
    ("confirmed", "cancelled"),
}
TOLD_BY = {
    "confirmed": "OrderConfirmed",
    "cancelled": "OrderCancelled",
    "completed": "OrderCompleted",
}
_ENDED = {"cancelled", "expired"}
_DOUBTFUL = {"pending", "requires_action", "review"}
_DECLINED = {"tok_declined", "tok_insufficient_funds"}
_SENT_BACK = "tok_refund_fails_late"
_BEFALLS: Mapping[str, Callable[[Json], bool]] = {
    "tok_disputed": lambda order: bool(order["disputes"]),
    "tok_disputed_won": lambda order: any(d["status"] == "won" for d in order["disputes"]),
    "tok_authorization_expires": lambda order: order["payment_status"] == "voided",
    "tok_refunded_elsewhere": lambda order: order["totals"]["refunded"] > 0,
    _SENT_BACK: lambda order: any(r["status"] == "failed" for r in order["refunds"]),
}
"""What the payment service reports some seconds after a payment, by its method."""
_LEFT = {
    "tok_disputed": "charged_back",
    "tok_authorization_expires": "voided",
    "tok_refunded_elsewhere": "refunded",
}
"""The payment status that such a payment leaves."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that can be seen of one order from outside."""

    case: Case
    shown: Mapping[str, Json]
    """The order as each replica shows it."""
    listed: Sequence[str]
    """The ids of the orders with its reference."""
    timeline: Sequence[Json]
    deliveries: Sequence[Delivery]
    accounts: Sequence[Json]
    """The payments in the ledger that bear its reference."""
    calls: Mapping[str, int]
    """How often the payment service was called with each of its keys."""
    healthy_at: float

    @property
    def order(self) -> Json:
        """The newest form that any replica shows."""
        return max(self.shown.values(), key=lambda order: int(order["version"]))


def is_settled(order: Json, method: str) -> bool:
    """Whether nothing is under way for an order, as far as it shows."""
    totals = order["totals"]
    has_befallen = _BEFALLS.get(method)
    owed = 0 if method == _SENT_BACK else totals["refund_due"]
    return (
        (has_befallen is None or has_befallen(order))
        and not any(payment["status"] in _DOUBTFUL for payment in order["payments"])
        and not any(refund["status"] == "requested" for refund in order["refunds"])
        and not (order["status"] in _ENDED and (totals["authorized"] or owed))
        and not (order["status"] == "pending" and order["payment_status"] in ("authorized", "paid"))
    )


def violations(evidence: Evidence) -> list[str]:
    """Every promise that was broken to one order, by its number in the list of cases."""
    case = evidence.case
    who = f"{case.point} {case.method} {case.order_id}"
    if not case.done:
        return [f"I5 {who}: a client has no answer yet"]
    if not evidence.shown:
        return [f"I2 {who}: acknowledged, and shown by no replica"]
    found = [
        *_acknowledged(evidence),
        *_one_charge(evidence),
        *_transitions(evidence),
        *_sequence(evidence),
        *_at_rest(evidence),
        *_money(evidence),
    ]
    return [f"{text.partition(' ')[0]} {who}: {text.partition(' ')[2]}" for text in found]


def _acknowledged(evidence: Evidence) -> Iterator[str]:
    """I2, I8: every replica shows the same order; I6: the key has made one."""
    versions = {name: order["version"] for name, order in evidence.shown.items()}
    if len(set(versions.values())) > 1:
        yield f"I8 replicas show it at different versions: {versions}"
    if evidence.listed != [str(evidence.case.order_id)]:
        yield f"I6 its key has made {evidence.listed}"


def _one_charge(evidence: Evidence) -> Iterator[str]:
    """I1: one charge at most, and every call that asks for it bears its one key."""
    left = {a["reference"]: _kept(a) + _held(a) for a in evidence.accounts}
    if sum(amount > 0 for amount in left.values()) > 1 or sum(left.values()) > evidence.case.total:
        yield f"I1 charged more than once: {left}"
    own = f"{evidence.case.order_id}"
    payments = evidence.order["payments"]
    if any(payment.get("manual") for payment in payments) and (evidence.accounts or evidence.calls):
        yield "I1 the payment service was asked for money that came without it"
    known = {f"{own}:{payment['id']}" for payment in payments}
    charged = {key for key in evidence.calls if key.count(":") == 1}
    if charged - known or len(known) > 1:
        yield f"I1 charged by the keys {sorted(charged)}; the order knows {sorted(known)}"
    if len(evidence.accounts) > 1:
        yield f"I1 {len(evidence.accounts)} payments were begun for it"


def _transitions(evidence: Evidence) -> Iterator[str]:
    """I3: each transition has one event that arrived, and no event tells of another."""
    told = {event["id"]: event for event in evidence.timeline}
    heard = {delivery.id: delivery for delivery in evidence.deliveries}
    if told.keys() != heard.keys():
        yield f"I3 lost {sorted(told.keys() - heard)}, of nothing {sorted(heard.keys() - told)}"
    after = [event["data"]["after"] for event in evidence.timeline]
    statuses = ["pending", *(each["status"] for each in after)]
    moves = [pair for pair in pairwise(statuses) if pair[0] != pair[1]]
    if any(move not in MOVES for move in moves):
        yield f"I3 events tell of moves that there are not: {moves}"
    kinds = Counter(event["type"] for event in evidence.timeline)
    for status, kind in TOLD_BY.items():
        if kinds[kind] != sum(arrived == status for _, arrived in moves):
            yield f"I3 {kinds[kind]} {kind} for the moves {moves}"
    paid = kinds["PaymentStarted"] + kinds["PaymentRecorded"]
    if (
        kinds["OrderCreated"] != 1
        or paid != 1
        or kinds["PaymentRecorded"] != evidence.case.recorded
    ):
        yield f"I3 created and charged as {dict(kinds)}"
    order = evidence.order
    if statuses[-1] != order["status"]:
        yield f"I3 it is {order['status']}, its last event says {statuses[-1]}"
    late = [
        f"{each.id} after {each.at - evidence.healthy_at:.0f} s"
        for each in _firsts(evidence.deliveries).values()
        if each.at - evidence.healthy_at > SETTLED_WITHIN_SECONDS
    ]
    if late:
        yield f"I3 late: {late}"


def _sequence(evidence: Evidence) -> Iterator[str]:
    """I4: 1..n without gaps, first deliveries in order, repetitions equal to the byte."""
    firsts = _firsts(evidence.deliveries)
    for delivery in evidence.deliveries:
        if delivery.raw != firsts[delivery.sequence].raw:
            yield f"I4 {delivery.id} was delivered in two forms"
    numbers = [*firsts]
    if numbers != [*range(1, len(numbers) + 1)]:
        yield f"I4 first deliveries came as {numbers}"
    recorded = [event["sequence"] for event in evidence.timeline]
    if recorded != [*range(1, len(recorded) + 1)]:
        yield f"I4 the timeline has {recorded}"


def _at_rest(evidence: Evidence) -> Iterator[str]:
    """I5: nothing is under way, and it went as its payment method goes."""
    order, case = evidence.order, evidence.case
    if not is_settled(order, case.method):
        yield (
            f"I5 left {order['status']}, payment {order['payment_status']}, "
            f"{order['payments']} {order['refunds']}"
        )
        return
    status, paid = order["status"], order["payment_status"]
    if case.method in _DECLINED:
        expected = (
            status == "cancelled" if case.cancelled else (status, paid) == ("pending", "failed")
        )
    elif case.cancelled:
        expected = status == "cancelled"
    else:
        taken = case.capture or case.captured_later
        left = _LEFT.get(case.method, "paid" if taken else "authorized")
        expected = status in ("confirmed", "completed") and paid == left
    if not expected:
        yield f"I5 came to rest {status}, {paid}; cancelled: {case.cancelled}"


def _money(evidence: Evidence) -> Iterator[str]:
    """I7: the ledger, the API and the last event agree, and it is what the state owes."""
    order = evidence.order
    totals = order["totals"]
    by_hand = evidence.case.total if evidence.case.recorded else 0
    there = {
        "captured": by_hand + sum(each["captured"] for each in evidence.accounts),
        "refunded": sum(each["refunded"] for each in evidence.accounts),
        "charged_back": sum(each["charged_back"] for each in evidence.accounts),
        "authorized": sum(map(_held, evidence.accounts)),
    }
    here = {name: totals[name] for name in there}
    last = evidence.timeline[-1]["data"]["after"] if evidence.timeline else {}
    said = {name: last.get(name) for name in there}
    if not there == here == said:
        yield f"I7 ledger {there}, API {here}, event {said}"
    net = there["captured"] - there["refunded"] - there["charged_back"]
    owed = evidence.case.total if evidence.case.method == _SENT_BACK else 0
    if order["status"] in _ENDED and (net != owed or there["authorized"]):
        yield f"I7 {order['status']}, and {net} kept, {there['authorized']} held"
    if order["status"] not in _ENDED and net not in (0, totals["due"]):
        yield f"I7 {net} kept of {totals['due']} due"
    if any(each["amount"] != evidence.case.total for each in evidence.accounts):
        yield f"I7 asked for {[a['amount'] for a in evidence.accounts]}, not {evidence.case.total}"


def feed_violations(feed: Sequence[Json], ids: set[str]) -> Iterator[str]:
    """I3: the feed has every event once, without a gap, and none that was not delivered."""
    positions = [int(event["position"]) for event in feed]
    if positions != [*range(1, len(positions) + 1)]:
        yield "I3 the feed's positions have gaps, or are not in order"
    counted = Counter(event["id"] for event in feed)
    if twice := [event for event, times in counted.items() if times > 1]:
        yield f"I3 twice in the feed: {twice[:5]}"
    if counted.keys() != ids:
        missing, strange = sorted(ids - counted.keys()), sorted(counted.keys() - ids)
        yield f"I3 feed without {missing[:5]}; never delivered: {strange[:5]}"


def strangers(ledger: Json, cases: Sequence[Case]) -> Iterator[str]:
    """I1: nobody is charged for an order that is not there."""
    known = {str(case.order_id) for case in cases}
    for account in ledger["payments"]:
        if account["reference"].partition(":")[0] not in known:
            yield f"I1 charged without an order: {account['reference']}"


def _firsts(deliveries: Sequence[Delivery]) -> dict[int, Delivery]:
    firsts: dict[int, Delivery] = {}
    for delivery in deliveries:
        firsts.setdefault(delivery.sequence, delivery)
    return firsts


def _kept(account: Json) -> int:
    kept: int = account["captured"] - account["refunded"] - account["charged_back"]
    return kept


def _held(account: Json) -> int:
    if account["status"] not in ("authorized", "captured"):
        return 0
    held: int = account["amount"] - account["captured"] - account["released"]
    return held
