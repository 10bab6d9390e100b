"""Outboxes in memory and in MongoDB keep what `EventOutbox` promises."""

from __future__ import annotations

import pytest

from orders.adapters.contracts.event_outbox import TRACE, EventOutboxContract
from orders.adapters.in_memory import InMemoryOrders
from orders.adapters.mongo.connection import Database
from orders.adapters.mongo.orders import MongoOrders
from orders.adapters.mongo.outbox import MongoOutbox


class TestInMemoryOutbox(EventOutboxContract):
    @pytest.fixture
    def orders(self) -> InMemoryOrders:
        return InMemoryOrders(traceparent=lambda: TRACE)

    @pytest.fixture
    def outbox(self, orders: InMemoryOrders) -> InMemoryOrders:
        return orders

    @pytest.fixture
    def lost_outbox(self) -> InMemoryOrders:
        outbox = InMemoryOrders()
        outbox.unavailable = True
        return outbox


class TestMongoOutbox(EventOutboxContract):
    @pytest.fixture
    def orders(self, database: Database) -> MongoOrders:
        return MongoOrders(database, traceparent=lambda: TRACE)

    @pytest.fixture
    def outbox(self, database: Database) -> MongoOutbox:
        return MongoOutbox(database)

    @pytest.fixture
    def lost_outbox(self, lost_database: Database) -> MongoOutbox:
        return MongoOutbox(lost_database)
