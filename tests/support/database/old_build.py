"""The database code of the release before stored form 2: its mapping and its queries, verbatim.

It stands for a process of that release that runs beside today's. Only the classes of the domain
are today's. `test_stored_forms.py` compares what it writes with the golden document of form 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from bson import ObjectId

from orders.adapters.mongo.connection import Database
from orders.adapters.mongo.documents import SCHEMA, to_event_document, to_state
from orders.application.errors import ConcurrentUpdate, UnreadableOrder
from orders.domain.identifiers import OrderId
from orders.domain.order.order import Order
from orders.domain.order.storing import mark_stored, restore, write_token
from orders.domain.rules import ready_to_ship
from orders.domain.state import OrderState

Document = dict[str, Any]
AT_ONCE: Final = datetime.fromtimestamp(0, UTC)
NEVER: Final = datetime(5000, 1, 1, tzinfo=UTC)
_BSON: Final = (datetime, UUID)


def in_form_of(before: Any, document: Any) -> Any:
    """A document, or a part of it, without the members that the one before lacks."""
    if isinstance(before, dict):
        return {name: in_form_of(before[name], document[name]) for name in before}
    if isinstance(before, list):
        return [in_form_of(*pair) for pair in zip(before, document, strict=True)]
    return document


def old_document(order: Order) -> Document:
    """A new order as the old release stored it."""
    state = order.state
    milliseconds = (state.created_at - AT_ONCE) // timedelta(milliseconds=1)
    document = _old_state(state)
    document |= {
        "_id": document.pop("id"),
        "schema": 1,
        "version": 1,
        "owner": state.customer_id if state.customer_id is not None else state.placed_by,
        "listed": f"{milliseconds:013d}{state.id.hex}",
        "owes": state.totals.outstanding > 0,
        "ready_to_ship": ready_to_ship(state),
        "outbox": [to_event_document(each, None) for each in order.new_events],
    }
    if order.new_events:
        document["relay"] = {"at": AT_ONCE}
    if state.next_action_at is not None:
        document["wake"] = {"at": state.next_action_at}
    return document


class OldOrders:
    """Orders, as the old release reads and writes them."""

    def __init__(self, database: Database) -> None:
        self._orders = database["orders"]

    async def add(self, order: Order) -> None:
        document = old_document(order)
        document["write"] = mark = ObjectId()
        await self._orders.insert_many([document])
        mark_stored(order, 1, write_token=mark)

    async def get(self, order_id: OrderId) -> Order:
        document = await self._orders.find_one({"_id": order_id}, {"outbox": 0})
        assert document is not None
        if document["schema"] != 1:
            raise UnreadableOrder(order_id, f"schema {document['schema']}")
        return restore(_state_of(document), write_token=document["write"])

    async def save(self, order: Order) -> None:
        state, mark = order.state, ObjectId()
        changed = _old_state(state)
        del changed["id"]
        changed |= {"owes": state.totals.outstanding > 0, "version": order.version + 1}
        changed |= {"ready_to_ship": ready_to_ship(state), "write": mark}
        update: Document = {"$set": changed}
        if state.next_action_at is None:
            update["$unset"] = {"wake": ""}
        else:
            changed["wake"] = {"at": state.next_action_at}
        if order.new_events:
            events = [to_event_document(each, None) for each in order.new_events]
            update["$push"] = {"outbox": {"$each": events}}
            update["$max"] = {"relay.at": AT_ONCE}
        expected = {"_id": order.id, "version": order.version, "write": write_token(order)}
        if not (await self._orders.update_one(expected, update)).matched_count:
            raise ConcurrentUpdate
        mark_stored(order, order.version + 1, write_token=mark)

    async def claim_due(self, *, now: datetime, lease: timedelta, limit: int) -> list[OrderId]:
        claimed = await _claim(self._orders, "wake", now, lease, limit)
        return [OrderId(each["_id"]) for each in claimed]

    async def listed(self, tenant: str) -> list[OrderId]:
        """The ids of a tenant's orders, the newest first."""
        found = self._orders.find({"tenant": tenant}, {"_id": 1}).sort("listed", -1)
        return [OrderId(each["_id"]) async for each in found]


class OldOutbox:
    """Outboxes, as the relay of the old release uses them."""

    def __init__(self, database: Database) -> None:
        self._orders = database["orders"]

    async def claim(
        self, *, now: datetime, lease: timedelta, limit: int
    ) -> dict[OrderId, list[int]]:
        """The numbers of the new events of the claimed orders."""
        claimed = await _claim(self._orders, "relay", now, lease, limit)
        return {
            OrderId(each["_id"]): [
                event["sequence"]
                for event in each["outbox"]
                if event["sequence"] > each.get("offered", 0)
            ]
            for each in claimed
            if each["schema"] == 1
        }

    async def remove(self, ids: Sequence[OrderId], up_to: int) -> None:
        pulled = {"$pull": {"outbox": {"sequence": {"$lte": up_to}}}}
        result = await self._orders.update_many(
            {"_id": {"$in": ids}, "sequence": {"$lte": up_to}},
            pulled | {"$unset": {"relay": "", "behind": "", "offered": ""}},
        )
        if result.matched_count < len(ids):
            await self._orders.update_many(
                {"_id": {"$in": ids}, "outbox.0.sequence": {"$lte": up_to}},
                pulled | {"$set": {"relay": {"at": AT_ONCE}}},
            )

    async def keep(self, order_id: OrderId, up_to: int, lags: Mapping[str, Document]) -> None:
        """Some publishers have not confirmed the events; `at` from `NEVER` on: they are parked."""
        told: Document = {f"behind.{name}": lag for name, lag in lags.items()}
        told["offered"] = up_to
        changes = {"$set": told, "$unset": {"relay": ""}}
        result = await self._orders.update_one({"_id": order_id, "sequence": up_to}, changes)
        assert result.matched_count == 1


async def _claim(
    orders: Any, queue: str, now: datetime, lease: timedelta, limit: int
) -> list[Document]:
    turn = {f"{queue}.at": {"$lte": now}}
    first = orders.find(turn, {"_id": 1}, limit=limit).sort(f"{queue}.at")
    ids = [document["_id"] for document in await first.to_list()]
    claimant = ObjectId()
    ours = {"$set": {f"{queue}.at": now + lease, f"{queue}.by": claimant}}
    await orders.update_many({"_id": {"$in": ids}, **turn}, ours)
    found: list[Document] = await orders.find(
        {"_id": {"$in": ids}, f"{queue}.by": claimant}
    ).to_list()
    return found


def _old_state(state: OrderState) -> Document:
    document: Document = msgspec.to_builtins(state, builtin_types=_BSON)
    document["due_at"] = document.pop("next_action_at")
    calls = document["ledger"]["calls"] = document["ledger"].pop("operations")
    for call in calls:
        call["due_at"] = call.pop("next_attempt_at")
    return document


def _state_of(document: Document) -> OrderState:
    document["next_action_at"] = document.pop("due_at")
    operations = document["ledger"]["operations"] = document["ledger"].pop("calls")
    for operation in operations:
        operation["next_attempt_at"] = operation.pop("due_at")
    return to_state(document | {"schema": SCHEMA})
