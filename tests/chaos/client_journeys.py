"""What clients do with one order while something is killed, and what is known of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from uuid import UUID

from orders.domain.identifiers import derive_order_id
from orders.entrypoints.sandbox.data_directory import TENANT
from tests.chaos.client import Client, Reply, order_of, worth

SUBJECT = "chaos"


@dataclass(slots=True)
class Case:
    """One order. Times are of the monotonic clock."""

    key: str
    method: str
    capture: bool
    units: int
    point: str = ""
    order_id: UUID = field(init=False)
    kills: list[tuple[str, float]] = field(default_factory=list)
    """Who was killed at the point, and when."""
    missed: bool = False
    """Whether the point was never reached, as something else was killed before."""
    placed: Reply | None = None
    cancelled: bool | None = None
    """Whether a request to cancel was granted; None if there was none."""
    captured_later: bool = False
    recorded: bool = False
    """Whether the service has taken down a payment that came without the payment service."""
    done: bool = False
    """Whether the clients have all their answers."""
    money_known_at: float | None = None
    settled_at: float | None = None
    healthy_at: float = 0.0
    """When everything was up again, and nothing was killed any more."""

    def __post_init__(self) -> None:
        self.order_id = derive_order_id(tenant=TENANT, subject=SUBJECT, request_key=self.key)

    @property
    def path(self) -> str:
        """Where the API has it."""
        return f"/v1/orders/{self.order_id}"

    @property
    def total(self) -> int:
        """What it costs, in pence."""
        return worth(self.units)

    @property
    def killed_at(self) -> float:
        """When the last process died at its point."""
        return max((at for _, at in self.kills), default=0.0)


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a story plays: the replicas to begin with, and the moment the payment is under way."""

    client: Client
    first: str
    second: str
    in_flight: asyncio.Event


Story = Callable[[Case, Scene], Awaitable[None]]


async def pays(case: Case, scene: Scene) -> None:
    """An order is placed and paid."""
    body = order_of(case.key, case.method, capture=case.capture, units=case.units)
    case.placed = await scene.client.post("/v1/orders", body, key=case.key, first=scene.first)


async def cancels_in_flight(case: Case, scene: Scene) -> None:
    """Another client cancels the order while its payment is under way."""
    placing = asyncio.create_task(pays(case, scene))
    under_way = asyncio.create_task(scene.in_flight.wait())
    await asyncio.wait([placing, under_way], return_when=asyncio.FIRST_COMPLETED)
    under_way.cancel()
    await _cancel(case, scene, first=scene.second)
    await placing


async def refunds(case: Case, scene: Scene) -> None:
    """The order is paid, then cancelled, so the money goes back."""
    await pays(case, scene)
    await _cancel(case, scene, first=scene.first)


async def captures(case: Case, scene: Scene) -> None:
    """The money is held first, and taken later."""
    await pays(case, scene)
    assert case.placed is not None
    if case.placed.ok:
        payment = case.placed.body["payments"][0]["id"]
        path = f"{case.path}/payments/{payment}/capture"
        reply = await scene.client.post(path, {}, key=f"{case.key}-take", first=scene.first)
        case.captured_later = reply.ok


async def ships(case: Case, scene: Scene) -> None:
    """What is paid for is packed, sent and delivered; what is not, is not."""
    await pays(case, scene)
    assert case.placed is not None
    everything = {
        "items": [
            {"line_id": line["id"], "quantity": line["quantity"]}
            for line in case.placed.body.get("lines", [])
        ]
    }
    packed = await scene.client.post(
        f"{case.path}/shipments", everything, key=f"{case.key}-pack", first=scene.second
    )
    if packed.ok:
        for step in ("dispatch", "deliver"):
            path = f"{case.path}/shipments/{packed.body['shipments'][0]['id']}/{step}"
            await scene.client.post(path, {}, key=f"{case.key}-{step}", first=scene.first)


async def pays_by_hand(case: Case, scene: Scene) -> None:
    """The customer transfers the money, and finance records that it came."""
    body = order_of(case.key, None, capture=False, units=case.units)
    case.placed = await scene.client.post("/v1/orders", body, key=case.key, first=scene.first)
    await _record_payment(case, scene)


async def pays_on_delivery(case: Case, scene: Scene) -> None:
    """The order is sent before it is paid, and lost on its way once; the driver brings cash."""
    body = order_of(case.key, None, capture=False, units=case.units) | {"terms": "on_delivery"}
    case.placed = await scene.client.post("/v1/orders", body, key=case.key, first=scene.first)
    everything = [
        {"line_id": line["id"], "quantity": line["quantity"]} for line in case.placed.body["lines"]
    ]
    for number, steps in enumerate((("dispatch", "fail"), ("dispatch", "deliver")), start=1):
        await scene.client.post(
            f"{case.path}/shipments",
            {"items": everything},
            key=f"{case.key}-pack-{number}",
            first=scene.second,
        )
        for step in steps:
            path, key = f"{case.path}/shipments/{number}/{step}", f"{case.key}-{step}-{number}"
            reason = {"reason": "lost"} if step == "fail" else {}
            await scene.client.post(path, reason, key=key, first=scene.first)
    await _record_payment(case, scene)


async def _record_payment(case: Case, scene: Scene) -> None:
    manual = {"method": "bank_transfer", "reference": case.key}
    reply = await scene.client.post(
        f"{case.path}/payments",
        {"manual": manual, "amount": case.total},
        key=f"{case.key}-record",
        first=scene.second,
    )
    case.recorded = reply.ok


async def _cancel(case: Case, scene: Scene, *, first: str) -> None:
    reply = await scene.client.post(
        f"{case.path}/cancel", {"reason": "customer"}, key=f"{case.key}-cancel", first=first
    )
    case.cancelled = reply.ok
