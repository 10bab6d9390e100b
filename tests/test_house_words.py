"""The words of the house: the field's, and plain English.

`docs/glossary.md` explains the words that are the service's own. The left column here lists words
that the code used to have; a failure says what to write instead.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]
SOURCE: Final = ROOT / "src" / "orders"

# Nowhere in src/: not as an identifier, not in a comment or a text.
WORDS: Final = {
    "AnsweredRequest": "ProcessedRequest",
    "AnswerHeaders": "ResponseHeaders",
    "BookPaymentEvent": "RecordPaymentEvent",
    "Booking": "payment report",
    "CALL_LEASE": "OPERATION_LEASE",
    "CallKind": "OperationKind",
    "ChangeWish": "ProposedChange",
    "Courier": "WebhookSender",
    "CreditExceeds": "CreditExceedsAvailable",
    "DECIDING_SECONDS": "PENDING_POLL_SECONDS",
    "DoDueWork": "ProcessScheduledWork",
    "DueOrders": "ScheduledOrders",
    "Farewell": "CloseWhileDraining",
    "Fate": "Scenario",
    "FulfillmentProgress": "OrderFulfillmentStatus",
    "Haste": "ResponseDelay",
    "LOOK_UP_AFTER_SECONDS": "UNKNOWN_OUTCOME_RETRY_SECONDS",
    "Lingering": "LingeringClose",
    "MayBeRepeated": "RetryableFailure",
    "MeasuredOrders": "InstrumentedOrderRepository",
    "MeasuredPayments": "InstrumentedPaymentGateway",
    "Notice": "Webhook",
    "PatientPrices": "SlotYieldingPriceList",
    "PaymentCall": "PaymentOperation",
    "PaymentNotAsked": "PaymentNotAttempted",
    "PaymentProgress": "OrderPaymentStatus",
    "PaymentWish": "InitialPayment",
    "PaymentWishBody": "InitialPaymentBody",
    "PriceDraft": "DraftPricer",
    "QuantityExceeds": "QuantityExceedsAvailable",
    "ReturnProgress": "OrderReturnStatus",
    "SettlePayments": "ExecutePaymentOperations",
    "Standing": "OrderSnapshot",
    "StillOpen": "OrderNotClosed",
    "Turns": "AdmissionQueue",
    "UNASKED_SECONDS": "NOT_ATTEMPTED_RETRY_SECONDS",
    "UnambiguousFraming": "RequestTargetCheck",
    "UseCancel": "WouldCancelWholeOrder",
    "WirePayment": "PaymentMessage",
    "Worth": "LineTotals",
    "are_free": "has_capacity",
    "book_payment_event": "record_payment_event",
    "claim_due": "claim_scheduled",
    "do_due_work": "process_scheduled_work",
    "early_answers": "canned_responses",
    "fulfillment_progress": "derive_fulfillment_status",
    "give_back": "process_return",
    "given_back": "refunded_by_us",
    "givens": "stubs",
    "look_at": "get_state",
    "may_reach": "can_access",
    "message_size": "head_limits",
    "others_turn": "yield_slot",
    "part_answers": "part_responses",
    "payment_progress": "derive_payment_status",
    "payment_progress_of": "payment_status_of",
    "put_off": "record_not_attempted, or after_no_attempt of an operation",
    "reaches_all": "can_access_all",
    "refundable_in_all": "total_refundable",
    "return_progress": "derive_return_status",
    "setting_kinds": "settings.kinds",
    "settle_payments": "execute_payment_operations",
    "step_out": "yield_slot",
    "to_void_before_the_end": "payments_to_void_before_expiry",
}
# Where the word means what the right column says: elsewhere it may be right.
SCOPED: Final = [
    ("**", r"class \w*Answer\b", "a class …Response, …Result or …Reply"),
    ("**", r"\bimport events as happened\b|\bhappened\.[A-Z]", "events"),
    ("application", r"\bclass Edge\b", "constructor arguments"),
    *((inner, r"\bdue_at\b", "next_action_at, or next_attempt_at of an operation")
      for inner in ("domain", "application", "adapters")),
    ("application/access.py", r"\bdef may\b", "is_allowed"),
    ("application/read_orders.py", r"\bdef (one|some|feed)\b", "get, list, list_feed"),
    ("adapters/mongo", r"""["'](owes|listed|relay|parked|wake|write)["']""",
     "has_outstanding, sort_key, outbox_claim, outbox_parked, work_claim, write_token"),
    ("adapters/payment_service", r"\bclass Sender\b|\bdef exchange\b",
     "ResilientClient, call_once"),
    ("domain", r"(\bdef |\.)kept\b", "net_captured"),
    ("domain/payments/payment.py", r"\bdef open\b", "capturable_amount"),
    ("domain/payments/ledger.py", r"\b(calls?|calls_since|with(out)?_call)\b(?=\(|:|=)",
     "operation …"),
    ("domain/order", r"\bdef (book|settle|fail|postpone|put_off|remember|answered)\b",
     "record_…, find_request"),
    ("domain/order", r"\bclass (Changing|Paying|Fulfilling|Returning|Amending)\b",
     "a private part of Order"),
    ("domain/rules", r"\bdef limits\b", "argument_bounds"),
    ("domain/validation/values.py", r"\bdef (text|code|metadata|optional_text)\b", "validate_…"),
    ("entrypoints/http", r"\bdef (shown|asked)\b|\bclass Shown\b",
     "order_response, read_command_request, ResponsePart"),
    ("entrypoints/sandbox/replay", r"\bdef (sell|follow)\b", "process_sale, run_steps"),
    ("entrypoints/settings", r"\bdef (whole|number|several|printable|flag)\b",
     "integer, float_, text, list_of, boolean"),
    ("entrypoints", r"\bclass (Traced|Exchange|MessageSize)\b", "what it does"),
]  # fmt: skip
# Not in docstrings, comments and pages: an engineer reads a sentence once.
PLAIN_ENGLISH: Final = {
    "told": "log, report, return, tell (say who acts)",
    "wish": "request, proposal",
    "wishes": "requests, proposals",
    "of its own(?! [a-z])": "separate: a thing of its own",
    "by itself": "automatically, or who does it",
    "for ever": "indefinitely, or the time",
    "so many": "the number and its unit",
    "what stands": "the thing",
}
PAGES: Final = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


@cache
def text_of(path: Path) -> str:
    return path.read_text()


@cache
def modules(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


FORM_1 = {SOURCE / "adapters/mongo" / name for name in ("stored_forms.py", "form_migration.py")}
"""They rename the stored fields of releases before 0.2, and go after that."""


def sources(scope: str) -> Iterator[Path]:
    """The modules of a folder, or a module."""
    path = SOURCE / scope
    yield from [path] if path.suffix == ".py" else modules(SOURCE if scope == "**" else path)


def places(pattern: str, path: Path, text: str) -> list[str]:
    """Where a pattern stands."""
    name = path.relative_to(ROOT)
    return [
        f"{name}:{len(text[: found.start()].splitlines()) or 1}: {found[0]}"
        for found in re.finditer(pattern, text)
    ]


@cache
def prose(path: Path) -> str:
    """Docstrings and comments of a module, on the lines where they stand."""
    text = text_of(path)
    lines = [""] * (text.count("\n") + 2)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            lines[token.start[0] - 1] += token.string
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Expr(value=ast.Constant(value=str(docstring))):
                for number, line in enumerate(docstring.split("\n"), node.lineno - 1):
                    lines[number] += line
            case _:
                pass
    return "\n".join(lines)


@pytest.mark.parametrize(("word", "say"), WORDS.items())
def test_no_word_of_the_dialect_is_in_the_code(word: str, say: str) -> None:
    found = [
        place
        for path in sources("**")
        for place in places(rf"(?<![A-Za-z]){word}(?![A-Za-z])", path, text_of(path))
    ]
    assert not found, f"say {say}: {found}"


@pytest.mark.parametrize(("scope", "pattern", "say"), SCOPED)
def test_no_word_of_the_dialect_has_its_old_meaning(scope: str, pattern: str, say: str) -> None:
    paths = [path for path in sources(scope) if path not in FORM_1]
    found = [place for path in paths for place in places(pattern, path, text_of(path))]
    assert not found, f"say {say}: {found}"


@pytest.mark.parametrize(("words", "say"), PLAIN_ENGLISH.items())
def test_docstrings_comments_and_pages_are_plain_english(words: str, say: str) -> None:
    pattern = r"(?i)\b" + words.replace(" ", r"\s+") + r"\b"
    texts = [(path, prose(path)) for path in sources("**")]
    texts += [(path, text_of(path)) for path in PAGES]
    found = [place for path, text in texts for place in places(pattern, path, text)]
    assert not found, f"say {say}: {found}"
