"""How everything is wired. The only module, but for the sandbox, that names adapters.

Nothing in here waits: what must be opened in the event loop is opened by `Adapters.opened`.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

from dependency_injector import containers, providers

from orders.adapters.jwt.jwks import JwksRing
from orders.adapters.jwt.verifier import JwtVerifier, TokenRules
from orders.adapters.payments_http.client import HttpPayments
from orders.adapters.payments_http.webhooks import WebhookVerifier
from orders.application.book_payment_event import BookPaymentEvent
from orders.application.change_order import ChangeOrder
from orders.application.do_due_work import DoDueWork
from orders.application.place_order import PlaceOrder, PriceDraft, QuoteOrder
from orders.application.read_orders import ReadOrders
from orders.application.relay_events import RelayEvents
from orders.application.settle_payments import SettlePayments
from orders.domain.values import Limits
from orders.entrypoints import clock
from orders.entrypoints.http.payment_inbox import PaymentInbox
from orders.entrypoints.settings import Settings


class UseCases(containers.DeclarativeContainer):
    """The use cases over any adapters that keep the ports' contracts."""

    orders = providers.Dependency()
    outbox = providers.Dependency()
    log = providers.Dependency()
    payments = providers.Dependency()
    prices = providers.Dependency()
    publisher = providers.Dependency(default=None)
    webhooks = providers.Dependency(default=None)
    now = providers.Object(clock.now)
    randomness = providers.Object(clock.randomness)
    limits = providers.Object(Limits())
    expire_after = providers.Object(timedelta(days=1))

    settle = providers.Singleton(SettlePayments, orders, payments, now)
    price = providers.Singleton(PriceDraft, prices)
    place_order = providers.Singleton(
        PlaceOrder, orders, settle, price, now, randomness, limits, expire_after
    )
    quote_order = providers.Singleton(QuoteOrder, price, limits)
    change_order = providers.Singleton(ChangeOrder, orders, settle, now)
    read_orders = providers.Singleton(ReadOrders, orders, outbox, log, now)
    book_payment_event = providers.Singleton(BookPaymentEvent, orders, now)
    payment_inbox = providers.Singleton(PaymentInbox, webhooks, book_payment_event, now)
    do_due_work = providers.Singleton(DoDueWork, orders, settle, now)
    relay_events = providers.Singleton(RelayEvents, outbox, log, publisher, now)


class Adapters:
    """The outside world of one process, as the settings name it."""

    def __init__(self, settings: Settings) -> None:
        """Make every adapter; none of them connects before `opened`."""
        self._settings = settings
        self._mongo = Mongo(
            settings.mongo_uri,
            database=settings.database,
            pool_size=settings.mongo_pool_size,
            timeout_seconds=settings.mongo_timeout_seconds,
        )
        self._payments = HttpPayments(
            settings.payment_url,
            credential=settings.payment_token,
            limits=_payment_limits(settings),
        )
        self._prices = price_list(settings.price_list)
        self._keys = _key_ring(settings)
        self.tokens = JwtVerifier(self._keys, _token_rules(settings))

    def use_cases(self) -> UseCases:
        """The use cases over these adapters."""
        settings = self._settings
        orders = MongoOrders(self._mongo, traceparent=current_traceparent)
        return UseCases(
            orders=orders,
            outbox=MongoOutbox(self._mongo),
            log=MongoEventLog(self._mongo),
            payments=self._payments,
            prices=self._prices,
            webhooks=WebhookVerifier(
                settings.payment_webhook_secret,
                tolerance_seconds=settings.webhook_tolerance_seconds,
            ),
            limits=providers.Object(_limits(settings)),
            expire_after=providers.Object(timedelta(seconds=settings.expire_after_seconds)),
        )
