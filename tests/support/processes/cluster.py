"""The service as it runs in production: several processes of each kind, over one database.

What dies is started again by its name, where it was. Every process is a child of ours.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from orders.entrypoints.sandbox.data_directory import AUDIENCE, ISSUER, TENANT, DataDirectory
from orders.entrypoints.sandbox.database import database_command, database_uri
from orders.entrypoints.sandbox.stack import accepts, is_ready
from orders.entrypoints.server.child_processes import end_with, free_ports
from tests.support.processes.freezing import freeze_group

PATIENCE_SECONDS = 60
UNHURRIED = {"ORDERS_MONGO_POOL_SIZE": "100", "ORDERS_MONGO_TIMEOUT_SECONDS": "20"}
"""Settings for tests of anything but overload and outages of the database: so many requests of a
process run at once, and none is refused because a machine that is busy with other things lets it
wait for its turn, or for the embedded database.
"""
_HOST = "127.0.0.1"
_CATALOGUE = Path(__file__).parents[3] / "src/orders/entrypoints/sandbox/catalogue.json"
_BARE = {name: value for name, value in os.environ.items() if not name.startswith("ORDERS_")}


class Process:
    """One process that can be killed, frozen, told to stop, and started again where it was."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environ: Mapping[str, str],
        log: Path,
        answers: Callable[[], bool],
    ) -> None:
        self.name = name
        self.log = log
        self.starts = 0
        self._command = command
        self._environ = environ
        self._answers = answers
        self._running: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._running is not None, f"{self.name} was never started"
        return self._running.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        assert self._running is not None, f"{self.name} was never started"
        return self._running.poll()

    def start(self, **environ: str) -> None:
        """Start it, with these settings besides; `wait_until_up` says when it can be used."""
        with self.log.open("ab") as output:
            self._running = subprocess.Popen(
                self._command,
                env={**self._environ, **environ},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=partial(end_with, os.getpid()),  # noqa: PLW1509 - one system call
            )
        self.starts += 1

    def wait_until_up(self, within_seconds: float = PATIENCE_SECONDS) -> None:
        """Return once it answers."""
        deadline = time.monotonic() + within_seconds
        while not self._answers():
            assert self.exit_code is None, f"{self.name} ended with {self.exit_code}: {self.log}"
            assert time.monotonic() < deadline, f"{self.name} does not answer: {self.log}"
            time.sleep(0.02)  # a port gives no event to wait for

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it and to all that it started."""
        os.killpg(self.pid, number)

    def freeze(self) -> None:
        """Stop answering, with all connections left open, until `thaw`."""
        freeze_group(self.pid)

    def thaw(self) -> None:
        """Go on."""
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it and all it started at once, as a power cut would. May be repeated."""
        if self._running is not None and self._running.poll() is None:
            os.killpg(self._running.pid, signal.SIGKILL)
            self._running.wait()

    def stop(self, within_seconds: float = 30) -> int:
        """Tell it to stop, wait for that, and return its exit code."""
        assert self._running is not None
        self._running.terminate()
        return self._running.wait(within_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a cluster is made of. `environ` is the service's, and goes before what we would say."""

    apis: int = 3
    workers: int = 1
    environ: Mapping[str, str] = field(default_factory=dict)
    mongo_uri: str | None = None
    """Where the database is; None starts one of the cluster's own."""
    payment_url: str | None = None
    """Where the service finds payments: a proxy, or a stub; None is the sandbox itself."""
    own_environ: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """What only one process is told, by its name; it goes before all else."""
    database: Callable[[Path, int], Sequence[str]] = database_command
    """The command that serves what a folder holds at a port."""


class Cluster:
    """API replicas `api-0`…, workers `worker-0`…, the payment sandbox and issuer, a database."""

    def __init__(self, folder: Path, shape: Shape) -> None:
        self.data = DataDirectory(folder)
        self.data.prepare()
        database, self._payments, self._issuer = free_ports(3)
        self._ports = iter(free_ports(2 * shape.apis + shape.workers))
        self._own_database = shape.mongo_uri is None
        self._own_environ = shape.own_environ
        self.mongo_uri = shape.mongo_uri or database_uri(database)
        self.payments_url = f"http://{_HOST}:{self._payments}"
        self.jwks_url = f"http://{_HOST}:{self._issuer}/.well-known/jwks.json"
        self.environ = _BARE | self._settings(shape) | dict(shape.environ)
        self.processes: dict[str, Process] = {}
        self.urls: dict[str, str] = {}
        self.metrics_urls: dict[str, str] = {}
        if self._own_database:
            self._add(
                "database",
                shape.database(self.data.database, database),
                answers=partial(accepts, database),
            )
        for number in range(shape.apis):
            self._add_api(f"api-{number}", next(self._ports), next(self._ports))
        for number in range(shape.workers):
            self._add_worker(f"worker-{number}", next(self._ports))
        # The provider tells the first replica what happened; it keeps what it cannot deliver.
        self._add("sandbox", self._sandbox(), answers=partial(accepts, self._payments))

    def start(self) -> None:
        """Start all, and return when all answer."""
        if self._own_database:
            self.processes["database"].start()
            self.processes["database"].wait_until_up()
        self.migrate()
        for name, process in self.processes.items():
            if name != "database":
                process.start()
        for process in self.processes.values():
            process.wait_until_up()

    def migrate(self) -> None:
        """Make the indexes, once the database answers."""
        subprocess.run(
            _orders("migrate", "--wait", str(PATIENCE_SECONDS)),
            env=self.environ,
            check=True,
            capture_output=True,
        )

    def close(self) -> None:
        """End all."""
        for process in reversed(self.processes.values()):
            process.kill()

    def restart(self, name: str) -> None:
        """Kill a process and have it up again."""
        self.processes[name].kill()
        self.processes[name].start()
        self.processes[name].wait_until_up()

    @property
    def apis(self) -> list[str]:
        """The addresses of the API replicas."""
        return [*self.urls.values()]

    def addresses(self) -> dict[str, str]:
        """Where everything is, as the ready file of `orders dev` says it."""
        first = next(iter(self.urls))
        return {
            "api": self.urls[first],
            "payments": self.payments_url,
            "jwks": self.jwks_url,
            "metrics": self.metrics_urls[first],
            "mongo": self.mongo_uri,
            "logs": str(self.data.logs),
        }

    def logged(self) -> str:
        """All that any process has logged."""
        return "".join(each.log.read_text(errors="replace") for each in self.processes.values())

    def _settings(self, shape: Shape) -> dict[str, str]:
        return {
            "PYTHONUNBUFFERED": "1",
            "ORDERS_HOST": _HOST,
            "ORDERS_MONGO_URI": self.mongo_uri,
            "ORDERS_PAYMENT_URL": shape.payment_url or self.payments_url,
            "ORDERS_PAYMENT_TOKEN": self.data.payment_token(),
            "ORDERS_PAYMENT_WEBHOOK_SECRET": self.data.webhook_secret(),
            "ORDERS_JWKS_URL": self.jwks_url,
            "ORDERS_ISSUER": ISSUER,
            "ORDERS_AUDIENCE": AUDIENCE,
            "ORDERS_DEFAULT_TENANT": TENANT,
            "ORDERS_PRICE_LIST": str(_CATALOGUE),
            "ORDERS_DRAIN_SECONDS": "1",
            # The embedded database takes its time, and one caller is a whole crowd here.
            "ORDERS_MONGO_TIMEOUT_SECONDS": "5",
            "ORDERS_RATE_PER_SECOND": "100000",
            "ORDERS_RATE_BURST": "100000",
            "ORDERS_AUTH_FAILURES_PER_SECOND": "100000",
        }

    def add_api(self, name: str, **environ: str) -> Process:
        """One more API replica, with settings of its own. It is not started."""
        port, metrics_port = free_ports(2)
        self._add_api(name, port, metrics_port, **environ)
        return self.processes[name]

    def _add_api(self, name: str, port: int, metrics_port: int, **environ: str) -> None:
        self.urls[name] = f"http://{_HOST}:{port}"
        self.metrics_urls[name] = f"http://{_HOST}:{metrics_port}/metrics"
        ports = {"ORDERS_PORT": str(port), "ORDERS_METRICS_PORT": str(metrics_port)}
        answers = partial(is_ready, port)
        self._add(name, _orders("serve"), answers=answers, **ports | environ)

    def _add_worker(self, name: str, metrics_port: int) -> None:
        self.metrics_urls[name] = f"http://{_HOST}:{metrics_port}/metrics"
        self._add(
            name,
            _orders("worker"),
            answers=partial(accepts, metrics_port),
            ORDERS_METRICS_PORT=str(metrics_port),
        )

    def _add(
        self, name: str, command: Sequence[str], *, answers: Callable[[], bool], **environ: str
    ) -> None:
        self.processes[name] = Process(
            name,
            command,
            environ=self.environ | environ | dict(self._own_environ.get(name, {})),
            log=self.data.logs / f"{name}.log",
            answers=answers,
        )

    def _sandbox(self) -> list[str]:
        # fmt: off
        return _orders(
            "sandbox", "--data", str(self.data.path),
            "--payments-port", str(self._payments), "--issuer-port", str(self._issuer),
            "--issuer", ISSUER, "--audience", AUDIENCE,
            "--webhook-url", f"{self.apis[0]}/v1/payment-events",
        )
        # fmt: on


@contextmanager
def cluster(folder: Path, shape: Shape) -> Iterator[Cluster]:
    """A cluster that is up, until the block is left. Enter it in the main thread."""
    with ExitStack() as stack:
        running = Cluster(folder, shape)
        stack.callback(running.close)
        running.start()
        yield running


def _orders(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "orders", *arguments]
