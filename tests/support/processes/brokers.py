"""Brokers for the contracts: real ones, each a child of ours with data and ports of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import aio_pika
from aio_pika import ExchangeType
from aio_pika.abc import AbstractIncomingMessage

from orders.adapters.brokers.rabbitmq import EXCHANGE
from orders.entrypoints.server.child_processes import end_with, free_ports
from tests.support.processes.freezing import freeze_group

_PATIENCE_SECONDS = 60
_BINARIES = Path("/usr/lib/rabbitmq/bin")
RABBITMQ_MISSING = "no RabbitMQ: run infra/setup/services.sh as root (Debian, Ubuntu)"
KAFKA_MISSING = "no Apache Kafka: set ORDERS_TEST_KAFKA to the directory with its jars"
LARGEST_MESSAGE = 65_536
_KEPT = "kept"

# librdkafka's mock: three brokers in memory that take idempotent producers with acks=all.
_KAFKA_MOCK = """
import sys
from confluent_kafka import Producer
cluster = Producer({"test.mock.num.brokers": 3, "bootstrap.servers": "made.up"})
brokers = cluster.list_topics(timeout=30).brokers.values()
print(",".join(f"{each.host}:{each.port}" for each in brokers), flush=True)
sys.stdin.read()
"""


def rabbitmq_is_installed() -> bool:
    return (_BINARIES / "rabbitmq-server").exists() and shutil.which("epmd") is not None


class RabbitServer:
    """A RabbitMQ node of ours alone. It keeps its data and its port when it is killed."""

    def __init__(
        self,
        directory: Path,
        largest_message: int = LARGEST_MESSAGE,
        *,
        beside: RabbitServer | None = None,
        plugins: Sequence[str] = (),
    ) -> None:
        """With `beside`, a node of the same cluster, which must be up."""
        self._directory = directory
        self.port, self._epmd_port, self._node_port = free_ports(3)
        self.node = f"orders-{self.port}@localhost"
        self._beside = beside
        self.uri = f"amqp://guest:guest@127.0.0.1:{self.port}/"
        self.configuration: list[str] = []
        """Further lines of rabbitmq.conf."""
        self._largest_message = largest_message
        self._server: subprocess.Popen[bytes] | None = None
        self._mapper: subprocess.Popen[bytes]
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "plugins").write_text(f"[{','.join(plugins)}].\n")
        (directory / ".erlang.cookie").write_text("orders")
        (directory / ".erlang.cookie").chmod(0o400)
        self._configure()
        if beside is not None:
            self._epmd_port, self._mapper = beside._epmd_port, beside._mapper
            return
        # Erlang's port mapper, which the node would else start by itself and leave behind.
        self._mapper = spawn(
            ["epmd", "-port", str(self._epmd_port), "-address", "127.0.0.1"],
            {**os.environ, "ERL_EPMD_ADDRESS": "127.0.0.1"},
            directory / "epmd.log",
        )

    def start(self) -> None:
        """Start the node; returns once it takes connections."""
        self.start_only()
        wait_until(self.answers, self._started, self._directory)

    def start_only(self) -> None:
        """Start the node; `answers` says when it takes connections."""
        self._configure()
        self._server = spawn(self.command, self.environ(), self._directory / "server.log")

    def take_messages_of(self, size: int) -> None:
        """Start the node again with another limit, in bytes."""
        self.kill()
        self._largest_message = size
        self.start()

    def _configure(self) -> None:
        lines = [
            f"listeners.tcp.1 = 127.0.0.1:{self.port}",
            f"max_message_size = {self._largest_message}",
            "disk_free_limit.absolute = 10MB",
            *self._joining(),
            *self.configuration,
        ]
        (self._directory / "rabbitmq.conf").write_text("\n".join([*lines, ""]))

    def _joining(self) -> Sequence[str]:
        if self._beside is None:
            return []
        key = "cluster_formation.classic_config.nodes"
        return [f"{key}.1 = {self._beside.node}", f"{key}.2 = {self.node}"]

    def evaluate(self, expression: str) -> str:
        """Let the node evaluate Erlang: what an administrator does, without a plugin."""
        command = [str(_BINARIES / "rabbitmqctl"), "eval", expression]
        return subprocess.run(
            command, env=self.environ(), check=True, capture_output=True, text=True
        ).stdout

    def kill(self) -> None:
        """End the node at once, as a power cut would. Only `start` brings it back."""
        if self._server is not None:
            _kill(self._server)

    def freeze(self) -> None:
        """Stop answering, with all connections left open, until `thaw`."""
        freeze_group(self._started.pid)

    def thaw(self) -> None:
        os.killpg(self._started.pid, signal.SIGCONT)

    def close(self) -> None:
        self.kill()
        _kill(self._mapper)

    @property
    def _started(self) -> subprocess.Popen[bytes]:
        assert self._server is not None
        return self._server

    @property
    def command(self) -> Sequence[str]:
        """What `start` runs, with `environ`."""
        return [str(_BINARIES / "rabbitmq-server")]

    def answers(self) -> bool:
        """Whether the node takes connections."""
        return _speaks_amqp(self.port)

    def environ(self) -> Mapping[str, str]:
        """What tells the node who and where it is."""
        data = str(self._directory)
        return {
            "PATH": os.environ["PATH"],
            "HOME": data,
            "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_DIST_PORT": str(self._node_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_MNESIA_BASE": f"{data}/mnesia",
            "RABBITMQ_LOG_BASE": f"{data}/log",
            "RABBITMQ_PID_FILE": f"{data}/pid",
            "RABBITMQ_CONFIG_FILE": f"{data}/rabbitmq.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{data}/plugins",
            "RABBITMQ_SERVER_START_ARGS": "+S 1:1 +A 8",
        }


@contextlib.contextmanager
def rabbit_server(
    directory: Path, largest_message: int = LARGEST_MESSAGE
) -> Iterator[RabbitServer]:
    """A node that is up, until the block is left."""
    server = RabbitServer(directory, largest_message)
    try:
        server.start()
        yield server
    finally:
        server.close()


async def keep_all(uri: str) -> None:
    """Keep all that the exchange gets from now on, as a consumer of the AsyncAPI document does."""
    async with await aio_pika.connect(uri) as connection:
        channel = await connection.channel()
        exchange = await channel.declare_exchange(EXCHANGE, ExchangeType.TOPIC, durable=True)
        queue = await channel.declare_queue(_KEPT, durable=True)
        await queue.bind(exchange, "#")


async def messages(uri: str) -> list[AbstractIncomingMessage]:
    """What has come since `keep_all` or the last call; it is taken out."""
    found = []
    async with await aio_pika.connect(uri) as connection:
        queue = await (await connection.channel()).declare_queue(_KEPT, passive=True)
        while message := await queue.get(no_ack=True, fail=False):
            found.append(message)
    return found


class KafkaMock:
    """A mock cluster in a process of its own. It forgets all when it ends, so it only freezes."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _KAFKA_MOCK],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=partial(end_with, os.getpid()),  # noqa: PLW1509 - one system call
        )
        assert self._process.stdout is not None
        self.bootstrap = self._process.stdout.readline().strip()

    def lose(self) -> None:
        freeze_group(self._process.pid)

    def restore(self) -> None:
        os.killpg(self._process.pid, signal.SIGCONT)

    def close(self) -> None:
        _kill(self._process)
        self._process.communicate()


class KafkaServer:
    """One Apache Kafka node (KRaft). It keeps its data and its port when it is killed."""

    def __init__(self, directory: Path, jars: Path, *properties: str) -> None:
        self._directory = directory
        self._java = ["java", "-Xmx384m", "-cp", f"{jars}/*"]
        self._port, controller = free_ports(2)
        self.bootstrap = f"127.0.0.1:{self._port}"
        self._server: subprocess.Popen[bytes] | None = None
        self._properties = directory / "server.properties"
        self._properties.write_text(
            "process.roles=broker,controller\nnode.id=1\n"
            f"listeners=PLAINTEXT://{self.bootstrap},CONTROLLER://127.0.0.1:{controller}\n"
            f"controller.quorum.voters=1@127.0.0.1:{controller}\n"
            "controller.listener.names=CONTROLLER\n"
            f"log.dirs={directory / 'data'}\n"
            "num.partitions=3\noffsets.topic.replication.factor=1\n"
            f"message.max.bytes={LARGEST_MESSAGE}\n" + "\n".join(properties)
        )
        self._run("kafka.tools.StorageTool", "format", "-t", "b3JkZXJzLXRlc3RzLW9ubA", "-c")

    def restore(self) -> None:
        """Start the node; returns once it takes connections."""
        command = [*self._java, "kafka.Kafka", str(self._properties)]
        self._server = spawn(command, os.environ, self._directory / "server.log")
        wait_until(partial(listens, self._port), self._server, self._directory)

    def lose(self) -> None:
        """End the node at once, as a power cut would. Only `restore` brings it back."""
        if self._server is not None:
            _kill(self._server)

    def close(self) -> None:
        self.lose()

    def _run(self, *command: str) -> None:
        done = [*self._java, *command, str(self._properties)]
        subprocess.run(done, check=True, capture_output=True, cwd=self._directory)


def kafka_jars() -> Path | None:
    """Where Apache Kafka is, if it is here."""
    where = os.environ.get("ORDERS_TEST_KAFKA")
    return Path(where) if where and shutil.which("java") else None


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def _speaks_amqp(port: int) -> bool:
    """Whether a broker greets us: it does so only when it is all there."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as wire:
        wire.sendall(b"AMQP\x00\x00\x09\x01")
        return len(wire.recv(8)) == 8
    return False


def wait_until(up: Callable[[], bool], process: subprocess.Popen[bytes], logs: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not up():
        assert process.poll() is None, f"the broker ended; see {logs}"
        assert time.monotonic() < deadline, f"the broker does not come up; see {logs}"
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05)


def spawn(command: Sequence[str], environ: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=partial(end_with, os.getpid()),  # noqa: PLW1509 - one system call
        )


def _kill(process: subprocess.Popen[Any]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
