"""Changes the stored form of all orders while the service runs, with Beanie's migration runner.

Each document changes in one atomic update, so no transaction is needed, and a stand-alone server
or a sharded cluster will do. A run that was interrupted, or that another run overlaps, is
harmless: a document that has its form already is left alone. Delete this module together with
`stored_forms`.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final

from beanie.migrations.database import DBHandler
from beanie.migrations.models import MigrationLog, RunningDirections, RunningMode
from beanie.migrations.runner import MigrationNode
from pymongo import ASCENDING, IndexModel, UpdateOne

from orders.adapters.mongo.connection import Collection, Database
from orders.adapters.mongo.documents import ORDERS, PUBLISHERS, SCHEMA, Document
from orders.adapters.mongo.stored_forms import (
    NEW_NAMES,
    OLD_NAMES,
    OLD_SCHEMA,
    StoredForm,
    new_value,
    old_value,
)

Report = Callable[[str], None]
"""Takes a line about the progress, for people."""

_FOLDER: Final = Path(__file__).with_name("migrations")
_MIGRATION: Final = "form_2_field_names.py"
_LOG: Final = str(MigrationLog.Settings.name)
_BATCH: Final = 100
"""Documents per update. It bounds memory, and how long other writers may wait."""
_MAX_PASSES: Final = 3
_REPORT_SECONDS: Final = 2.0
_report: ContextVar[Report] = ContextVar("report", default=lambda _: None)


class OldFormLeft(Exception):
    """There are orders in form 1, and processes that read form 2 only would not see them."""


def _old_index(name: str, *fields: str, **options: Any) -> IndexModel:
    return IndexModel([(field, ASCENDING) for field in fields], name=name, **options)


def _old_list_by(field: str, bound: object = None) -> IndexModel:
    options = {} if bound is None else {"partialFilterExpression": {field: bound}}
    return _old_index(f"listed_by_{field}", "tenant", field, "listed", **options)


OLD_INDEXES: Final = (
    _old_index("listed", "tenant", "listed"),
    _old_list_by("owner"),
    _old_list_by("status"),
    _old_list_by("payment_status"),
    _old_list_by("fulfillment_status"),
    _old_list_by("return_status", {"$gt": "none"}),
    _old_list_by("owes"),
    _old_list_by("ready_to_ship", {"$gte": False}),
    _old_list_by("customer_id", {"$gt": ""}),
    _old_list_by("external_reference", {"$gt": ""}),
    _old_index("relay", "relay.at", sparse=True),
    *(_old_index(f"behind_{name}", f"behind.{name}.at", sparse=True) for name in PUBLISHERS),
    _old_index("wake", "wake.at", sparse=True),
)


async def bring_to_form(database: Database, form: StoredForm, report: Report) -> None:
    """Bring all orders to the form in which processes with this setting store new ones.

    Raises:
        OldFormLeft: If the setting is `2`, and there are orders in form 1.
    """
    if form is StoredForm.TWO:
        await _finish(database)
        return
    await database[ORDERS].create_indexes([*OLD_INDEXES])
    _report.set(report)
    await _run(database, forward=form is StoredForm.BOTH)


async def change_form(orders: Collection, *, to: int) -> None:
    """Change every document to form `to`, 1 or 2.

    Processes may store new documents in the other form meanwhile. So it starts again if any are
    left, up to three times, and reports how many are left then.
    """
    source, changed, left = _CHANGES[to][0], 0, 0
    for _ in range(_MAX_PASSES):
        async for ids in _batches(orders):
            changed += await _change_batch(orders, ids, to=to)
        left = await orders.count_documents({"schema": source})
        if not left:
            break
    if to == SCHEMA:
        await orders.update_many(_HAS_STRAYS, _REMOVE_STRAYS)
    _report.get()(f"{changed} orders changed to form {to}, {left} left in form {source}")


async def _change_batch(orders: Collection, ids: Sequence[object], *, to: int) -> int:
    """Change the documents of a batch that have the other form; return their number."""
    source, names, ledger = _CHANGES[to]
    in_batch: Document = {"_id": {"$in": ids}, "schema": source}
    change: Document = {"$rename": {**names, **ledger}, "$set": {"schema": to}}
    (operations,) = ledger
    result = await orders.update_many(in_batch | {operations: []}, change)
    return result.modified_count + await _change_one_by_one(orders, in_batch, to=to)


async def _change_one_by_one(orders: Collection, query: Document, *, to: int) -> int:
    """Change orders with payment operations: the database cannot rename fields inside an array.

    An order that is saved between the read and the update has another write token. It is changed
    in the next pass.
    """
    source, names, _ = _CHANGES[to]
    value, token = (
        (new_value, OLD_NAMES["write_token"]) if to == SCHEMA else (old_value, "write_token")
    )
    updates = [
        UpdateOne(
            {"_id": each["_id"], "schema": source, token: each[token]},
            {
                "$rename": dict(names),
                "$set": {"schema": to, "ledger": value("ledger", each["ledger"])},
            },
        )
        async for each in orders.find(query, {"ledger": 1, token: 1})
    ]
    return (await orders.bulk_write(updates, ordered=False)).modified_count if updates else 0


# By the form to change to: the other form, and what is renamed in an order and in its ledger.
_CHANGES: Final[Mapping[int, tuple[int, Mapping[str, str], Mapping[str, str]]]] = {
    SCHEMA: (OLD_SCHEMA, NEW_NAMES, {"ledger.calls": "ledger.operations"}),
    OLD_SCHEMA: (SCHEMA, OLD_NAMES, {"ledger.operations": "ledger.calls"}),
}
# A relay of an old release that has claimed an order before its form changed, and continues after,
# may set old names on the document. Nobody reads them there.
_HAS_STRAYS: Final[Document] = {
    "schema": SCHEMA,
    "$or": [{old: {"$exists": True}} for old in NEW_NAMES],
}
_REMOVE_STRAYS: Final[Document] = {"$unset": dict.fromkeys(NEW_NAMES, "")}


async def _batches(orders: Collection) -> AsyncIterator[list[object]]:
    """The ids of all orders, in batches. Reports the progress."""
    total, done = await orders.estimated_document_count(), 0
    query: Document = {}
    reported = time.monotonic()
    while True:
        found = orders.find(query, {"_id": 1}, sort=[("_id", ASCENDING)], limit=_BATCH)
        ids = [document["_id"] async for document in found]
        if not ids:
            return
        yield ids
        done += len(ids)
        query = {"_id": {"$gt": ids[-1]}}
        if time.monotonic() - reported > _REPORT_SECONDS:
            reported = time.monotonic()
            _report.get()(f"{done} of about {total} orders")


async def _run(database: Database, *, forward: bool) -> None:
    """Run the migration with Beanie, whether or not its log says that it was run.

    The log may be wrong: processes with the other setting have stored orders since.
    """
    migration, before = await _build(database)
    node = before if forward else migration
    direction = RunningDirections.FORWARD if forward else RunningDirections.BACKWARD
    await node.run(
        RunningMode(direction=direction, distance=1),
        allow_index_dropping=False,
        use_transaction=False,
    )


async def _build(database: Database) -> tuple[MigrationNode, MigrationNode]:
    """Beanie's node of the migration, and the one before."""
    # Beanie would open another connection, without our time limits and our form of UUIDs.
    beanie_database: Any = DBHandler
    beanie_database.client, beanie_database.database = database.client, database
    current = await MigrationNode.build(_FOLDER)
    migration = current if current.name == _MIGRATION else current.next_migration
    assert migration is not None
    assert migration.prev_migration is not None
    return migration, migration.prev_migration


async def _finish(database: Database) -> None:
    """Record that only form 2 is left, and drop the indexes of form 1; or refuse to."""
    orders = database[ORDERS]
    existing = await orders.index_information()
    # The first of them goes last: while it is there, an interrupted drop is continued.
    names = [str(index.document["name"]) for index in reversed(OLD_INDEXES)]
    recorded: Document = {"is_current": True, "name": _MIGRATION}
    if names[-1] not in existing and await database[_LOG].find_one(recorded):
        return
    if left := await orders.count_documents({"schema": OLD_SCHEMA}):
        raise OldFormLeft(
            f"{left} orders are stored in form 1, which ORDERS_STORED_FORM=2 does not read: see "
            "docs/operate.md, Upgrade the stored form"
        )
    migration, _ = await _build(database)
    await migration.update_current_migration()  # type: ignore[no-untyped-call]
    for name in names:
        if name in existing:
            await orders.drop_index(name)
