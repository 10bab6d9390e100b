"""The sandbox process: a payment service and a token issuer, for development only."""

from __future__ import annotations

import argparse
import asyncio
import os

from aiohttp import web

from orders.entrypoints.sandbox.data_directory import DataDirectory
from orders.entrypoints.sandbox.payment_service import app as payments
from orders.entrypoints.sandbox.payment_service.scenarios import Pace
from orders.entrypoints.sandbox.token_issuer import app as issuer


async def run(options: argparse.Namespace) -> None:
    """Serve both until cancelled."""
    data = DataDirectory(options.data)
    data.prepare()
    runners = [
        await _listen(_payments(data, options), options.host, options.payments_port),
        await _listen(_issuer(data, options), options.host, options.issuer_port),
    ]
    try:
        await asyncio.Event().wait()
    finally:
        for runner in runners:
            await runner.cleanup()


def _payments(data: DataDirectory, options: argparse.Namespace) -> web.Application:
    return payments.create_app(
        data_dir=data.payments,
        webhook_url=options.webhook_url,
        webhook_secret=_setting("PAYMENT_WEBHOOK_SECRET") or data.webhook_secret(),
        credential=_setting("PAYMENT_TOKEN") or data.payment_token(),
        pace=Pace(later=options.later),
    )


def _setting(name: str) -> str:
    """Return a setting of the service, which the sandbox must share; the first secret signs."""
    return os.environ.get(f"ORDERS_{name}", "").partition(",")[0].strip()


def _issuer(data: DataDirectory, options: argparse.Namespace) -> web.Application:
    return issuer.create_app(
        key_file=data.issuer_key, issuer=options.issuer, audience=options.audience
    )


async def _listen(app: web.Application, host: str, port: int) -> web.AppRunner:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner
