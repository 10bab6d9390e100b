"""The durable half of the sandbox's payment service: accounts, answers, movements, notices."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec.structs import asdict

from orders.entrypoints.sandbox.payment_service.account import Account

_SCHEMA = """
CREATE TABLE IF NOT EXISTS accounts (
    id TEXT PRIMARY KEY, reference TEXT NOT NULL UNIQUE, settles_at REAL, state TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS accounts_settling ON accounts (settles_at)
    WHERE settles_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS keys (
    key TEXT PRIMARY KEY, request TEXT NOT NULL, calls INTEGER NOT NULL, status INTEGER, body BLOB
) STRICT;
CREATE TABLE IF NOT EXISTS movements (
    number INTEGER PRIMARY KEY, account TEXT NOT NULL REFERENCES accounts, kind TEXT NOT NULL,
    amount INTEGER NOT NULL, key TEXT, at REAL NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS notices (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, body BLOB NOT NULL, due_at REAL,
    tries INTEGER NOT NULL, state TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS notices_due ON notices (due_at) WHERE due_at IS NOT NULL;
"""


class KeyState(msgspec.Struct, frozen=True):
    """What is known of an Idempotency-Key. `calls` counts the present one, too."""

    request: str
    calls: int
    status: int | None
    body: bytes | None


class Webhook(msgspec.Struct, frozen=True):
    """A webhook that is not delivered yet. `tries` counts those that failed."""

    id: str
    body: bytes
    tries: int
    traceparent: str | None = None


class PaymentStore:
    """One SQLite file. What a transaction wrote survives the loss of process and power.

    Used by one thread at a time.
    """

    def __init__(self, file: Path) -> None:
        self._db = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;" + _SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written inside is kept together, or not at all."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def count_call(self, key: str, request: str) -> KeyState:
        """Count one more call of a key; `request` is kept if it is the first."""
        row = self._db.execute(
            "INSERT INTO keys VALUES (?, ?, 1, NULL, NULL) ON CONFLICT (key) DO"
            " UPDATE SET calls = calls + 1 RETURNING request, calls, status, body",
            (key, request),
        ).fetchone()
        return KeyState(*row)

    def keep_reply(self, key: str, *, status: int, body: bytes) -> None:
        """Store the response for every repetition of a key."""
        self._db.execute("UPDATE keys SET status = ?, body = ? WHERE key = ?", (status, body, key))

    def save(self, account: Account) -> None:
        """Add or replace an account."""
        self._db.execute(
            "INSERT INTO accounts VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE"
            " SET settles_at = excluded.settles_at, state = excluded.state",
            (
                account.id,
                account.reference,
                account.settles_at,
                msgspec.json.encode(account).decode(),
            ),
        )

    def account(self, account_id: str) -> Account | None:
        """The account of an id."""
        return self._one("SELECT state FROM accounts WHERE id = ?", account_id)

    def by_reference(self, reference: str) -> Account | None:
        """The account of a reference."""
        return self._one("SELECT state FROM accounts WHERE reference = ?", reference)

    def settling(self, now: float) -> list[Account]:
        """Pending accounts whose time has come."""
        rows = self._db.execute("SELECT state FROM accounts WHERE settles_at <= ?", (now,))
        return [msgspec.json.decode(state, type=Account) for (state,) in rows]

    def add_movement(
        self, account: Account, *, kind: str, amount: int, key: str | None, at: float
    ) -> None:
        """Write down money that moved. `at` is in seconds since 1970."""
        self._db.execute(
            "INSERT INTO movements VALUES (NULL, ?, ?, ?, ?, ?)",
            (account.id, kind, amount, key, at),
        )

    def add_webhook(self, webhook: Webhook, *, due_at: float) -> None:
        """Queue a webhook."""
        self._db.execute(
            "INSERT INTO notices VALUES (NULL, ?, ?, ?, ?, 'waiting')",
            (webhook.id, webhook.body, due_at, webhook.tries),
        )

    def due_webhooks(self, now: float, *, limit: int) -> list[Webhook]:
        """The oldest webhooks whose time has come."""
        rows = self._db.execute(
            "SELECT notices.id, body, tries, json_extract(state_of.state, '$.traceparent')"
            " FROM notices LEFT JOIN accounts AS state_of"
            " ON state_of.id = json_extract(CAST(body AS TEXT), '$.data.id')"
            " WHERE due_at <= ? ORDER BY number LIMIT ?",
            (now, limit),
        )
        return [Webhook(*row) for row in rows]

    def mark_webhook(self, webhook: Webhook, *, state: str, due_at: float | None) -> None:
        """Store how a try went; without `due_at` it was the last one."""
        self._db.execute(
            "UPDATE notices SET state = ?, due_at = ?, tries = tries + 1 WHERE id = ?",
            (state, due_at, webhook.id),
        )

    def next_due_at(self, *, webhooks: bool) -> float | None:
        """When a payment settles or, with `webhooks`, a webhook is due, in seconds since 1970."""
        earliest = [
            self._db.execute(
                "SELECT min(settles_at) FROM accounts WHERE settles_at > 0"
            ).fetchone()[0]
        ]
        if webhooks:
            earliest.append(
                self._db.execute("SELECT min(due_at) FROM notices WHERE due_at > 0").fetchone()[0]
            )
        return min((at for at in earliest if at is not None), default=None)

    def ledger(self) -> Mapping[str, object]:
        """Everything, to be looked at: payments with their movements, totals, calls, notices."""
        movements: dict[str, list[dict[str, object]]] = {}
        totals: dict[str, dict[str, int]] = {}
        rows = self._db.execute(
            "SELECT account, kind, amount, key, at, json_extract(state, '$.currency')"
            " FROM movements JOIN accounts ON accounts.id = account ORDER BY number"
        )
        for account, kind, amount, key, at, currency in rows:
            entry = {"kind": kind, "amount": amount, "key": key, "at": at}
            movements.setdefault(account, []).append(entry)
            total = totals.setdefault(currency, {})
            total[kind] = total.get(kind, 0) + amount
        states = self._db.execute("SELECT state FROM accounts ORDER BY rowid")
        accounts = [msgspec.json.decode(state, type=Account) for (state,) in states]
        return {
            "payments": [asdict(a) | {"movements": movements.get(a.id, [])} for a in accounts],
            "totals": totals,
            "calls": dict(self._db.execute("SELECT key, calls FROM keys ORDER BY rowid")),
            "notices": dict(self._db.execute("SELECT state, count(*) FROM notices GROUP BY state")),
        }

    def _one(self, statement: str, parameter: str) -> Account | None:
        row = self._db.execute(statement, (parameter,)).fetchone()
        return None if row is None else msgspec.json.decode(row[0], type=Account)
