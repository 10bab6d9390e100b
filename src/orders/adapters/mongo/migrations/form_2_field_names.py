"""Stored form 2: the fields of an order get the names that they have in the code.

Beanie's runner loads this file by its path and records its name. See `form_migration`.
"""

from __future__ import annotations

from typing import ClassVar

from beanie import Document, free_fall_migration
from pymongo.asynchronous.client_session import AsyncClientSession

from orders.adapters.mongo.documents import ORDERS
from orders.adapters.mongo.form_migration import change_form


class StoredOrder(Document):
    """The collection, without a model of its documents: the database renames their fields."""

    class Settings:
        name: ClassVar = ORDERS


class Forward:
    """From form 1 to form 2."""

    @free_fall_migration(document_models=[StoredOrder])  # type: ignore[untyped-decorator]
    async def to_form_2(self, session: AsyncClientSession) -> None:  # noqa: ARG002 - Beanie passes it
        """Change every document of form 1."""
        await change_form(StoredOrder.get_pymongo_collection(), to=2)


class Backward:
    """From form 2 to form 1."""

    @free_fall_migration(document_models=[StoredOrder])  # type: ignore[untyped-decorator]
    async def to_form_1(self, session: AsyncClientSession) -> None:  # noqa: ARG002 - Beanie passes it
        """Change every document of form 2."""
        await change_form(StoredOrder.get_pymongo_collection(), to=1)
