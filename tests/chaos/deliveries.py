"""A consumer with a queue of its own, bound to every event: what reached the broker's readers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import aio_pika
from aio_pika.exceptions import CONNECTION_EXCEPTIONS

from orders.adapters.brokers.rabbitmq import EXCHANGE

_AGAIN_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message as it came; `at` on the monotonic clock."""

    id: str
    order_id: str
    sequence: int
    raw: bytes
    at: float
    event: dict[str, Any]


class Deliveries:
    """Records every delivery, until it is stopped. It finds the broker again after each loss."""

    def __init__(self, uri: str) -> None:
        self.by_order: defaultdict[str, list[Delivery]] = defaultdict(list)
        self.ids: set[str] = set()
        self.without_id = 0
        self.total = 0
        self._uri = uri
        self._task: asyncio.Task[None] | None = None
        self._bound = asyncio.Event()

    async def start(self) -> None:
        """Return once the queue is there."""
        self._task = asyncio.create_task(self._listen())
        await self._bound.wait()

    async def stop(self) -> None:
        """Listen no more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _listen(self) -> None:
        while True:
            with contextlib.suppress(*CONNECTION_EXCEPTIONS, TimeoutError):
                await self._consume()
            await asyncio.sleep(
                _AGAIN_SECONDS
            )  # the broker is away, and tells nobody when it is not

    async def _consume(self) -> None:
        connection = await aio_pika.connect(self._uri, timeout=5)
        async with connection:
            channel = await connection.channel()
            await channel.set_qos(prefetch_count=200)
            exchange = await channel.declare_exchange(
                EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True
            )
            queue = await channel.declare_queue("chaos", durable=True)
            await queue.bind(exchange, "#")
            self._bound.set()
            async with queue.iterator() as messages:
                async for message in messages:
                    self._record(message)
                    await message.ack()

    def _record(self, message: aio_pika.abc.AbstractIncomingMessage) -> None:
        event = json.loads(message.body)
        self.total += 1
        self.without_id += not (event.get("id") and message.message_id == event["id"])
        self.ids.add(event["id"])
        self.by_order[event["subject"]].append(
            Delivery(
                event["id"],
                event["subject"],
                int(event["sequence"]),
                message.body,
                time.monotonic(),
                event,
            )
        )
