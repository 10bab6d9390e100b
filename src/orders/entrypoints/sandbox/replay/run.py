"""The whole replay: read, sell, take back, compare, report."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from orders.entrypoints.failures import CommandFailed
from orders.entrypoints.sandbox.replay.api import IN_FLIGHT, OrdersApi
from orders.entrypoints.sandbox.replay.balance import balance, read_ledger
from orders.entrypoints.sandbox.replay.invoices import Invoice, read_invoices
from orders.entrypoints.sandbox.replay.outcomes import (
    Outcome,
    OutcomeKind,
    process_return,
    process_sale,
)
from orders.entrypoints.sandbox.replay.report import Report
from orders.entrypoints.sandbox.replay.views import Order

T = TypeVar("T")


async def replay(file: Path, *, base_url: str, token: str, ledger_url: str | None = None) -> None:
    """Send a file's invoices through the API at `base_url`, and print what became of them.

    Running it again, also after an interruption, places nothing twice: each request has a key
    that follows from its invoice's number. With the `ledger_url` of a payment sandbox the
    money is compared.

    Raises:
        CommandFailed: If the file or the API is unusable, an order could not be brought to its
            end, or the money differs.
    """
    invoices, unreadable = await asyncio.to_thread(read_invoices, file)
    outcomes = [
        Outcome(invoice=each.number, fate=OutcomeKind.REFUSED, reason=each.reason)
        for each in unreadable
    ]
    report = Report()
    async with OrdersApi.opened(base_url, token.strip()) as api:
        report.begin(file.name, len(invoices) + len(unreadable), base_url)
        began = time.monotonic()
        outcomes += await _carry_out(api, invoices, report)
        seconds = time.monotonic() - began
        report.outcomes(outcomes)
        differing = await _compare(api, outcomes, ledger_url, report)
    report.end(outcomes, seconds)
    _require_success(outcomes, differing)


async def _carry_out(api: OrdersApi, invoices: Sequence[Invoice], report: Report) -> list[Outcome]:
    """All sales, then all cancellations: what is returned must have been delivered."""
    outcomes: list[Outcome] = []
    sales = [invoice for invoice in invoices if not invoice.is_cancellation]
    by_customer: dict[str | None, list[Invoice]] = {}
    for invoice in invoices:
        if invoice.is_cancellation:
            by_customer.setdefault(invoice.customer_id, []).append(invoice)

    with report.progress("invoices", len(invoices)) as count:

        async def sell_one(invoice: Invoice) -> None:
            outcomes.append(await process_sale(api, invoice))
            count()

        async def give_back_all(cancellations: list[Invoice]) -> None:
            for invoice in sorted(cancellations, key=lambda each: each.date):
                outcomes.append(await process_return(api, invoice))
                count()

        await _a_few_at_once(sell_one, sales)
        await _a_few_at_once(give_back_all, by_customer.values())
    return outcomes


async def _compare(
    api: OrdersApi, outcomes: Iterable[Outcome], ledger_url: str | None, report: Report
) -> tuple[str, ...]:
    """The invoices whose orders have other money than the ledger. Orders are read anew."""
    if ledger_url is None:
        report.no_ledger()
        return ()
    ids = {order.id for outcome in outcomes for order in outcome.orders}
    orders: list[Order] = []

    async def read(order_id: str) -> None:
        orders.append(await api.read(order_id))
        count()

    with report.progress("balance", len(ids)) as count:
        await _a_few_at_once(read, ids)
    compared = balance(orders, await read_ledger(ledger_url))
    of_this_file = {outcome.invoice for outcome in outcomes}
    earlier = sum(order.external_reference not in of_this_file for order in orders)
    report.balance(compared, orders=len(orders) - earlier, earlier=earlier)
    return compared.differing


async def _a_few_at_once(work: Callable[[T], Awaitable[None]], items: Iterable[T]) -> None:
    waiting = iter(items)

    async def until_none_is_left() -> None:
        for item in waiting:
            await work(item)

    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(IN_FLIGHT):
                tasks.create_task(until_none_is_left())
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None


def _require_success(outcomes: Iterable[Outcome], differing: Sequence[str]) -> None:
    unfinished = [each.invoice for each in outcomes if each.fate is OutcomeKind.UNFINISHED]
    problems = []
    if unfinished:
        problems.append(f"unfinished orders: {' '.join(unfinished)}")
    if differing:
        problems.append(f"orders and ledger differ: {' '.join(differing)}")
    if problems:
        raise CommandFailed("\n".join(problems))
