"""The floor: the smallest honest program that writes and reads the same documents.

The same server, driver, durability, indexes and documents as the service; no domain, no rights,
no validation, no limits, no telemetry. What the service costs beyond this is what it promises.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import aiohttp
import msgspec
import uvicorn
from bson import ObjectId
from litestar import Litestar, Request, Response, get, post
from litestar.params import FromPath, FromQuery
from pymongo import AsyncMongoClient

from orders.adapters.mongo.connection import DURABLE
from orders.adapters.mongo.documents import CODEC
from tests.bench.rigs.floor_documents import (
    AT_ONCE,
    Document,
    answered,
    events,
    moment,
    new_document,
    shown,
)

Http = Request[Any, Any, Any]


@post("/v1/orders")
async def place(request: Http) -> Response[bytes]:
    """One insert; with a payment one call and one update."""
    state = request.app.state
    document = new_document(msgspec.json.decode(await request.body()), request.headers)
    await state.orders.insert_one(document)
    if document["ledger"]["calls"]:
        await _pay(state, document)
    return _json(shown(document), status=201)


@get("/v1/orders/{order_id:uuid}")
async def read(request: Http, order_id: FromPath[UUID]) -> Response[bytes]:
    """One find by key."""
    shown_of = {"outbox": 0, "requests": 0}
    document = await request.app.state.orders.find_one({"_id": order_id}, shown_of)
    return _json(shown(document))


@get("/v1/orders")
async def some(
    request: Http, limit: FromQuery[int], status: FromQuery[str | None] = None
) -> Response[bytes]:
    """One find; whose orders, a header tells."""
    where = {"owner": request.headers["x-customer"]} if status is None else {"status": status}
    shown_of = {"outbox": 0, "requests": 0}
    found = request.app.state.orders.find({"tenant": "main", **where}, shown_of)
    items = await found.sort("sort_key", -1).limit(limit).to_list()
    return _json({"items": [shown(each) for each in items], "next_cursor": None})


@post("/v1/orders/{order_id:uuid}/cancel", status_code=200)
async def cancel(request: Http, order_id: FromPath[UUID]) -> Response[bytes]:
    """One find and one update."""
    orders = request.app.state.orders
    document = await orders.find_one({"_id": order_id}, {"outbox": 0})
    lines = [{**line, "cancelled": line["quantity"]} for line in document["lines"]]
    now = moment()
    changes = {
        "status": "cancelled",
        "payment_status": "not_required",
        "fulfillment_status": "cancelled",
        "cancel_reason": "customer",
        "lines": lines,
        "totals": document["totals"] | {"subtotal": 0, "gross": 0, "due": 0},
        "updated_at": now,
        "due_at": None,
        "has_outstanding": False,
        "sequence": document["sequence"] + 1,
        "version": document["version"] + 1,
        "requests": [*document["requests"], answered(request.headers, now)],
        "write_token": ObjectId(),
    }
    document |= changes
    facts = [{"type": "OrderCancelled", "reason": "customer"}]
    await orders.update_one(
        {"_id": order_id, "version": document["version"] - 1},
        {
            "$set": changes,
            "$unset": {"work_claim": ""},
            "$push": {"outbox": {"$each": events(document, facts, now)}},
            "$max": {"outbox_claim.at": AT_ONCE},
        },
    )
    return _json(shown(document))


@get("/readyz")
async def ready() -> None:
    """Answer."""


async def relay(database: Any, *, limit: int) -> int:
    """Log the events of some orders, and take them out; how many there were."""
    waiting = database["orders"].find(
        {"outbox_claim.at": {"$lte": moment()}}, {"tenant": 1, "outbox": 1}
    )
    documents = await waiting.limit(limit).to_list()
    if not documents:
        return 0
    last = await database["order_events"].find_one(sort=[("position", -1)])
    position = last["position"] if last else 0
    events = [
        {
            **event,
            "_id": f"{document['_id']}:{event['sequence']}",
            "order_id": document["_id"],
            "tenant": document["tenant"],
        }
        for document in documents
        for event in document["outbox"]
    ]
    for place, event in enumerate(events, start=position + 1):
        event["position"] = place
    await database["order_events"].insert_many(events)
    for document in documents:
        sent = {"sequence": {"$lte": document["outbox"][-1]["sequence"]}}
        await database["orders"].update_one(
            {"_id": document["_id"]}, {"$pull": {"outbox": sent}, "$unset": {"outbox_claim": ""}}
        )
    return len(events)


async def _pay(state: Any, document: Document) -> None:
    payment = document["ledger"]["payments"][0]
    body = {
        "reference": document["ledger"]["calls"][0]["key"],
        "amount": payment["amount"],
        "currency": document["currency"],
        "method": payment["method"],
        "capture": payment["capture"],
    }
    headers = {"Idempotency-Key": body["reference"], **state.payment_headers}
    async with state.http.post("/v1/payments", json=body, headers=headers) as response:
        paid = await response.json()
    now = moment()
    settled = {**payment, "status": paid["status"], "provider_id": paid["id"], "method": None}
    changes = {
        "status": "confirmed",
        "payment_status": paid["status"],
        "ledger": {"payments": [settled], "refunds": [], "calls": []},
        "totals": document["totals"] | {"authorized": paid["amount"]},
        "updated_at": now,
        "due_at": None,
        "sequence": 4,
        "version": 2,
        "write_token": ObjectId(),
    }
    document |= changes
    facts: list[Document] = [
        {"type": "PaymentAuthorized", "payment_id": "1", "amount": paid["amount"]},
        {"type": "OrderConfirmed"},
    ]
    await state.orders.update_one(
        {"_id": document["_id"], "version": 1},
        {
            "$set": changes,
            "$unset": {"work_claim": ""},
            "$push": {"outbox": {"$each": events(document, facts, now)}},
            "$max": {"outbox_claim.at": AT_ONCE},
        },
    )


def _json(content: Document, *, status: int = 200) -> Response[bytes]:
    body = msgspec.json.encode(content)
    return Response(body, media_type="application/json", status_code=status)


def create_app(uri: str, database: str, payments: str, payment_token: str) -> Litestar:
    """The program, in the process that runs it."""
    client: AsyncMongoClient[Document] = AsyncMongoClient(uri, maxPoolSize=16, timeoutMS=30_000)
    opened = client.get_database(database, codec_options=CODEC, write_concern=DURABLE)

    @asynccontextmanager
    async def connections(app: Litestar) -> AsyncIterator[None]:
        async with client, aiohttp.ClientSession(payments) as http:
            app.state.orders = opened["orders"]
            app.state.http = http
            app.state.payment_headers = {"Authorization": f"Bearer {payment_token}"}
            yield

    handlers = [place, read, some, cancel, ready]
    return Litestar(
        route_handlers=handlers, lifespan=[connections], openapi_config=None, logging_config=None
    )


def main() -> None:
    """Serve as the service is served: uvicorn, httptools, uvloop, one process."""
    port, *rest = sys.argv[1:]
    uvicorn.run(
        create_app(*rest),
        host="127.0.0.1",
        port=int(port),
        loop="uvloop",
        http="httptools",
        ws="none",
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
    )


if __name__ == "__main__":
    main()
