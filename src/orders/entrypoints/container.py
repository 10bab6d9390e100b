"""How everything is wired. The only module, but for the sandbox, that names adapters.

Nothing in here waits: what must be opened in the event loop is opened by `Adapters.opened`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import timedelta
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING

from dependency_injector import containers, providers
from prometheus_client import Gauge

from orders.adapters.catalogue import HttpPriceList, JsonPriceList
from orders.adapters.in_memory.rate_limits import InMemoryRateLimiter
from orders.adapters.in_memory.stubs import StaticPriceList
from orders.adapters.jwt.claims import TokenRules
from orders.adapters.jwt.jwks import JwksRing
from orders.adapters.jwt.keys import SharedSecret
from orders.adapters.jwt.verifier import JwtVerifier
from orders.adapters.mongo.backlog import MongoBacklog
from orders.adapters.mongo.connection import connect
from orders.adapters.mongo.documents import PUBLISHERS
from orders.adapters.mongo.event_log import MongoEventLog
from orders.adapters.mongo.orders import MongoOrders, probe
from orders.adapters.mongo.outbox import MongoOutbox
from orders.adapters.mongo.pool import PoolUse
from orders.adapters.mongo.schema import migrate as make_indexes
from orders.adapters.mongo.spans import CommandSpans
from orders.adapters.payment_service.client import HttpPayments
from orders.adapters.payment_service.resilience import CallLimits as PaymentLimits
from orders.adapters.payment_service.webhooks import WebhookVerifier as SignedWebhooks
from orders.application.change_order import ChangeOrder
from orders.application.errors import KeysUnavailable, StoreUnavailable
from orders.application.execute_payment_operations import ExecutePaymentOperations
from orders.application.place_order import DraftPricer, PlaceOrder, QuoteOrder
from orders.application.ports import (
    EventLog,
    EventOutbox,
    EventPublisher,
    OrderRepository,
    PaymentGateway,
    PriceList,
    RateLimiter,
    WebhookVerifier,
)
from orders.application.process_scheduled_work import ProcessScheduledWork
from orders.application.propose_change import ProposeChange
from orders.application.read_orders import ReadOrders
from orders.application.record_payment_event import RecordPaymentEvent
from orders.application.relay_events import RelayEvents
from orders.domain.validation import OrderLimits
from orders.entrypoints import clock
from orders.entrypoints.observability import metrics
from orders.entrypoints.observability.instrumented_orders import InstrumentedOrderRepository
from orders.entrypoints.observability.instrumented_payments import InstrumentedPaymentGateway
from orders.entrypoints.observability.spans import current_traceparent, sending
from orders.entrypoints.observability.with_spans import with_spans
from orders.entrypoints.settings.table import Settings
from orders.entrypoints.slot_yielding_prices import SlotYieldingPriceList

KNOWN_PUBLISHERS = PUBLISHERS
"""Every name that `orders outbox` may show."""
_BREAKER_STATES = {"closed": 0.0, "half-open": 1.0, "open": 2.0}

if TYPE_CHECKING:
    from orders.adapters.brokers.kafka import KafkaPublisher
    from orders.adapters.brokers.rabbitmq import RabbitPublisher


class UseCases(containers.DeclarativeContainer):
    """The use cases over any adapters that keep the ports' contracts."""

    orders: providers.Dependency[OrderRepository] = providers.Dependency()
    outbox: providers.Dependency[EventOutbox] = providers.Dependency()
    log: providers.Dependency[EventLog] = providers.Dependency()
    payments: providers.Dependency[PaymentGateway] = providers.Dependency()
    prices: providers.Dependency[PriceList] = providers.Dependency()
    publishers: providers.Object[Mapping[str, EventPublisher]] = providers.Object({})
    webhooks: providers.Dependency[WebhookVerifier] = providers.Dependency()
    now = providers.Object(clock.now)
    randomness = providers.Object(clock.randomness)
    limits = providers.Object(OrderLimits())
    expire_after = providers.Object(timedelta(days=1))

    settle = providers.Singleton(with_spans(ExecutePaymentOperations), orders, payments, now)
    price = providers.Singleton(DraftPricer, prices, limits)
    place_order = providers.Singleton(
        with_spans(PlaceOrder), orders, settle, price, now, randomness, limits, expire_after
    )
    quote_order = providers.Singleton(with_spans(QuoteOrder), price, limits)
    change_order = providers.Singleton(with_spans(ChangeOrder), orders, settle, now)
    propose_change = providers.Singleton(
        with_spans(ProposeChange), orders, change_order, price, now, limits
    )
    read_orders = providers.Singleton(with_spans(ReadOrders), orders, outbox, log, now)
    record_payment_event = providers.Singleton(
        with_spans(RecordPaymentEvent), orders, webhooks, now
    )
    process_scheduled_work = providers.Singleton(
        with_spans(ProcessScheduledWork), orders, settle, now
    )
    relay_events = providers.Singleton(RelayEvents, outbox, log, publishers, now)


class Adapters:
    """The outside world of one process, as the settings name it."""

    def __init__(self, settings: Settings) -> None:
        """Make every adapter; none of them connects before `opened`."""
        self._settings = settings
        self._pool = PoolUse()
        self._mongo = connect(
            settings.mongo_uri,
            database=settings.database,
            pool_size=settings.mongo_pool_size,
            timeout_seconds=settings.mongo_timeout_seconds,
            listeners=[self._pool, *([CommandSpans()] if settings.otlp_endpoint else [])],
        )
        self._log = MongoEventLog(self._mongo)
        self._backlog = MongoBacklog(self._mongo)
        self.cause_of = self._log.cause_of
        self._payments = HttpPayments(
            settings.payment_url,
            credential=settings.payment_token,
            limits=PaymentLimits(
                connect_seconds=settings.payment_connect_seconds,
                read_seconds=settings.payment_read_seconds,
                total_seconds=settings.payment_total_seconds,
            ),
        )
        self._prices = _price_list(settings)
        self._keys = _key_ring(settings)
        self.tokens = JwtVerifier(self._keys, _token_rules(settings))
        self.limiter = _rate_limiter(settings)
        self.publishers = _publishers(settings)

    def use_cases(self) -> UseCases:
        """The use cases over these adapters."""
        settings = self._settings
        return UseCases(
            orders=InstrumentedOrderRepository(
                MongoOrders(self._mongo, traceparent=current_traceparent)
            ),
            outbox=MongoOutbox(self._mongo),
            log=self._log,
            payments=InstrumentedPaymentGateway(self._payments),
            prices=SlotYieldingPriceList(self._prices),
            publishers=self.publishers,
            webhooks=SignedWebhooks(
                settings.payment_webhook_secret,
                tolerance_seconds=settings.webhook_tolerance_seconds,
            ),
            limits=limits_of(settings),
            expire_after=timedelta(seconds=settings.expire_after_seconds),
        )

    def states(self) -> list[tuple[Gauge, Callable[[], float]]]:
        """What `metrics.sampled` is to look at."""
        payments, limiter, pool = self._payments, self.limiter, self._pool
        return [
            (metrics.BREAKER, lambda: _BREAKER_STATES[payments.breaker_state]),
            (metrics.LIMITER_LOCAL, lambda: float(not getattr(limiter, "is_shared", True))),
            (metrics.MONGO_OPEN, lambda: pool.open),
            (metrics.MONGO_IN_USE, lambda: pool.in_use),
            (metrics.MONGO_WAITING, lambda: pool.waiting),
        ]

    async def publish_backlog(self) -> None:
        """Look at what waits, and publish it: not-a-number while the database gives no answer."""
        try:
            found = await self._backlog.look(now=clock.now())
        except StoreUnavailable:
            found = None
        queues = [found.new, *found.behind.values()] if found else []
        metrics.OUTBOX_WAITING.set(sum(e.waiting_orders for e in queues) if found else nan)
        metrics.OUTBOX_OLDEST.set(max((e.oldest_event_seconds for e in queues), default=nan))
        metrics.OUTBOX_PARKED.set(sum(e.parked_orders for e in queues) if found else nan)
        metrics.DUE_WORK_LAG.set(found.due_lag_seconds if found else nan)
        for name in KNOWN_PUBLISHERS:
            waiting = found.behind[name].waiting_orders if found else nan
            metrics.PUBLISHER_WAITING.labels(name).set(waiting)

    async def can_serve(self) -> bool:
        """Whether the orders can be reached and tokens be judged."""
        try:
            await probe(self._mongo)
            await self._keys.ensure_keys()
        except (StoreUnavailable, KeysUnavailable):
            return False
        return True

    @asynccontextmanager
    async def opened(self, _: object = None) -> AsyncIterator[None]:
        """Connections, for as long as the process runs. Nothing need be up yet."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._mongo.client)
            await stack.enter_async_context(self._payments)
            if isinstance(self._prices, HttpPriceList):
                await stack.enter_async_context(self._prices)
            if isinstance(self._keys, JwksRing):
                stack.push_async_callback(self._keys.close)
            if isinstance(self.limiter, AbstractAsyncContextManager):
                await stack.enter_async_context(self.limiter)
            for publisher in self.publishers.values():
                await stack.enter_async_context(publisher)
            yield


async def migrate(settings: Settings) -> None:
    """Bring the database to the form this version needs. May be repeated, and run by several."""
    await make_indexes(settings.mongo_uri, database=settings.database)


def limits_of(settings: Settings) -> OrderLimits:
    """How much one order may hold."""
    return OrderLimits(
        lines=settings.max_lines,
        quantity=settings.max_quantity,
        unit_price=settings.max_unit_price,
    )


def _key_ring(settings: Settings) -> JwksRing | SharedSecret:
    if settings.jwt_hs256_secret is not None:
        return SharedSecret(settings.jwt_hs256_secret.encode())
    return JwksRing(settings.jwks_url or "")


def _token_rules(settings: Settings) -> TokenRules:
    required = (pair.partition("=") for pair in settings.jwt_required)
    return TokenRules(
        issuer=settings.issuer,
        audience=settings.audience,
        default_tenant=settings.default_tenant,
        token_types=frozenset(None if kind == "none" else kind for kind in settings.jwt_types),
        required=tuple((claim, value) for claim, _, value in required),
        scope_claims=settings.jwt_scope_claims,
        scopes_count=settings.jwt_scopes == "required",
        algorithms=frozenset(settings.jwt_algorithms),
        leeway_seconds=settings.jwt_leeway_seconds,
        max_lifetime_seconds=settings.jwt_max_lifetime_seconds,
        max_bytes=settings.max_token_bytes,
    )


def _publishers(settings: Settings) -> dict[str, RabbitPublisher | KafkaPublisher]:
    """By the names that the outbox knows them by: they are stored, and never change."""
    publishers: dict[str, RabbitPublisher | KafkaPublisher] = {}
    if settings.rabbitmq_uri is not None:
        from orders.adapters.brokers.rabbitmq import EXCHANGE, RabbitPublisher  # noqa: PLC0415  # an extra

        within = sending("rabbitmq", EXCHANGE)
        publishers["rabbitmq"] = RabbitPublisher(settings.rabbitmq_uri, sending=within)
    if settings.kafka_bootstrap:
        from orders.adapters.brokers.kafka import KafkaPublisher  # noqa: PLC0415  # an extra

        brokers = ",".join(settings.kafka_bootstrap)
        topic = settings.kafka_topic
        within = sending("kafka", topic)
        publishers["kafka"] = KafkaPublisher(brokers, topic=topic, sending=within)
    return publishers


def _rate_limiter(settings: Settings) -> RateLimiter:
    local = InMemoryRateLimiter()
    if settings.redis_uri is None:
        return local
    from orders.adapters.redis.rate_limiter import RedisRateLimiter  # noqa: PLC0415  # an extra

    return RedisRateLimiter(settings.redis_uri, fallback=local)


def _price_list(settings: Settings) -> PriceList:
    where = settings.price_list
    if where is None:
        return StaticPriceList({})
    if where.startswith(("http://", "https://")):
        return HttpPriceList(where)
    return JsonPriceList(Path(where))
