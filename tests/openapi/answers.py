"""Answers of the service to record: of every status that a client meets, with every part."""

from __future__ import annotations

from typing import Any

import httpx

from orders.entrypoints.http.routes.commands import COMMANDS
from tests.support.api import Api, Front
from tests.support.api_commands import carry_out
from tests.support.orders import an_order_with_every_part
from tests.support.shop import Shop

READS = ("", "/actions", "/events", *(f"/{name}" for name in ("notes", "payments", "refunds")))
MORE_READS = tuple(f"/{name}" for name in ("credits", "shipments", "returns", "changes", "holds"))
LARGE = {"sku": "YACHT", "name": "Yacht", "quantity": 1, "unit_price": 3_000_000_000}


async def recorded_answers() -> list[dict[str, Any]]:
    """Place, read, list, quote, capture, refuse, and every command on an order with every part."""
    front, shop = Front(), Shop()
    front.container.override(shop.container)
    recorder = Recorder(front, shop)
    await _placed(recorder)
    path = await recorder.keep(an_order_with_every_part())
    for read in (*READS, *MORE_READS):
        for who in ("root", "wes"):
            await recorder.get(path + read, who=who)
    for command in COMMANDS:
        await carry_out(recorder, path, command.operation.value)
    await recorder.client.aclose()
    return recorder.answers


async def _placed(recorder: Recorder) -> None:
    order = await recorder.placed(payment={"method": "tok_ok"}, note="Ring twice")
    path = f"/orders/{order['id']}"
    await recorder.place(lines=[LARGE], who="till", payment={"method": "tok_declined"})
    await recorder.place(dry_run="true")
    await recorder.post("/orders/quote", {"currency": "EUR", "lines": [LARGE]}, who="till")
    await recorder.place(currency="XXX")
    await recorder.post(f"{path}/payments/1/capture", {"amount": 500}, who="root")
    await recorder.post(f"{path}/payments/1/capture", {"amount": 2**50}, who="root")
    await recorder.call("PATCH", path, {"note": "Ring once"}, headers={"If-Match": '"99"'})
    await recorder.call("PATCH", path, {"note": "Ring once"})
    await recorder.get(path, headers={"If-None-Match": "*"})
    await recorder.get(path, who=None)
    await recorder.get(path, who="bob")
    await recorder.get(f"/orders/by-number/{order['number']}")
    await recorder.get("/orders", limit=1)
    await recorder.get("/events", who="root")


class Recorder(Api):
    """A client that keeps what it was answered."""

    def __init__(self, front: Front, shop: Shop) -> None:
        super().__init__(front, shop)
        self.answers: list[dict[str, Any]] = []

    async def call(
        self, method: str, path: str, body: Any = None, **options: Any
    ) -> httpx.Response:
        """Send one request, and keep its answer."""
        answer = await super().call(method, path, body, **options)
        self.answers.append(
            {
                "method": method,
                "path": answer.request.url.path,
                "status": answer.status_code,
                "headers": dict(answer.headers),
                "body": answer.text,
            }
        )
        return answer
