"""The arguments of each command of `orders`."""

from __future__ import annotations

import os
from argparse import ArgumentParser, ArgumentTypeError
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import UUID

from orders.entrypoints.sandbox.data_directory import AUDIENCE, ISSUER

DATA: Final = Path(".orders")


def add_dev(parser: ArgumentParser) -> None:
    parser.add_argument("--host", default=os.environ.get("ORDERS_HOST", "127.0.0.1"))
    parser.add_argument(
        "--port",
        type=int,
        default=os.environ.get("ORDERS_PORT", "8000"),
        help="port of the API; the others follow it. 0: free ports for all (%(default)s)",
    )
    parser.add_argument("--ready-file", type=Path, help="write the addresses here when ready")
    add_data(parser)


def add_serve(parser: ArgumentParser) -> None:
    parser.add_argument("--workers", help="API processes; default ORDERS_WORKERS or 1")


def add_migrate(parser: ArgumentParser) -> None:
    parser.add_argument("--wait", type=float, default=0, help="maximum seconds (%(default)s)")


def add_outbox(parser: ArgumentParser) -> None:
    choices, about = ["list", "resend", "drop"], "list parked events, resend or discard them"
    parser.add_argument("action", choices=choices, help=about)
    parser.add_argument("--order", type=UUID, help="one order only (resend)")
    _add_publisher(parser, "one publisher only (resend, drop)")


def add_events(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="ACTION", dest="action")
    sample = actions.add_parser("sample", help="Print valid messages, one a line, as they are sent")
    wanted = sample.add_mutually_exclusive_group(required=True)
    wanted.add_argument("--type", help="OrderCreated, or orders.OrderCreated.v1")
    wanted.add_argument("--all", action="store_true", help="one of each type")
    about = "Send an order's events again, or those of a span of time of all orders"
    again = actions.add_parser("replay", help=about, description=f"{about}.")
    again.add_argument("--order", type=UUID, help="the events of one order")
    again.add_argument(
        "--from", dest="start", type=_time, help="RFC 3339, such as 2026-03-01T12:00Z"
    )
    again.add_argument("--to", dest="end", type=_time, help="up to this time, without it")
    _add_publisher(again, "one publisher only; default: all that are configured")


def _add_publisher(parser: ArgumentParser, about: str) -> None:
    parser.add_argument("--publisher", choices=["rabbitmq", "kafka"], help=about)
    about = "who runs it, for the audit trail; default: the user of the system"
    parser.add_argument("--as", dest="name", metavar="NAME", help=about)


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError("it is no time in RFC 3339") from None
    if time.tzinfo is None:
        raise ArgumentTypeError("it needs an offset, such as Z")
    return time


def add_data(parser: ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, default=DATA, help="data directory (%(default)s)")


def add_token(parser: ArgumentParser) -> None:
    parser.add_argument("--sub", required=True, help="subject of the token")
    parser.add_argument("--role", action="append", default=[], help="may be repeated")
    parser.add_argument(
        "--scope",
        action="extend",
        nargs="*",
        help="may be repeated; empty: none. Default: all of the roles (integrator: none)",
    )
    parser.add_argument("--tenant", help="default: the service's default tenant")
    parser.add_argument("--ttl", type=int, default=3600, help="lifetime in seconds (%(default)s)")
    add_data(parser)


def add_replay(parser: ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="invoice lines as CSV")
    parser.add_argument("--url", help="URL of the API; default: the running `orders dev`")
    parser.add_argument("--token", help="default: a token of the sandbox")
    parser.add_argument(
        "--ledger", help="payment sandbox to compare with; default: that of `orders dev`"
    )
    add_data(parser)


def add_demo(parser: ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="invoice lines as CSV")


def add_schema(parser: ArgumentParser) -> None:
    parser.add_argument("kind", choices=["openapi", "openapi-3.0", "asyncapi", "events", "graphql"])


def add_sandbox(parser: ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="address (%(default)s)")
    parser.add_argument("--payments-port", type=int, default=8001, help="port (%(default)s)")
    parser.add_argument("--issuer-port", type=int, default=8002, help="port (%(default)s)")
    parser.add_argument("--webhook-url", help="where webhooks are sent; default: nowhere")
    parser.add_argument(
        "--later",
        type=float,
        default=os.environ.get("SANDBOX_LATER_SECONDS", "3"),
        help="seconds until a payment is disputed, or what else its method does later "
        "(%(default)s; SANDBOX_LATER_SECONDS)",
    )
    parser.add_argument("--issuer", default=ISSUER, help="iss of the tokens (%(default)s)")
    parser.add_argument("--audience", default=AUDIENCE, help="aud of the tokens (%(default)s)")
    add_data(parser)
