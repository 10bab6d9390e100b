"""The floor's documents: the same members as the service's, filled in without a thought."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from bson import ObjectId

Document = dict[str, Any]
AT_ONCE: Final = datetime.fromtimestamp(0, UTC)
_COUNTERS: Final = ("order_discount", "cancelled", "allocated", "shipped", "delivered", "returned")
_NOT_SHOWN: Final = frozenset({"outbox", "outbox_claim", "work_claim", "write_token", "requests"})


def new_document(body: Document, headers: Mapping[str, str]) -> Document:
    """An order that was just placed."""
    now = moment()
    order_id = uuid4()
    lines = [
        {
            "id": str(number),
            "discount": 0,
            "tax": 0,
            "shippable": True,
            **line,
            **dict.fromkeys(_COUNTERS, 0),
        }
        for number, line in enumerate(body["lines"], start=1)
    ]
    gross = sum(line["unit_price"] * line["quantity"] for line in lines)
    wish = body.get("payment")
    expires_at = now + timedelta(days=1)
    document = {
        "_id": order_id,
        "tenant": "main",
        "number": order_id.hex[:13].upper(),
        "placed_by": "checkout",
        "customer_id": body.get("customer_id"),
        "currency": body["currency"],
        "lines": lines,
        "shipping": None,
        "external_reference": body.get("external_reference"),
        "note": None,
        "metadata": {},
        "created_at": now,
        "updated_at": now,
        "expires_at": expires_at,
        "status": "pending",
        "payment_status": "pending" if wish else "unpaid",
        "fulfillment_status": "unfulfilled",
        "return_status": "none",
        "totals": {
            "subtotal": gross,
            "discount": 0,
            "tax": 0,
            "shipping": 0,
            "gross": gross,
            "credits": 0,
            "due": gross,
            "authorized": 0,
            "captured": 0,
            "refunded": 0,
            "charged_back": 0,
            "pending_refunds": 0,
        },
        "cancel_reason": None,
        "ledger": _ledger(order_id, wish, gross, now),
        "shipments": [],
        "returns": [],
        "credits": [],
        "holds": [],
        "notes": [],
        "requests": [answered(headers, now)],
        "sequence": 2 if wish else 1,
        "version": 1,
        "due_at": expires_at,
        "schema": 1,
        "owner": body.get("customer_id") or "checkout",
        "sort_key": f"{now.timestamp() * 1000:013.0f}{order_id.hex}",
        "has_outstanding": True,
        "outbox_claim": {"at": AT_ONCE},
        "work_claim": {"at": expires_at},
        "write_token": ObjectId(),
    }
    facts: list[Document] = [
        {
            "type": "OrderCreated",
            "number": document["number"],
            "currency": body["currency"],
            "lines": len(lines),
            "gross": gross,
        }
    ]
    if wish:
        facts.append({"type": "PaymentStarted", "payment_id": "1", "amount": gross})
    document["outbox"] = events(document, facts, now)
    return document


def _ledger(order_id: UUID, wish: Any, gross: int, now: datetime) -> Document:
    if wish is None:
        return {"payments": [], "refunds": [], "calls": []}
    payment = {
        "id": "1",
        "amount": gross,
        "method": wish["method"],
        "capture": wish.get("capture", False),
        "status": "started",
        "provider_id": None,
        "authorized": 0,
        "captured": 0,
        "refunded": 0,
        "charged_back": 0,
        "decline_code": None,
        "created_at": now,
    }
    call = {
        "kind": "authorize",
        "key": f"{order_id}:1",
        "payment_id": "1",
        "amount": gross,
        "due_at": now + timedelta(seconds=30),
        "tries": 0,
    }
    return {"payments": [payment], "refunds": [], "calls": [call]}


def events(document: Document, facts: list[Document], now: datetime) -> list[Document]:
    """What happened, up to the sequence number that the document has now."""
    first = document["sequence"] - len(facts) + 1
    return [_event(document, fact, number, now) for number, fact in enumerate(facts, start=first)]


def _event(document: Document, fact: Document, sequence: int, now: datetime) -> Document:
    return {
        "sequence": sequence,
        "version": document["version"],
        "occurred_at": now,
        "actor": {"kind": "staff", "subject": "checkout"},
        "event": fact,
        "after": {
            "status": document["status"],
            "payment_status": document["payment_status"],
            "fulfillment_status": document["fulfillment_status"],
            "return_status": document["return_status"],
            "totals": document["totals"],
        },
        "traceparent": None,
    }


def answered(headers: Mapping[str, str], now: datetime) -> Document:
    """The request key that an order remembers."""
    key = headers["idempotency-key"]
    return {"key": key[:32], "fingerprint": key.ljust(64, "0"), "answered_at": now}


def shown(document: Document) -> Document:
    """What a caller gets to see."""
    return {name: value for name, value in document.items() if name not in _NOT_SHOWN}


def moment() -> datetime:
    """Now, to the millisecond."""
    now = time.time_ns() // 1_000_000
    return datetime.fromtimestamp(now / 1_000, UTC)
