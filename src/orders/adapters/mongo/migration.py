"""`orders migrate`: creates indexes, changes the form of orders, and says what is in the way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, Final

from beanie import Document, init_beanie
from pymongo import IndexModel
from pymongo.errors import ConfigurationError, OperationFailure, PyMongoError

from orders.adapters.mongo.connection import Database, open_mongo
from orders.adapters.mongo.documents import ORDERS
from orders.adapters.mongo.driver_errors import DUPLICATE_KEY
from orders.adapters.mongo.form_migration import Report, bring_to_form
from orders.adapters.mongo.schema import models_for
from orders.adapters.mongo.stored_forms import StoredForm

_INDEX_SECONDS: Final = 3_600.0
_PING_SECONDS: Final = 2.0
_PAUSE_SECONDS: Final = 0.1
_OLDEST_VERSIONS: Final = ((7, 0, 35), (8, 0, 24))
"""The first releases of each line of MongoDB without known faults that matter here."""
_PARTIAL: Final = "partialFilterExpression"
_ONLY_SOME: Final = (_PARTIAL, "sparse")
_AUTHENTICATION_FAILED: Final = frozenset({11, 18})
_UNAUTHORIZED: Final = 13
_ATLAS_ERROR: Final = 8000


class CannotMigrate(Exception):
    """The database cannot be used as it is; the message says why, and shows no secret."""


async def wait_for_database(uri: str, *, seconds: float, report: Report) -> None:
    """Return once the database accepts a command, within `seconds`.

    It reports a release of MongoDB that has known faults.

    Raises:
        CannotMigrate: If it does not. The message tells a wrong password from no answer.
    """
    deadline = time.monotonic() + seconds
    async with open_mongo(uri, database="admin", timeout_seconds=_PING_SECONDS) as opened:
        while True:
            try:
                await opened.command("ping")
                break
            except PyMongoError as error:
                if time.monotonic() > deadline:
                    raise CannotMigrate(_reason_of(error)) from error
            await asyncio.sleep(_PAUSE_SECONDS)
        await _report_version(opened, report)


async def migrate(
    uri: str,
    *,
    database: str,
    stored_form: StoredForm = StoredForm.TWO,
    report: Report = lambda _: None,
) -> None:
    """Create the missing indexes, and bring the orders to the form of `ORDERS_STORED_FORM`.

    It may be run again, and by several processes at once. It never changes an index under its
    name: a new definition gets a new name.

    Raises:
        OldFormLeft: If processes with this setting would not see some of the orders.
        CannotMigrate: If the database cannot be reached, refuses an index or does not keep it as
            declared, or has an index of another form under its name.
    """
    async with open_mongo(uri, database=database, timeout_seconds=_INDEX_SECONDS) as opened:
        try:
            models = models_for(is_sharded=await _is_sharded(opened))
            await _require_no_other_form(opened, models)
            await _create_indexes(opened, models, report)
            await bring_to_form(opened, stored_form, report)
        except PyMongoError as error:
            raise CannotMigrate(_reason_of(error)) from error


async def _is_sharded(database: Database) -> bool:
    """Whether the orders are. That `hello` says `isdbgrid` is no proof: the collection may be on
    one shard, and engines without shards say it, too.
    """
    try:
        stats = await database.command("collStats", ORDERS)
    except OperationFailure:
        # There is no such collection yet, or the engine does not know the command. Should the
        # orders be sharded after all, the database refuses the unique index.
        return False
    return bool(stats.get("sharded"))


async def _create_indexes(
    database: Database, models: Sequence[type[Document]], report: Report
) -> None:
    try:
        await init_beanie(database=database, document_models=list(models))
    except OperationFailure as error:
        raise CannotMigrate(await _first_refused(database, models) or _reason_of(error)) from error
    too_large = []
    async for collection, index, stored in _indexes(database, models):
        if stored is None or not _has_form(index, stored):
            raise CannotMigrate(
                f"the database does not keep the {_kind_of(index)} index {index['name']} of "
                f"{collection}, which the service needs: use another database (docs/operate.md, "
                "Databases)"
            )
        if any(option in index and option not in stored for option in _ONLY_SOME):
            too_large.append(index["name"])
    if too_large:
        report(f"the database keeps all orders in indexes for some: {', '.join(too_large)}")


async def _require_no_other_form(database: Database, models: Sequence[type[Document]]) -> None:
    async for collection, index, stored in _indexes(database, models):
        if stored is not None and not _has_form(index, stored):
            name = index["name"]
            raise CannotMigrate(
                f"the index {name} of {collection} has another form than the {_kind_of(index)} "
                f'one that is needed: drop it with db.{collection}.dropIndex("{name}"), and run '
                "this again (docs/operate.md, Databases)"
            )


async def _first_refused(database: Database, models: Sequence[type[Document]]) -> str | None:
    """Create the indexes one by one up to the first that is refused; return what is wrong."""
    for collection, index in _declared(models):
        try:
            await database[collection].create_indexes([index])
        except OperationFailure as error:
            which = f"the {_kind_of(index.document)} index {index.document['name']} of {collection}"
            if error.code in DUPLICATE_KEY:
                return f"{which} cannot be created: some documents have the same key"
            said = (error.details or {}).get("codeName") or f"code {error.code}"
            return f"the database refuses {which}, which the service needs: {said}"
    return None


async def _indexes(
    database: Database, models: Sequence[type[Document]]
) -> AsyncIterator[tuple[str, Mapping[str, Any], Mapping[str, Any] | None]]:
    """Each declared index, with what the database says of it; None if it has none of its name."""
    stored = {
        collection: await database[collection].index_information()
        for collection in {name for name, _ in _declared(models)}
    }
    for collection, index in _declared(models):
        yield collection, index.document, stored[collection].get(str(index.document["name"]))


def _declared(models: Sequence[type[Document]]) -> Iterator[tuple[str, IndexModel]]:
    for model in models:
        settings: Any = model.Settings
        yield from ((settings.name, index) for index in settings.indexes)


def _has_form(index: Mapping[str, Any], stored: Mapping[str, Any]) -> bool:
    """Whether an index is what is declared, as far as being right depends on it."""
    return [*stored["key"]] == [*index["key"].items()] and bool(stored.get("unique")) is bool(
        index.get("unique")
    )


def _kind_of(index: Mapping[str, Any]) -> str:
    if index.get("unique"):
        return "unique"
    return "partial" if _PARTIAL in index else "plain"


async def _report_version(database: Database, report: Report) -> None:
    try:
        version = str((await database.command("buildInfo"))["version"])
    except (OperationFailure, KeyError):
        return  # nothing depends on it
    if is_outdated(version):
        wanted = " or ".join(".".join(map(str, each)) for each in _OLDEST_VERSIONS)
        report(f"the database says it is MongoDB {version}: use {wanted}, or a later patch of it")


def is_outdated(version: str) -> bool:
    """Return whether this release of MongoDB has known faults. Other engines name one, too."""
    numbers = tuple(int(each) for each in version.split(".")[:3] if each.isdecimal())
    oldest = _OLDEST_VERSIONS[-1] if numbers >= (8,) else _OLDEST_VERSIONS[0]
    return bool(numbers) and numbers < oldest


def _reason_of(error: PyMongoError) -> str:
    code = error.code if isinstance(error, OperationFailure) else None
    if code in _AUTHENTICATION_FAILED or (code == _ATLAS_ERROR and "auth" in str(error)):
        return "the database refuses the user name or the password of ORDERS_MONGO_URI"
    if code == _UNAUTHORIZED:
        return "the user of ORDERS_MONGO_URI may not do this: it needs the role readWrite"
    if isinstance(error, ConfigurationError):
        return f"the database of ORDERS_MONGO_URI cannot be used: {error}"
    if code is not None:
        return f"the database refuses a command: {type(error).__name__} {code}"
    return "the database does not answer: see ORDERS_MONGO_URI"
