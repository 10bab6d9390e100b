"""The whole replay: read, process sales and returns, compare, report."""

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
    """Send a file's invoices through the API at `base_url`, and print their outcomes.

    A second run, also after an interruption, places nothing twice: the key of each request follows
    from its invoice's number. With the `ledger_url` of a payment sandbox, the money is compared.

    Raises:
        CommandFailed: If the file or the API is unusable, an order could not be completed, or the
            money differs.
    """
    invoices, unreadable = await asyncio.to_thread(read_invoices, file)
    outcomes = [
        Outcome(invoice=each.number, kind=OutcomeKind.REFUSED, reason=each.reason)
        for each in unreadable
    ]
    report = Report()
    async with OrdersApi.opened(base_url, token.strip()) as api:
        report.begin(file.name, len(invoices) + len(unreadable), base_url)
        began = time.monotonic()
        outcomes += await _process(api, invoices, report)
        seconds = time.monotonic() - began
        report.outcomes(outcomes)
        differing = await _compare(api, outcomes, ledger_url, report)
    report.end(outcomes, seconds)
    _require_success(outcomes, differing)


async def _process(api: OrdersApi, invoices: Sequence[Invoice], report: Report) -> list[Outcome]:
    """Process all sales, then all cancellations: only delivered units can be returned."""
    outcomes: list[Outcome] = []
    sales = [invoice for invoice in invoices if not invoice.is_cancellation]
    by_customer: dict[str | None, list[Invoice]] = {}
    for invoice in invoices:
        if invoice.is_cancellation:
            by_customer.setdefault(invoice.customer_id, []).append(invoice)

    with report.progress("invoices", len(invoices)) as count:

        async def process_one_sale(invoice: Invoice) -> None:
            outcomes.append(await process_sale(api, invoice))
            count()

        async def process_returns(cancellations: list[Invoice]) -> None:
            for invoice in sorted(cancellations, key=lambda each: each.date):
                outcomes.append(await process_return(api, invoice))
                count()

        await _run_concurrently(process_one_sale, sales)
        await _run_concurrently(process_returns, by_customer.values())
    return outcomes


async def _compare(
    api: OrdersApi, outcomes: Iterable[Outcome], ledger_url: str | None, report: Report
) -> tuple[str, ...]:
    """Return the invoices whose orders differ from the ledger. Reads the orders again."""
    if ledger_url is None:
        report.no_ledger()
        return ()
    ids = {order.id for outcome in outcomes for order in outcome.orders}
    orders: list[Order] = []

    async def read(order_id: str) -> None:
        orders.append(await api.read(order_id))
        count()

    with report.progress("balance", len(ids)) as count:
        await _run_concurrently(read, ids)
    compared = balance(orders, await read_ledger(ledger_url))
    of_this_file = {outcome.invoice for outcome in outcomes}
    earlier = sum(order.external_reference not in of_this_file for order in orders)
    report.balance(compared, orders=len(orders) - earlier, earlier=earlier)
    return compared.differing


async def _run_concurrently(work: Callable[[T], Awaitable[None]], items: Iterable[T]) -> None:
    waiting = iter(items)

    async def run_next() -> None:
        for item in waiting:
            await work(item)

    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(IN_FLIGHT):
                tasks.create_task(run_next())
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None


def _require_success(outcomes: Iterable[Outcome], differing: Sequence[str]) -> None:
    unfinished = [each.invoice for each in outcomes if each.kind is OutcomeKind.UNFINISHED]
    problems = []
    if unfinished:
        problems.append(f"unfinished orders: {' '.join(unfinished)}")
    if differing:
        problems.append(f"orders and ledger differ: {' '.join(differing)}")
    if problems:
        raise CommandFailed("\n".join(problems))
