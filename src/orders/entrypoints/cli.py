"""The `orders` command."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import UUID

from orders.entrypoints.failures import CommandFailed
from orders.entrypoints.observability.crash_reports import flush, say, speak_plainly
from orders.entrypoints.sandbox.data_directory import AUDIENCE, ISSUER, DataDirectory

_DATA = Path(".orders")
_EXAMPLES = """\
examples:
  orders dev                                    everything, on this machine; Ctrl-C ends it
  orders token --sub ada --role customer        a token for it
  orders replay day.csv                         send it a day's orders
  ORDERS_MONGO_URI=... orders serve             one part, in production
  orders settings                               every ORDERS_* variable
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0, 1 if it failed, or 2 if it was called wrongly."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    speak_plainly()
    try:
        return command(options)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing.partition(".")[0] == "orders":
            raise
        return _fail(f"{missing} is not installed: pip install 'orders[service]'", 2)
    except CommandFailed as error:
        return _fail(str(error), error.exit_code)
    except BrokenPipeError:  # as in `orders settings | head`; the exit flushes once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="orders",
        description="The Order Service: its processes, and a sandbox for development.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Callable[[argparse.Namespace], int], text: str) -> _Parser:
        added: _Parser = commands.add_parser(name, help=text, description=f"{text}.")
        added.set_defaults(command=command)
        return added

    _add_dev(add("dev", _dev, "Run the whole stack on this machine; data is stored in .orders/"))
    _add_serve(add("serve", _serve, "Serve the HTTP API, by ORDERS_* variables"))
    add("worker", _worker, "Publish events and process scheduled work, by ORDERS_* variables")
    _add_outbox(add("outbox", _outbox, "List, resend or drop parked events"))
    _add_migrate(
        add("migrate", _migrate, "Migrate the database to this version: indexes and documents")
    )
    _add_token(add("token", _token, "Print a token of the sandbox"))
    _add_replay(add("replay", _replay, "Send the orders of a CSV file through the HTTP API"))
    _add_demo(add("demo", _demo, "Start a separate stack, send a day of orders, show the balance"))
    _add_schema(add("schema", _schema, "Print a published contract"))
    add("settings", _settings, "List every ORDERS_* variable")
    _add_sandbox(add("sandbox", _sandbox, "Run the sandbox's payment service and token issuer"))
    return parser


_Parser = argparse.ArgumentParser


def _add_dev(parser: _Parser) -> None:
    parser.add_argument("--host", default=os.environ.get("ORDERS_HOST", "127.0.0.1"))
    parser.add_argument(
        "--port",
        type=int,
        default=os.environ.get("ORDERS_PORT", "8000"),
        help="port of the API; the others follow it. 0: free ports for all (%(default)s)",
    )
    parser.add_argument("--ready-file", type=Path, help="write the addresses here when ready")
    _add_data(parser)


def _add_serve(parser: _Parser) -> None:
    parser.add_argument("--workers", help="API processes; default ORDERS_WORKERS or 1")


def _add_migrate(parser: _Parser) -> None:
    parser.add_argument("--wait", type=float, default=0, help="maximum seconds (%(default)s)")


def _add_outbox(parser: _Parser) -> None:
    about = "who runs it, for the audit trail; default: the user of the system"
    parser.add_argument("--as", dest="name", metavar="NAME", help=about)
    choices, about = ["list", "resend", "drop"], "list parked events, resend or discard them"
    parser.add_argument("action", choices=choices, help=about)
    parser.add_argument("--order", type=UUID, help="one order only (resend)")
    known, about = ["rabbitmq", "kafka"], "one publisher only (resend, drop)"
    parser.add_argument("--publisher", choices=known, help=about)


def _add_data(parser: _Parser) -> None:
    parser.add_argument("--data", type=Path, default=_DATA, help="data directory (%(default)s)")


def _add_token(parser: _Parser) -> None:
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
    _add_data(parser)


def _add_replay(parser: _Parser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="invoice lines as CSV")
    parser.add_argument("--url", help="URL of the API; default: the running `orders dev`")
    parser.add_argument("--token", help="default: a token of the sandbox")
    parser.add_argument(
        "--ledger", help="payment sandbox to compare with; default: that of `orders dev`"
    )
    _add_data(parser)


def _add_demo(parser: _Parser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="invoice lines as CSV")


def _add_schema(parser: _Parser) -> None:
    parser.add_argument("kind", choices=["openapi", "openapi-3.0", "asyncapi", "events", "graphql"])


def _add_sandbox(parser: _Parser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="address (%(default)s)")
    parser.add_argument("--payments-port", type=int, default=8001, help="port (%(default)s)")
    parser.add_argument("--issuer-port", type=int, default=8002, help="port (%(default)s)")
    parser.add_argument("--webhook-url", help="where webhooks are sent; default: nowhere")
    parser.add_argument("--issuer", default=ISSUER, help="iss of the tokens (%(default)s)")
    parser.add_argument("--audience", default=AUDIENCE, help="aud of the tokens (%(default)s)")
    _add_data(parser)


def _dev(options: argparse.Namespace) -> int:
    from orders.entrypoints.sandbox.dev import DevOptions, run_dev

    return run_dev(
        DevOptions(
            host=options.host, port=options.port, data=options.data, ready_file=options.ready_file
        )
    )


def _demo(options: argparse.Namespace) -> int:
    from orders.entrypoints.sandbox.dev import run_demo

    if not options.file.is_file():
        return _fail(f"there is no file {options.file}", 2)
    return run_demo(options.file)


def _serve(options: argparse.Namespace) -> int:
    from orders.entrypoints.server.serve import serve
    from orders.entrypoints.settings.table import Settings

    if options.workers:
        os.environ["ORDERS_WORKERS"] = options.workers
    serve(Settings.read())
    return 0


def _worker(_: argparse.Namespace) -> int:
    from orders.entrypoints.observability import json_logging as logs
    from orders.entrypoints.server.child_processes import run_until_stopped
    from orders.entrypoints.settings.table import Settings
    from orders.entrypoints.worker import run

    settings = Settings.read()
    with logs.kept(settings.log_level):
        run_until_stopped(run(settings))
    return 0


def _outbox(options: argparse.Namespace) -> int:
    import asyncio

    from orders.entrypoints import outbox
    from orders.entrypoints.settings.table import Settings

    settings, name = Settings.read(), options.name or outbox.system_user()
    actions = {
        "list": lambda: outbox.listed(settings, name=name),
        "resend": lambda: outbox.resend(settings, options.order, options.publisher, name=name),
        "drop": lambda: outbox.drop(settings, options.publisher, name=name),
    }
    for line in asyncio.run(actions[options.action]()):
        print(line)
    return 0


def _migrate(options: argparse.Namespace) -> int:
    import asyncio

    from orders.entrypoints.migration import migrate
    from orders.entrypoints.sandbox.database import answers_ping
    from orders.entrypoints.settings.table import Settings

    settings = Settings.read()
    deadline = time.monotonic() + options.wait
    while not answers_ping(settings.mongo_uri):
        if time.monotonic() > deadline:
            raise CommandFailed("the database does not answer: see ORDERS_MONGO_URI")
    asyncio.run(migrate(settings))
    return 0


def _token(options: argparse.Namespace) -> int:
    from orders.entrypoints.sandbox.token_issuer.tokens import sandbox_token

    print(
        sandbox_token(
            DataDirectory(options.data),
            subject=options.sub,
            roles=options.role,
            scopes=options.scope,
            tenant=options.tenant,
            ttl_seconds=options.ttl,
        )
    )
    return 0


def _replay(options: argparse.Namespace) -> int:
    import asyncio

    from orders.entrypoints.sandbox.replay import replay
    from orders.entrypoints.sandbox.token_issuer.tokens import sandbox_token

    data = DataDirectory(options.data)
    running = {} if options.url else _running_stack(data)
    url = options.url or running["api"]
    ledger = options.ledger or running.get("payments")
    token = options.token or sandbox_token(data, subject="import", roles=["admin"])
    asyncio.run(replay(options.file, base_url=url, token=token, ledger_url=ledger))
    return 0


def _running_stack(data: DataDirectory) -> dict[str, str]:
    if not data.ready_file.exists():
        raise CommandFailed(f"no `orders dev` is up with {data.path}: start it, or give --url")
    addresses: dict[str, str] = json.loads(data.ready_file.read_text())
    return addresses


def _schema(options: argparse.Namespace) -> int:
    from orders.entrypoints.published.schema import render

    print(render(options.kind))
    return 0


def _settings(_: argparse.Namespace) -> int:
    from orders.entrypoints.settings.table import settings_table

    for row in settings_table():
        default = "required" if row.default is None else row.default or "none"
        print(f"{row.name}  ({default})\n    {row.meaning}: {row.accepts}")
    return 0


def _sandbox(options: argparse.Namespace) -> int:
    from orders.entrypoints.observability import json_logging as logs
    from orders.entrypoints.sandbox import main as sandbox
    from orders.entrypoints.server.child_processes import run_until_stopped

    with logs.kept("warning"):
        run_until_stopped(sandbox.run(options))
    return 0


def _fail(message: str, exit_code: int) -> int:
    say(message)
    flush()
    return exit_code
