"""What the description says in words: of the API, its tags and its commands.

Reads are described by the docstrings of their handlers.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from orders.adapters.messages import FeedEvent, FeedEventData, OrderAfter
from orders.domain import errors
from orders.domain.order.order import Order
from orders.entrypoints.http.errors import STATUS
from orders.entrypoints.http.schemas.body import Body
from orders.entrypoints.http.schemas.response_part import ResponsePart

API: Final = """\
Places orders and carries them through payment, shipping, returns and refunds.

**Amounts** are integers in minor units (cents, pence, yen) of the order's single currency. Times
are RFC 3339 in UTC.

**Answers grow.** A later version may add members to any answer, values to any status, type or code,
operations, optional members of bodies and optional parameters. Ignore members that you do not know,
and treat an unknown value as "something else". Bodies are strict: an unknown member is refused.

**Errors** are problem details (RFC 9457). Decide by `code`; `detail` is for people.

**Retries.** Send the same body with the same `Idempotency-Key` again: the command is carried out
once.

**HEAD** works wherever GET does.
"""
TAGS: Final[Mapping[str, str]] = {
    "Orders": "Place, quote, find, list and edit orders.",
    "Commands": (
        "Carry an order through its life. Each returns the whole order with its new `ETag`, and "
        "changes nothing with `dry_run=true`."
    ),
    "Events": "What happened: to one order, to all, and at the payment service.",
    "Operation": "Probes of the process. They read no order and need no token.",
}
COMMANDS: Final[Mapping[str, str]] = {
    "confirm": (
        "Commits the shop to a pending order that payments cover. Orders that are covered and not "
        "held are confirmed without this command."
    ),
    "complete": (
        "Closes a confirmed order: everything is delivered and paid. Orders complete without this "
        "command once that is so."
    ),
    "cancel": (
        "Cancels the whole order. Payments that are authorised or in flight are voided, captured "
        "money is refunded."
    ),
    "cancel_items": (
        "Cancels units that are in no shipment. At least one unit has to be left: `cancel` cancels "
        "the whole order."
    ),
    "propose_change": (
        "Works out the new total, and changes nothing else until the change is applied. With "
        "`expected_total` the order costs exactly that, or the proposal is refused."
    ),
    "apply_change": "Applies a change at the price at which it was proposed.",
    "decline_change": "Drops a change that was proposed. The order stays as it is.",
    "hold": "Keeps the order from being confirmed, packed and sent. It may have several holds.",
    "release": "Releases one hold. The order can go on when all are released.",
    "assign_customer": (
        "Makes a guest's order a customer's, for instance after the guest has registered. From "
        "then on the order is theirs. Never takes an order from another customer."
    ),
    "add_note": "Adds a note that only staff can read.",
    "pay": (
        "Authorises a payment, or captures it at once with `capture`. Without an amount it is for "
        "all that is still to be paid. Read the outcome from the payment's `status`: a declined "
        "payment is no error.\n\n"
        "With `manual`, finance records money that was received elsewhere. It counts as captured "
        "at once, in every status of the order, and nothing is sent to the payment service. What "
        "the order does not need is owed back."
    ),
    "capture": (
        "Captures authorised money. Without an amount it captures all that is authorised and still "
        "to be paid. Each call captures more."
    ),
    "void": (
        "Gives up a payment that is authorised or has no outcome yet. The order can be paid in "
        "another way once the payment service has voided it."
    ),
    "dismiss_payment": (
        "Ends the review of a payment. The order keeps the amounts that it recorded before the "
        "review; settle the rest with the payment service. The hold stays until it is released."
    ),
    "refund": (
        "Refunds what is owed to the customer. Without an amount it refunds all that is owed; "
        "without a `payment_id` it takes as many payments as it needs. Each call refunds more.\n\n"
        "With `recorded`, finance records what was given back elsewhere: it has succeeded, and "
        "nothing is sent. If it is more than what is owed, the order is credited with the rest "
        "(`refunded-elsewhere`). Manual payments can only be given back so."
    ),
    "grant_credit": (
        "Lets the customer owe less. What was paid too much then can be refunded. With a `line_id` "
        "it is at most what is left of the line, and `undeliverable` units of it are delivered no "
        "more. Each call grants more. With the reason `write-off`, finance gives up what is still "
        "to be paid, and no more than that."
    ),
    "revoke_credit": (
        "Takes back a credit that was not paid out: the customer owes its amount again, and units "
        "that it made undeliverable can be packed again."
    ),
    "create_shipment": "Packs units into one parcel, to the address that the order has now.",
    "record_late_shipment": (
        "Records a parcel that had left before a cancellation of its units was known, also on an "
        "order that has ended. Units that the order still wants count as sent, the cancelled ones "
        "as `surplus`. No money moves: what was cancelled is not owed."
    ),
    "correct_shipment": (
        "A merge patch (RFC 7396) of the carrier and the tracking number, while the order is held, "
        "too. Needs `If-Match`."
    ),
    "dispatch": "Hands a packed shipment to the carrier. `tracking` replaces the number it has.",
    "deliver": (
        "Records that a shipment has arrived, also one that had failed: units of it that are sent "
        "again, cancelled or credited by now are its `surplus`."
    ),
    "fail_delivery": (
        "Records that a shipment will not arrive. Its units can be packed again, cancelled, or "
        "credited as `undeliverable`."
    ),
    "cancel_shipment": "Unpacks a shipment that was not sent. Its units can be packed again.",
    "request_return": "Asks to send delivered units back.",
    "approve_return": "Lets the customer send the units of a requested return.",
    "decline_return": "Refuses to take back the units of a requested return.",
    "receive_return": (
        "Takes in the units of an approved return that came, and credits what they cost, or less. "
        "The others can be returned again."
    ),
    "close_return": "Ends a return that was received, or an approved one whose units never came.",
}
_OTHER_SCHEMAS: Final = {
    "Health": "`status` is ok. A probe that fails responds with a problem instead.",
}
_METHODS: Final[Mapping[str, Sequence[str]]] = {
    "pay": ("start_payment", "record_payment"),
    "refund": ("refund", "record_refund"),
    "grant_credit": ("grant_credit", "write_off"),
}
_REFUSAL: Final = re.compile(r"^ {4}(\w+): (.+(?:\n {8}.+)*)$", re.MULTILINE)


def describe_command(operation: str) -> str:
    """What a command does, and the codes of the problems that refuse it."""
    refusals = "".join(
        f"\n- `{error.code}` ({STATUS[error].value}): {text}"
        for error, text in _refusals(operation)
    )
    return f"{COMMANDS[operation]}\n\nRefused with:\n{refusals}"


def schema_texts() -> dict[str, str]:
    """What the members of each schema mean, by its name."""
    of_the_feed: tuple[type[Any], ...] = (FeedEvent, FeedEventData, OrderAfter)
    kinds = [*_below(Body), *_below(ResponsePart), *of_the_feed]
    return _OTHER_SCHEMAS | {each.__name__: inspect.getdoc(each) or "" for each in kinds}


def _below(kind: type[Any]) -> Iterator[type[Any]]:
    for each in kind.__subclasses__():
        yield each
        yield from _below(each)


def _refusals(operation: str) -> Iterator[tuple[type[errors.OrderError], str]]:
    found: dict[str, str] = {}
    for method in _METHODS.get(operation, (operation,)):
        _, _, raised = (inspect.getdoc(getattr(Order, method)) or "").partition("\nRaises:\n")
        for name, text in _REFUSAL.findall(raised):
            found.setdefault(name, text)
    for name, text in found.items():
        # What is wrong with a value, a body is refused for; the docstring names arguments.
        if name != errors.InvalidValue.__name__:
            yield getattr(errors, name), " ".join(text.split())
