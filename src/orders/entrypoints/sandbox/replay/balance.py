"""Compares the money in the orders with the payment service's ledger, order by order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add

import aiohttp
import msgspec
from msgspec import Struct

from orders.entrypoints.failures import CommandFailed
from orders.entrypoints.sandbox.replay.journey import CURRENCY
from orders.entrypoints.sandbox.replay.views import Order, Payment

_TIMEOUT = aiohttp.ClientTimeout(total=60, connect=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """Captured and returned amounts in pence."""

    captured: int = 0
    refunded: int = 0
    charged_back: int = 0

    @property
    def net(self) -> int:
        """Captured and not returned."""
        return self.captured - self.refunded - self.charged_back

    def __add__(self, other: Money) -> Money:
        return Money(
            captured=self.captured + other.captured,
            refunded=self.refunded + other.refunded,
            charged_back=self.charged_back + other.charged_back,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """Both sides in total, and the invoices whose orders differ."""

    orders: Money
    ledger: Money
    differing: tuple[str, ...]


class _LedgerPayment(Struct, frozen=True):
    reference: str
    currency: str
    captured: int
    refunded: int
    charged_back: int


class _Ledger(Struct, frozen=True):
    payments: list[_LedgerPayment]


async def read_ledger(url: str) -> dict[str, Money]:
    """Return the money of each order by its id, from the ledger of the payment sandbox at `url`.

    All payments with an order's reference count, also those that the order does not know.

    Raises:
        CommandFailed: If the ledger cannot be read.
    """
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT) as session,
            session.get(f"{url.rstrip('/')}/ledger", raise_for_status=True) as response,
        ):
            ledger = msgspec.json.decode(await response.read(), type=_Ledger)
    except (aiohttp.ClientError, TimeoutError, msgspec.MsgspecError) as error:
        raise CommandFailed(f"no ledger of a payment sandbox at {url}") from error
    money: dict[str, Money] = {}
    for payment in ledger.payments:
        if payment.currency == CURRENCY:
            order_id = payment.reference.partition(":")[0]
            money[order_id] = money.get(order_id, Money()) + _money(payment)
    return money


def balance(orders: Iterable[Order], ledger: Mapping[str, Money]) -> Balance:
    """Compare each order with the ledger."""
    sides = [
        (order, _total(map(_money, order.payments)), ledger.get(order.id, Money()))
        for order in orders
    ]
    return Balance(
        orders=_total(ours for _, ours, _ in sides),
        ledger=_total(theirs for _, _, theirs in sides),
        differing=tuple(
            order.external_reference or order.id for order, ours, theirs in sides if ours != theirs
        ),
    )


def _money(payment: Payment | _LedgerPayment) -> Money:
    return Money(
        captured=payment.captured, refunded=payment.refunded, charged_back=payment.charged_back
    )


def _total(amounts: Iterable[Money]) -> Money:
    return reduce(add, amounts, Money())
