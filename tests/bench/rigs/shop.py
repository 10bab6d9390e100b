"""What is asked of a contender: every job as an endless row of requests."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from itertools import count, cycle
from typing import Final
from uuid import uuid4

from tests.bench.days import Sale
from tests.bench.rigs.contenders import FLOOR

REGULARS: Final = tuple(f"regular-{number}" for number in range(1, 6))
"""Customers with more orders than a page shows."""
PAGE: Final = 20


class Shop:
    """The customers of one contender, and what they have ordered so far."""

    def __init__(self, contender: str, sales: list[Sale], token: Callable[[str, str], str]) -> None:
        self._is_service = contender != FLOOR
        self._sales = sales
        self._unpaid, self._paid = cycle(sales), cycle(sales)
        self._token = token
        self._tokens: dict[tuple[str, str], str] = {}
        self._keys = (f"{uuid4()}" for _ in count())
        self.placed: list[tuple[str, str | None]] = []
        """The id and the customer of every order that was placed by `placing`."""
        self._to_cancel: deque[tuple[str, str | None]] = deque()

    def seeding(self) -> Iterator[bytes]:
        """Orders of the regular customers."""
        for sale, customer in zip(cycle(self._sales), cycle(REGULARS), strict=False):
            regular = Sale(customer, sale.lines, sale.body | {"customer_id": customer})
            yield self._post("/v1/orders", self._staff, regular.encoded(payment=False))

    def placing(self, *, payment: bool = False) -> Iterator[bytes]:
        """The days' orders one after the other, as a checkout sends them."""
        for sale in self._paid if payment else self._unpaid:
            yield self._post("/v1/orders", self._staff, sale.encoded(payment=payment))

    def reading(self) -> Iterator[bytes]:
        """Single orders, each read by its customer."""
        for order_id, customer in cycle(self.placed):
            yield self._get(f"/v1/orders/{order_id}", self._head_of(customer))

    def listing(self) -> Iterator[bytes]:
        """The newest orders of a regular customer, asked for by the customer."""
        for customer in cycle(REGULARS):
            yield self._get(f"/v1/orders?limit={PAGE}", self._head_of(customer))

    def listing_by_status(self) -> Iterator[bytes]:
        """The newest pending orders of all, asked for by staff."""
        while True:
            yield self._get(f"/v1/orders?status=pending&limit={PAGE}", self._staff)

    def cancelling(self) -> Iterator[bytes]:
        """Orders called off by their customers, each once."""
        while self._to_cancel:
            order_id, customer = self._to_cancel.popleft()
            yield self._post(f"/v1/orders/{order_id}/cancel", self._head_of(customer), b"{}")

    def paying(self) -> Iterator[bytes]:
        """Payments of orders that nobody has paid, each once."""
        while self._to_cancel:
            order_id, _ = self._to_cancel.popleft()
            path = f"/v1/orders/{order_id}/payments"
            yield self._post(path, self._staff, b'{"method": "tok_ok"}')

    def learn(self, answers: list[bytes], *, may_cancel: bool) -> None:
        """Note the orders that were placed."""
        for answer in answers:
            order = json.loads(answer.partition(b"\r\n\r\n")[2])
            known = order.get("id") or order["_id"], order["customer_id"]
            self.placed.append(known)
            if may_cancel:
                self._to_cancel.append(known)

    @property
    def cancellable(self) -> int:
        """How many orders are left to cancel."""
        return len(self._to_cancel)

    @property
    def _staff(self) -> str:
        return self._head("checkout", "support")

    def _head_of(self, customer: str | None) -> str:
        return self._staff if customer is None else self._head(customer, "customer")

    def _head(self, subject: str, role: str) -> str:
        if not self._is_service:
            return f"X-Customer: {subject}"
        if (subject, role) not in self._tokens:
            self._tokens[subject, role] = self._token(subject, role)
        return f"Authorization: Bearer {self._tokens[subject, role]}"

    def _get(self, path: str, head: str) -> bytes:
        return f"GET {path} HTTP/1.1\r\nHost: bench\r\n{head}\r\n\r\n".encode()

    def _post(self, path: str, head: str, body: bytes) -> bytes:
        lines = (
            f"POST {path} HTTP/1.1",
            "Host: bench",
            head,
            "Content-Type: application/json",
            f"Idempotency-Key: {next(self._keys)}",
            f"Content-Length: {len(body)}",
        )
        return "\r\n".join((*lines, "", "")).encode() + body
