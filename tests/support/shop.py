"""A shop in memory: every use case over in-memory adapters, at a time of the test's choosing."""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from functools import partial
from typing import Any

import msgspec

from orders.adapters.in_memory import (
    FixedClock,
    InMemoryEventLog,
    InMemoryOrders,
    InMemoryPayments,
    InMemoryPublisher,
    StaticPriceList,
    StaticTokens,
)
from orders.application.access import Caller, Operation, scopes_for
from orders.application.place_order import InitialPayment
from orders.application.ports import OrderFilter
from orders.application.requests import CommandResult, Request, RequestKey
from orders.domain.identifiers import OrderId
from orders.domain.order.order import Order
from orders.domain.payments import PaymentReport
from orders.domain.pricing import OrderDraft
from orders.domain.validation import OrderLimits
from orders.entrypoints.container import Container
from orders.entrypoints.settings.table import Settings
from tests.support.orders import NOW, a_draft

TENANT = "shop"
PRICES = {"EUR": {"PEN": 1_000, "LAMP": 500, "FREE": 0, "shipping/standard": 495}}
WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"the payment service's own secret").decode()


def a_caller(
    subject: str, *roles: str, tenant: str = TENANT, scopes: Iterable[str] | None = None
) -> Caller:
    """Someone with these roles, and with all scopes that they can use unless `scopes` are given."""
    return Caller(
        subject=subject,
        tenant=tenant,
        roles=frozenset(roles),
        scopes=frozenset(scopes_for(roles) if scopes is None else scopes),
    )


PEOPLE = {
    "ada": a_caller("ada", "customer"),
    "bob": a_caller("bob", "customer"),
    # Whose orders `tests.support.orders` builds.
    "customer-1": a_caller("customer-1", "customer"),
    "till": a_caller("till", "customer", scopes={"orders:read", "orders:write", "orders:price"}),
    "sue": a_caller("sue", "support"),
    "wes": a_caller("wes", "fulfillment"),
    "sam": a_caller("sam", "support", "fulfillment"),
    "fin": a_caller("fin", "finance"),
    "rita": a_caller("rita", "risk"),
    "art": a_caller("art", "auditor"),
    "root": a_caller("root", "admin"),
    "reader": a_caller("reader", "customer", scopes={"orders:read"}),
    "writer": a_caller("writer", "support", scopes={"orders:write"}),
    "packer": a_caller("packer", "integrator", scopes={"orders:fulfill"}),
    # Sees all orders, and may do something to their own only.
    "peer": a_caller("peer", "auditor", "customer"),
    "nobody": a_caller("nobody"),
    "eve": a_caller("eve", "customer", tenant="elsewhere"),
    "boss": a_caller("boss", "admin", tenant="elsewhere"),
}
"""Who may send requests, by the name that is also their token."""


def some_settings(**changes: Any) -> Settings:
    """Settings of a service whose outside world is never called."""
    given: dict[str, Any] = {
        "mongo_uri": "mongodb://127.0.0.1",
        "payment_url": "http://127.0.0.1",
        "payment_webhook_secret": (WEBHOOK_SECRET,),
        "issuer": "issuer",
        "audience": "orders",
        "jwks_url": "http://127.0.0.1",
    }
    return Settings(**given | changes)


class Interrupted(BaseException):
    """Stands for the end of the process: no use case may catch it."""


class Between:
    """A port with something happening around its calls; the rest of it is as it was.

    `before` and `after` get the method's name; what they raise is what the caller sees.
    """

    def __init__(
        self,
        port: Any,
        *,
        before: Callable[[str], Awaitable[None]] | None = None,
        after: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        self.port = port
        self.before = before
        self.after = after

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.port, name)
        return partial(self._call, name, found) if callable(found) else found

    async def _call(self, name: str, method: Any, /, *args: Any, **kwargs: Any) -> Any:
        if self.before is not None:
            await self.before(name)
        answer = await method(*args, **kwargs)
        if self.after is not None:
            await self.after(name)
        return answer


class Shop:
    """A container with adapters in memory. `orders` and `payments` may be wrapped."""

    def __init__(self, *, limits: OrderLimits | None = None) -> None:
        self.clock = FixedClock(NOW)
        self.stored = InMemoryOrders()
        self.provider = InMemoryPayments()
        self.log = InMemoryEventLog()
        self.publisher = InMemoryPublisher()
        self.other_publisher = InMemoryPublisher()
        self.prices = StaticPriceList(PRICES)
        self.orders = Between(self.stored)
        self.payments = Between(self.provider)
        self.tokens = StaticTokens(PEOPLE)
        self.container = Container(
            # 0 turns the rate limits off.
            settings=some_settings(rate_per_second=0, auth_failures_per_second=0)
        )
        self.container.override_providers(
            orders=self.orders,
            outbox=self.stored,
            log=self.log,
            payments=self.payments,
            prices=self.prices,
            publishers={"rabbitmq": self.publisher, "kafka": self.other_publisher},
            tokens=self.tokens,
            readiness_checks=[],
            now=self.clock,
            randomness=partial(random.Random(0).getrandbits, 64),
        )
        if limits is not None:
            self.container.limits.override(limits)

    async def place(
        self,
        draft: OrderDraft | None = None,
        *,
        who: str = "sue",
        customer_id: str | None = "ada",
        method: str | None = None,
        capture: bool = False,
        key: str = "key-1",
    ) -> CommandResult:
        """Place an order of 4,300; `method` pays for it."""
        answer: CommandResult = await self.container.place_order()(
            draft or a_draft(),
            customer_id=customer_id,
            payment=InitialPayment(method=method, capture=capture) if method else None,
            request=a_request(who, key=key),
        )
        return answer

    async def change(
        self,
        order_id: OrderId,
        operation: Operation,
        tell: Callable[..., object],
        *,
        who: str = "root",
        **conditions: Any,
    ) -> CommandResult:
        """Carry out a command. `tell` gets the order and, as keywords, who acts and when."""
        answer: CommandResult = await self.container.change_order()(
            order_id,
            operation,
            lambda order, by, now: tell(order, by=by, now=now),
            request=a_request(who, **conditions),
        )
        return answer

    async def work(self, *, rounds: int = 1, after: timedelta = timedelta(seconds=60)) -> None:
        """Let time pass and a worker do all that is due, so many times."""
        for _ in range(rounds):
            self.clock.advance(after)
            process_scheduled_work = self.container.process_scheduled_work()
            for order_id in await process_scheduled_work.claim(limit=100):
                await process_scheduled_work(order_id)

    async def relay(self) -> None:
        """Let the relay have its turn, and each publisher that is behind one of its own."""
        relay = self.container.relay_events()
        await relay(limit=100)
        for queue in relay.queues:
            await queue.send_waiting(limit=100)

    async def count(self) -> int:
        """How many orders the tenant has; without one there is no event either."""
        where = OrderFilter(tenant=TENANT)
        page = await self.stored.list(where, newest_first=True, after=None, limit=1_000)
        return len(page.orders)

    async def see(self, order_id: OrderId) -> Order:
        """The order as it is stored."""
        return await self.stored.get(order_id)

    async def history(self, order_id: OrderId) -> list[str]:
        """The names of an order's events that no relay has taken yet."""
        waiting = (await self.stored.waiting_of(order_id)).events
        return [type(event.recorded.event).__name__ for event in waiting]


def a_request(who: str, *, key: str | None = None, body: str = "", **conditions: Any) -> Request:
    """A request of someone; `body` stands for what the key was sent with."""
    request_key = key and RequestKey(value=key, operation="POST /here", fingerprint=body)
    return Request(caller=PEOPLE[who], key=request_key or None, **conditions)


def a_webhook(
    report: PaymentReport, kind: str, *, at: int, message_id: str = "msg_1"
) -> tuple[dict[str, str], bytes]:
    """Headers and body of a signed message of the payment service, signed at a Unix time."""
    payment = msgspec.to_builtins(report) | {
        "id": report.provider_id,
        "amount": report.amount.minor,
        "currency": report.amount.currency,
    }
    del payment["provider_id"]
    body = msgspec.json.encode({"type": f"payment.{kind}", "data": payment})
    secret = base64.b64decode(WEBHOOK_SECRET.removeprefix("whsec_"))
    signature = hmac.digest(secret, f"{message_id}.{at}.".encode() + body, hashlib.sha256)
    headers = {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
    }
    return headers, body
