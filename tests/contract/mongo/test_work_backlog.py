"""Backlogs in memory and in MongoDB keep what `WorkBacklog` promises."""

from __future__ import annotations

import pytest

from orders.adapters.contracts.work_backlog import WorkBacklogContract
from orders.adapters.in_memory import InMemoryBacklog, InMemoryOrders
from orders.adapters.mongo.backlog import MongoBacklog
from orders.adapters.mongo.connection import Database
from orders.adapters.mongo.orders import MongoOrders
from orders.adapters.mongo.outbox import MongoOutbox


class TestInMemoryBacklog(WorkBacklogContract):
    @pytest.fixture
    def orders(self) -> InMemoryOrders:
        return InMemoryOrders()

    @pytest.fixture
    def outbox(self, orders: InMemoryOrders) -> InMemoryOrders:
        return orders

    @pytest.fixture
    def backlog(self, orders: InMemoryOrders) -> InMemoryBacklog:
        return InMemoryBacklog(orders)

    @pytest.fixture
    def lost_backlog(self) -> InMemoryBacklog:
        stored = InMemoryOrders()
        stored.unavailable = True
        return InMemoryBacklog(stored)


class TestMongoBacklog(WorkBacklogContract):
    @pytest.fixture
    def orders(self, database: Database) -> MongoOrders:
        return MongoOrders(database)

    @pytest.fixture
    def outbox(self, database: Database) -> MongoOutbox:
        return MongoOutbox(database)

    @pytest.fixture
    def backlog(self, database: Database) -> MongoBacklog:
        return MongoBacklog(database)

    @pytest.fixture
    def lost_backlog(self, lost_database: Database) -> MongoBacklog:
        return MongoBacklog(lost_database)
