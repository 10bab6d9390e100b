"""How one process is wired: every adapter and every use case is a provider of one container.

Only this module and the sandbox name adapters. Importing it makes nothing; a provider makes its
object when it is first called, and no adapter connects before `opened`. Tests replace a part by
`container.payments.override(...)`.

The providers are no `Resource`s: whatever depends on an asynchronous `Resource` gives a future
instead of its object, also after the resource is open.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    nullcontext,
)
from datetime import timedelta
from functools import partial
from pathlib import Path

from dependency_injector import containers, providers

from orders.adapters.catalogue import HttpPriceList, JsonPriceList
from orders.adapters.in_memory.rate_limits import InMemoryRateLimiter
from orders.adapters.in_memory.stubs import StaticPriceList
from orders.adapters.jwt.jwks import JwksRing
from orders.adapters.jwt.verifier import JwtVerifier
from orders.adapters.mongo.backlog import MongoBacklog
from orders.adapters.mongo.documents import PUBLISHERS
from orders.adapters.mongo.event_log import MongoEventLog
from orders.adapters.mongo.monitoring import PoolUse
from orders.adapters.mongo.orders import MongoOrders, probe
from orders.adapters.mongo.outbox import MongoOutbox
from orders.adapters.mongo.stored_forms import StoredForm
from orders.adapters.payment_service.client import HttpPayments
from orders.adapters.payment_service.resilience import CallLimits
from orders.adapters.payment_service.webhooks import WebhookVerifier
from orders.application.change_order import ChangeOrder
from orders.application.decline_limit import DeclineLimit
from orders.application.draft_pricer import DraftPricer
from orders.application.execute_payment_operations import ExecutePaymentOperations
from orders.application.manage_outbox import ManageOutbox
from orders.application.place_order import PlaceOrder, TimeToPay
from orders.application.process_scheduled_work import ProcessScheduledWork
from orders.application.propose_change import ProposeChange
from orders.application.quote_order import QuoteOrder
from orders.application.read_orders import ReadOrders
from orders.application.record_payment_event import RecordPaymentEvent
from orders.application.relay_events import RelayEvents
from orders.application.replay_events import ReplayEvents
from orders.domain.lines import TaxRounding
from orders.domain.validation import OrderLimits
from orders.entrypoints import clock
from orders.entrypoints.container import extras, from_settings
from orders.entrypoints.observability.adapter_gauges import adapter_gauges
from orders.entrypoints.observability.backlog_gauges import BacklogGauges
from orders.entrypoints.observability.instrumented_orders import InstrumentedOrderRepository
from orders.entrypoints.observability.instrumented_payments import (
    InstrumentedPaymentGateway,
    InstrumentedWebhookVerifier,
)
from orders.entrypoints.observability.spans import SpanTraceContext
from orders.entrypoints.observability.with_spans import with_spans
from orders.entrypoints.settings import choices
from orders.entrypoints.settings.table import Settings
from orders.entrypoints.slot_yielding_prices import SlotYieldingPriceList

Connection = AbstractAsyncContextManager[object]


def _in_order(
    *connections: Connection, publishers: Mapping[str, Connection]
) -> Sequence[Connection]:
    return [*connections, *publishers.values()]


class Container(containers.DeclarativeContainer):
    """Every part of one process, as its settings say. A port's adapter has the port's name."""

    settings: providers.Dependency[Settings] = providers.Dependency(instance_of=Settings)
    tls = providers.Singleton(from_settings.tls, settings)
    now = providers.Object(clock.now)
    randomness = providers.Object(clock.randomness)
    trace_context = providers.Singleton(SpanTraceContext)
    limits = providers.Factory(
        OrderLimits,
        lines=settings.provided.max_lines,
        quantity=settings.provided.max_quantity,
        unit_price=settings.provided.max_unit_price,
        declines=settings.provided.max_declines,
    )
    settled_after = providers.Callable(from_settings.settled_after, settings)
    expire_after = providers.Callable(timedelta, seconds=settings.provided.expire_after_seconds)
    time_to_pay = providers.Factory(
        TimeToPay,
        default=expire_after,
        most=providers.Callable(timedelta, seconds=settings.provided.max_pay_within_seconds),
    )

    # The database
    pool_use = providers.Singleton(PoolUse)
    database = providers.Singleton(from_settings.database, settings, pool_use)
    stored_form = providers.Callable(StoredForm, settings.provided.stored_form)
    mongo_orders = providers.Singleton(
        MongoOrders, database, trace_context=trace_context, stored_form=stored_form
    )
    orders = providers.Singleton(InstrumentedOrderRepository, mongo_orders)
    outbox = providers.Singleton(MongoOutbox, database, stored_form=stored_form)
    log = providers.Singleton(MongoEventLog, database)
    backlog = providers.Singleton(MongoBacklog, database, stored_form=stored_form)
    known_publishers = providers.Object(PUBLISHERS)

    # The payment service
    payment_service = providers.Singleton(
        HttpPayments,
        settings.provided.payment_url,
        credential=settings.provided.payment_token,
        route=providers.Callable(
            from_settings.route,
            settings,
            settings.provided.payment_url,
            providers.Callable(from_settings.payment_tls, settings),
        ),
        limits=providers.Factory(
            CallLimits,
            connect_seconds=settings.provided.payment_connect_seconds,
            read_seconds=settings.provided.payment_read_seconds,
            total_seconds=settings.provided.payment_total_seconds,
        ),
    )
    payments = providers.Singleton(InstrumentedPaymentGateway, payment_service)
    webhooks = providers.Singleton(
        InstrumentedWebhookVerifier,
        providers.Singleton(
            WebhookVerifier,
            settings.provided.payment_webhook_secret,
            tolerance_seconds=settings.provided.webhook_tolerance_seconds,
        ),
    )

    # The catalogue
    catalogue_kind = providers.Callable(choices.catalogue, settings)
    file_catalogue = providers.Singleton(
        JsonPriceList, providers.Factory(Path, settings.provided.price_list)
    )
    http_catalogue = providers.Singleton(
        HttpPriceList,
        settings.provided.price_list,
        route=providers.Callable(from_settings.route, settings, settings.provided.price_list, tls),
    )
    no_catalogue = providers.Singleton(StaticPriceList, {})
    catalogue = providers.Selector(
        catalogue_kind, file=file_catalogue, http=http_catalogue, none=no_catalogue
    )
    prices = providers.Singleton(SlotYieldingPriceList, catalogue)

    # Access tokens
    key_kind = providers.Callable(choices.keys, settings)
    shared_secret = providers.Singleton(from_settings.shared_secret, settings)
    jwks = providers.Singleton(
        JwksRing,
        settings.provided.jwks_url,
        route=providers.Callable(from_settings.route, settings, settings.provided.jwks_url, tls),
    )
    keys = providers.Selector(key_kind, secret=shared_secret, jwks=jwks)
    tokens = providers.Singleton(
        JwtVerifier, keys, providers.Callable(from_settings.token_rules, settings)
    )

    # Rate limits
    limiter_kind = providers.Callable(choices.limiter, settings)
    memory_limiter = providers.Singleton(InMemoryRateLimiter)
    redis_limiter = providers.Singleton(extras.redis_limiter, settings, memory_limiter, tls)
    limiter = providers.Selector(limiter_kind, memory=memory_limiter, redis=redis_limiter)
    # Its keys last an hour: among those of requests, they would keep these from being forgotten.
    memory_declines = providers.Singleton(InMemoryRateLimiter)
    decline_limiter = providers.Selector(limiter_kind, memory=memory_declines, redis=redis_limiter)

    # Brokers, by the names that the outbox stores: those never change.
    rabbitmq = providers.Singleton(extras.rabbitmq, settings, trace_context, tls)
    kafka = providers.Singleton(extras.kafka, settings, trace_context, tls)
    publishers = providers.Selector(
        providers.Callable(choices.brokers, settings),
        none=providers.Dict(),
        rabbitmq=providers.Dict(rabbitmq=rabbitmq),
        kafka=providers.Dict(kafka=kafka),
        both=providers.Dict(rabbitmq=rabbitmq, kafka=kafka),
    )

    # What `opened` opens, in this order, and closes in the reverse one.
    nothing = providers.Object(nullcontext())
    connections = providers.Callable(
        _in_order,
        database.provided.client,
        payment_service,
        providers.Selector(catalogue_kind, file=nothing, http=http_catalogue, none=nothing),
        providers.Selector(key_kind, secret=nothing, jwks=jwks),
        providers.Selector(limiter_kind, memory=nothing, redis=redis_limiter),
        publishers=publishers,
    )
    readiness_checks = providers.List(
        providers.Factory(partial, probe, database), keys.provided.ensure_keys
    )

    gauges = providers.Callable(adapter_gauges, payment_service, limiter, pool_use)
    backlog_gauges = providers.Singleton(BacklogGauges, backlog, known_publishers, now)

    # The use cases
    declines = providers.Singleton(
        DeclineLimit, decline_limiter, settings.provided.max_customer_declines
    )
    execute_operations = providers.Singleton(
        with_spans(ExecutePaymentOperations), orders, payments, now, declines
    )
    tax_rounding = providers.Callable(TaxRounding, settings.provided.tax_rounding)
    price = providers.Singleton(DraftPricer, prices, limits, tax_rounding)
    place_order = providers.Singleton(
        with_spans(PlaceOrder),
        orders,
        execute_operations,
        price,
        now,
        randomness,
        limits,
        time_to_pay,
        declines,
    )
    quote_order = providers.Singleton(with_spans(QuoteOrder), price, limits)
    change_order = providers.Singleton(
        with_spans(ChangeOrder), orders, execute_operations, now, declines
    )
    propose_change = providers.Singleton(
        with_spans(ProposeChange), orders, change_order, price, now, limits
    )
    read_orders = providers.Singleton(
        with_spans(ReadOrders), orders, outbox, log, now, limits, settled_after
    )
    record_payment_event = providers.Singleton(
        with_spans(RecordPaymentEvent), orders, payments, webhooks, now, declines
    )
    process_scheduled_work = providers.Singleton(
        with_spans(ProcessScheduledWork), orders, execute_operations, now
    )
    relay_events = providers.Singleton(RelayEvents, outbox, log, publishers, now)
    manage_outbox = providers.Singleton(ManageOutbox, outbox, known_publishers, publishers, now)
    replay_events = providers.Singleton(ReplayEvents, log, outbox, publishers)


@asynccontextmanager
async def opened(container: Container) -> AsyncIterator[None]:
    """Keep the connections of a process open. Nothing at their other ends need be up yet."""
    async with AsyncExitStack() as stack:
        for connection in container.connections():
            await stack.enter_async_context(connection)
        yield
