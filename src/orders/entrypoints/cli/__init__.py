"""The `orders` command."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence

from orders.entrypoints.cli import arguments
from orders.entrypoints.failures import CommandFailed
from orders.entrypoints.observability.crash_reports import flush, say, speak_plainly
from orders.entrypoints.sandbox.data_directory import DataDirectory

_EXAMPLES = """\
examples:
  orders dev                                    everything, on this machine; Ctrl-C ends it
  orders token --sub ada --role customer        a token for it
  orders replay day.csv                         send it a day's orders
  ORDERS_MONGO_URI=... orders serve             one part, in production
  orders events sample --type OrderCreated      a message, to test a consumer with
  orders settings                               every ORDERS_* variable
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0, 1 if it failed, or 2 if it was called wrongly."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    speak_plainly()
    try:
        if command in {_dev, _demo, _sandbox}:
            from orders.entrypoints.settings.inlined import inline_files

            inline_files(os.environ)
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

    def add(
        name: str, command: Callable[[argparse.Namespace], int], text: str
    ) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = commands.add_parser(
            name, help=text, description=f"{text}."
        )
        added.set_defaults(command=command)
        return added

    arguments.add_dev(
        add("dev", _dev, "Run the whole stack on this machine; data is stored in .orders/")
    )
    arguments.add_serve(add("serve", _serve, "Serve the HTTP API, by ORDERS_* variables"))
    add("worker", _worker, "Publish events and process scheduled work, by ORDERS_* variables")
    arguments.add_outbox(add("outbox", _outbox, "List, resend or drop parked events"))
    arguments.add_events(
        add("events", _events, "Print sample messages, or send stored events again")
    )
    arguments.add_migrate(
        add("migrate", _migrate, "Migrate the database to this version: indexes and documents")
    )
    arguments.add_token(add("token", _token, "Print a token of the sandbox"))
    arguments.add_replay(
        add("replay", _replay, "Send the orders of a CSV file through the HTTP API")
    )
    arguments.add_demo(
        add("demo", _demo, "Start a separate stack, send a day of orders, show the balance")
    )
    arguments.add_schema(add("schema", _schema, "Print a published contract"))
    add("settings", _settings, "List every ORDERS_* variable")
    arguments.add_sandbox(
        add("sandbox", _sandbox, "Run the sandbox's payment service and token issuer")
    )
    return parser


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

    from orders.entrypoints.cli import outbox
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


def _events(options: argparse.Namespace) -> int:
    if options.action == "sample":
        return _sample(None if options.all else options.type)
    import asyncio

    from orders.application.replay_events import EventSpan
    from orders.domain.identifiers import OrderId
    from orders.entrypoints.cli import outbox
    from orders.entrypoints.settings.table import Settings

    what: OrderId | EventSpan
    match options.order, options.start, options.end:
        case order, None, None if order is not None:
            what = OrderId(order)
        case None, start, end if start is not None and end is not None and start < end:
            what = EventSpan(start=start, end=end)
        case _:
            return _fail("name either --order, or --from and a later --to", 2)
    settings, name = Settings.read(), options.name or outbox.system_user()

    async def replay() -> None:
        async for line in outbox.replay(settings, what, options.publisher, name=name):
            print(line, flush=True)

    asyncio.run(replay())
    return 0


def _sample(wanted: str | None) -> int:
    from orders.entrypoints.published.event_samples import MESSAGES

    name = (wanted or "").removeprefix("orders.").removesuffix(".v1")
    if wanted is not None and name not in MESSAGES:
        return _fail(f"there is no event {wanted}: choose from {', '.join(MESSAGES)}", 2)
    for message in MESSAGES.values() if wanted is None else [MESSAGES[name]]:
        print(message.decode())
    return 0


def _migrate(options: argparse.Namespace) -> int:
    import asyncio

    from orders.entrypoints.migration import migrate
    from orders.entrypoints.settings.table import Settings

    asyncio.run(migrate(Settings.read(), wait_seconds=options.wait))
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
