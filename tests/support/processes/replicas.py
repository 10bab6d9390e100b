"""Several replicas of the service, with a payment service that a test controls."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support.payments.payment_service import Provider, providing
from tests.support.processes.cluster import UNHURRIED, Cluster, Shape, cluster
from tests.support.processes.service import (
    PATIENCE_SECONDS,
    Caller,
    Running,
    at_once,
    eventually,
    hold,
    paid,
)

REPLICAS = ("api-0", "api-1", "api-2")
DEADLINE_SECONDS = 10
"""Within which every request is answered."""
OLD_SECRET, NEW_SECRET = (
    "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode() for _ in range(2)
)
REASSURING = 15
"""Calls that succeed, for at most as many that fail: half of all may not."""
_QUICK = {
    **UNHURRIED,
    # What hangs is left soon, so that many cases fit in a minute.
    "ORDERS_PAYMENT_CONNECT_SECONDS": "0.5",
    "ORDERS_PAYMENT_READ_SECONDS": "1.5",
    "ORDERS_PAYMENT_TOTAL_SECONDS": "4",
    "ORDERS_PAYMENT_WEBHOOK_SECRET": f"{OLD_SECRET},{NEW_SECRET}",
}


@dataclass(frozen=True)
class Stage:
    """The replicas, and what they find where the payment service should be."""

    cluster: Cluster
    provider: Provider
    runnings: Mapping[str, Running]

    def at(self, replica: str = "api-0") -> Running:
        """The service as one replica gives it."""
        return self.runnings[replica]

    def everywhere(self, caller: Caller) -> list[Caller]:
        """The same caller, at each replica."""
        return [Caller(self.at(each), caller.token, caller.subject) for each in REPLICAS]

    def someone(self, *roles: str, at: str = "api-0", **claims: object) -> Caller:
        """A caller nobody has seen before, at a replica."""
        return self.at(at).someone(*roles, **claims)

    def reassure(self, *replicas: str) -> None:
        """Let replicas make calls that succeed: their circuit breakers must stay closed."""
        content = paid(self.provider.part())
        at_once(
            *[
                lambda at=at: self.someone(at=at).placed(content)
                for at in replicas or REPLICAS
                for _ in range(REASSURING)
            ]
        )

    def refresh(self, *replicas: str) -> None:
        """Start replicas anew: what they think of the payment service is forgotten."""
        processes = [self.cluster.processes[each] for each in replicas or REPLICAS]
        for process in processes:
            process.kill()
            process.start()
        for process in processes:
            process.wait_until_up()

    def settled(self, caller: Caller, order_id: str, seconds: float = 60) -> dict[str, Any]:
        """The order once no payment of it is under way."""

        def order() -> dict[str, Any] | None:
            found = caller.order(order_id)
            waits = found["payment_status"] == "pending" or found["totals"]["pending_refunds"]
            return None if waits else found

        return eventually(order, seconds)

    def fed(self, order_id: str, tenant: str, seconds: float = 60) -> list[dict[str, Any]]:
        """What the relay has told of an order, once that is all there is."""
        auditor = self.someone("admin", tenant=tenant)
        there = len(auditor.events(order_id))

        def events() -> list[dict[str, Any]] | None:
            own = [each for each in self.feed(tenant) if each["subject"] == order_id]
            return own if len(own) >= there else None

        return eventually(events, seconds)

    def feed(self, tenant: str) -> list[dict[str, Any]]:
        """All that the relay has told of a tenant's orders."""
        auditor = self.someone("admin", tenant=tenant)
        found: list[dict[str, Any]] = []
        after = 0
        while page := auditor.get(f"/v1/events?after={after}&limit=100").json():
            found += page["items"]
            if not page["items"]:
                break
            after = page["next_cursor"]
        return found

    def tell(
        self,
        kind: str,
        payment: Mapping[str, Any],
        *,
        at: str = "api-0",
        message_id: str | None = None,
        signed_at: float | None = None,
        secret: str = NEW_SECRET,
        **headers: str,
    ) -> httpx.Response:
        """Send a webhook, as the payment service does."""
        content = json.dumps({"type": f"payment.{kind}", "data": dict(payment)}).encode()
        signed = webhook(content, message_id, signed_at or time.time(), secret)
        answer = self.at(at).client.post(
            "/v1/payment-events", content=content, headers={**signed, **headers}
        )
        return hold(answer)


def webhook(
    content: bytes, message_id: str | None, at: float, secret: str = NEW_SECRET
) -> dict[str, str]:
    """The headers of a signed message (Standard Webhooks)."""
    name, moment = message_id or f"msg_{secrets.token_hex(8)}", str(int(at))
    signing = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(signing, f"{name}.{moment}.".encode() + content, hashlib.sha256)
    return {
        "content-type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": moment,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


@contextmanager
def staged(folder: Path) -> Iterator[Stage]:
    """A stage that is up, until the block is left."""
    with ExitStack() as stack:
        provider = stack.enter_context(providing())
        shape = Shape(apis=len(REPLICAS), workers=1, environ=_QUICK, payment_url=provider.url)
        running = stack.enter_context(cluster(folder, shape))
        runnings = {name: seen_at(stack, running, running.urls[name], folder) for name in REPLICAS}
        yield Stage(running, provider, runnings)


def seen_at(stack: ExitStack, running: Cluster, url: str, folder: Path) -> Running:
    """The service as a stranger meets it at one address."""
    limits = httpx.Limits(max_connections=128, max_keepalive_connections=0)
    client = stack.enter_context(
        httpx.Client(base_url=url, timeout=PATIENCE_SECONDS, limits=limits)
    )
    return Running(url, folder, running.addresses(), client)


def one_charge(stage: Stage, order_id: str) -> None:
    """Check that an order is charged once, and that all calls for it had one key."""
    moved = [kind for kind, _ in stage.provider.moved_of(order_id)]
    assert moved.count("authorized") + moved.count("captured") == 1, moved
    keys = {call.key for call in stage.provider.calls_of(order_id, "authorize")}
    assert keys == {f"{order_id}:1"}
