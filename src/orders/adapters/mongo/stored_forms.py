"""Orders in stored form 1 and in form 2, side by side, while an installation changes from 1 to 2.

Why: releases before 0.2 store some fields under other names (form 1). A document is wholly in one
form, and its `schema` says in which. Processes of an old release can neither read nor change
documents of form 2. So a process that reads both forms changes each document in the form that it
has, and the setting `ORDERS_STORED_FORM` says in which form it stores new orders. `orders migrate`
changes the form of stored documents (`form_migration`).

The adapters know form 2 only. `MixedOrders` renames what they send and what they get.

Delete this module, `form_migration`, `migrations/` and the setting in the release after 0.2:
`docs/decisions/0023-stored-form-2.md`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Self, cast

from pymongo.results import UpdateResult

from orders.adapters.mongo.connection import Collection, Database
from orders.adapters.mongo.documents import ORDERS, SCHEMA, Document


class StoredForm(StrEnum):
    """The values of `ORDERS_STORED_FORM`."""

    ONE = "1"
    """Read both forms, store new orders in form 1: processes of an old release may run."""
    BOTH = "both"
    """Read both forms, store new orders in form 2."""
    TWO = "2"
    """Read and store form 2 only."""


OLD_SCHEMA: Final = 1
OLD_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "has_outstanding": "owes",
        "sort_key": "listed",
        "outbox_claim": "relay",
        "work_claim": "wake",
        "next_action_at": "due_at",
        "publisher_lags": "behind",
        "offered_sequence": "offered",
        "write_token": "write",
    }
)
"""The fields that have another name in form 1, by their name in form 2."""
NEW_NAMES: Final[Mapping[str, str]] = MappingProxyType({o: n for n, o in OLD_NAMES.items()})
_LEDGER: Final = {"operations": "calls"}
_OPERATION: Final = {"next_attempt_at": "due_at"}

Sort = Sequence[tuple[str, int]]


def orders_in(database: Database, form: StoredForm) -> Collection:
    """Return the collection of orders, as a process with this setting uses it."""
    orders = database[ORDERS]
    return orders if form is StoredForm.TWO else cast("Collection", MixedOrders(orders, form))


class MixedOrders:
    """The methods of a collection that the adapters use, on documents of both forms.

    A migration may change the form of a document between two queries, but only once in that time.
    So each call tries one form, the other, and the first again: that finds every document.
    """

    def __init__(self, orders: Collection, form: StoredForm) -> None:
        """Keep the collection, and the form for new orders."""
        self._orders = orders
        self._form = form

    def with_options(self, **options: Any) -> Self:
        """Return the same orders with other options."""
        return type(self)(self._orders.with_options(**options), self._form)

    async def insert_many(self, documents: Sequence[Document]) -> None:
        """Store new orders in the form of the setting."""
        if self._form is StoredForm.ONE:
            documents = [_to_old(each) | {"schema": OLD_SCHEMA} for each in documents]
        await self._orders.insert_many(documents)

    async def find_one(
        self, query: Document, projection: Document | None = None, *, sort: Sort = ()
    ) -> Document | None:
        """Return the first match, in form 2."""
        if not sort and _to_old(query) == query:
            both = projection and {**projection, **_to_old(projection)}
            document = await self._orders.find_one(query, both)
            return document and _from_either(document)
        found = await self.find(query, projection, sort=sort, limit=1).to_list()
        return found[0] if found else None

    def find(
        self,
        query: Document,
        projection: Document | None = None,
        *,
        sort: Sort = (),
        limit: int = 0,
        batch_size: int = 0,
    ) -> _Found:
        """Return a cursor on the matches, in form 2."""
        options = {"limit": limit, "batch_size": batch_size}
        return _Found(self._orders, query, projection, sort, options)

    async def update_one(self, query: Document, update: Document) -> UpdateResult:
        """Change one document, in the form that it has."""
        result = UpdateResult({"n": 0}, acknowledged=True)
        old = {**_to_old(query), "schema": OLD_SCHEMA}, _to_old(update)
        new = {**query, "schema": {"$ne": OLD_SCHEMA}}, update
        # First the form that most documents have.
        for query_in_form, update_in_form in (
            (old, new, old) if self._form is StoredForm.ONE else (new, old, new)
        ):
            if not result.matched_count:
                result = await self._orders.update_one(query_in_form, update_in_form)
        return result

    async def update_many(self, query: Document, update: Document) -> UpdateResult:
        """Change documents of given ids one by one, so that none is changed in both forms."""
        matched = 0
        for each in query["_id"]["$in"]:
            matched += (await self.update_one(query | {"_id": each}, update)).matched_count
        return UpdateResult({"n": matched}, acknowledged=True)

    async def count_documents(self, query: Document, *, limit: int) -> int:
        """Count the matches, up to `limit`. During a migration the count may be off by a few."""
        counts = [
            await self._orders.count_documents(each, limit=limit)
            for each in (query, _to_old(query))
        ]
        return min(limit, sum(counts))


class _Found:
    """What `MixedOrders.find` returns."""

    def __init__(
        self,
        orders: Collection,
        query: Document,
        projection: Document | None,
        sort: Sort,
        options: Mapping[str, int],
    ) -> None:
        self._orders = orders
        self._query = dict(query)
        self._projection = projection
        self._sort = sort
        self._options = options
        for field, _ in sort:
            if field in OLD_NAMES:
                # Documents of the other form lack the field: do not scan them in its index.
                self._query.setdefault(field, {"$gte": ""})
        if projection and any(projection.values()):
            needed = [field for field, _ in sort if not _includes(projection, field)]
            self._projection = {**projection, **dict.fromkeys([*needed, "schema"], 1)}

    async def to_list(self) -> list[Document]:
        """Return all matches, sorted, at most the limit."""
        found: dict[object, Document] = {}
        for in_form, is_old in ((_to_old, True), (dict, False), (_to_old, True)):
            cursor = self._orders.find(
                in_form(self._query),
                in_form(self._projection or {}) or None,
                sort=[*in_form(dict(self._sort)).items()] or None,
                **self._options,
            )
            for each in await cursor.to_list():
                if (each["schema"] == OLD_SCHEMA) is is_old:
                    found[each["_id"]] = _from_either(each)
        documents = [*found.values()]
        for field, direction in reversed(self._sort):
            documents.sort(key=lambda each: _value(each, field), reverse=direction < 0)
        return documents[: self._options["limit"] or None]

    async def __aiter__(self) -> AsyncIterator[Document]:
        for document in await self.to_list():
            yield document


def _to_old(document: Document) -> Document:
    """A document, query, update or projection with the field names of form 1."""
    renamed: Document = {}
    for key, value in document.items():
        if key == "$or":
            renamed[key] = [_to_old(each) for each in value]
        elif key.startswith("$"):  # an operator of an update: the fields are inside
            renamed[key] = _to_old(value)
        else:
            field, dot, rest = key.partition(".")
            renamed[OLD_NAMES.get(field, field) + dot + rest] = old_value(field, value)
    return renamed


def old_value(field: str, value: Any) -> Any:
    """Return the value of a field of form 2 as form 1 has it: only the ledger differs inside."""
    if field != "ledger" or not isinstance(value, dict):
        return value
    operations = [_with_names(each, _OPERATION) for each in value["operations"]]
    return _with_names({**value, "operations": operations}, _LEDGER)


def new_value(field: str, value: Any) -> Any:
    """Return the value of a field of form 1 as form 2 has it."""
    if field != "ledger" or not isinstance(value, dict):
        return value
    calls = [_with_names(each, _reversed(_OPERATION)) for each in value["calls"]]
    return _with_names({**value, "calls": calls}, _reversed(_LEDGER))


def _with_names(document: Document, names: Mapping[str, str]) -> Document:
    return {names.get(name, name): value for name, value in document.items()}


def _reversed(names: Mapping[str, str]) -> dict[str, str]:
    return {old: new for new, old in names.items()}


def _from_either(document: Document) -> Document:
    if document.get("schema", OLD_SCHEMA) != OLD_SCHEMA:
        return document
    renamed = {NEW_NAMES.get(n, n): new_value(n, value) for n, value in document.items()}
    return renamed | {"schema": SCHEMA} if "schema" in document else renamed


def _includes(projection: Document, field: str) -> bool:
    return any(field == each or field.startswith(f"{each}.") for each in projection)


def _value(document: Document, path: str) -> Any:
    value: Any = document
    for name in path.split("."):
        value = value[name]
    return value
