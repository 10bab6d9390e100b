"""Redis servers of our own: child processes on free ports that keep nothing."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep

import pytest

from orders.entrypoints.server.child_processes import free_ports
from tests.support.certificates import Certificates
from tests.support.processes.freezing import freeze

_PATIENCE_SECONDS = 60


class RedisProcess:
    """It can be killed, and started again at the same address."""

    def __init__(
        self, folder: Path, *options: str, tls: Certificates | None = None, password: str = ""
    ) -> None:
        """Take further options, as in redis.conf, such as `--replicaof host port`."""
        self.folder = folder
        self.password = password
        if password:
            options += ("--requirepass", password, "--masterauth", password)
        (self.port,) = free_ports(1)
        self._process: subprocess.Popen[bytes] | None = None
        self._options = options
        self._tls = tls
        self.uri = f"redis{'s' if tls else ''}://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, and return when it answers."""
        binary = shutil.which("redis-server")
        if binary is None:
            pytest.skip("redis-server is not installed: apt-get install redis-server")
        self.folder.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            [binary, *self._command()], cwd=self.folder, stdout=subprocess.DEVNULL
        )
        deadline = monotonic() + _PATIENCE_SECONDS
        while not self._answers():
            assert monotonic() < deadline, "redis-server does not answer"
            sleep(0.01)  # a port gives no event to wait for

    def command(self, *words: str) -> list[bytes]:
        """Send one command, without TLS; returns what the answer consists of.

        Nothing if a sentinel, which gives the server another role, ends the connection meanwhile.
        """
        address = ("127.0.0.1", self.port)
        with suppress(ConnectionError), socket.create_connection(address, 5) as wire:
            if self.password:
                wire.sendall(_encoded("AUTH", self.password))
                wire.recv(100)
            wire.sendall(_encoded(*words))
            lines = wire.recv(65_536).split(b"\r\n")
            return [each for each in lines if each and each[:1] not in b"*$"]
        return []

    def freeze(self) -> None:
        """Stop answering, with all connections left open, until `thaw`."""
        assert self._process is not None
        freeze(self._process.pid)

    def thaw(self) -> None:
        """Go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once. Killing it twice does nothing."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _command(self) -> list[str]:
        ports = ["--port", str(self.port)]
        if self._tls is not None:
            ports = ["--port", "0", "--tls-port", str(self.port)]
            ports += ["--tls-ca-cert-file", str(self._tls.authority)]
            ports += ["--tls-cert-file", str(self._tls.certificate)]
            ports += ["--tls-key-file", str(self._tls.key)]
        keeps_nothing = ["--save", "", "--appendonly", "no", "--dir", str(self.folder)]
        return ["--bind", "127.0.0.1", *ports, *keeps_nothing, *self._options]

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as wire:
            if self._tls is not None:
                return True
            wire.sendall(b"PING\r\n")
            return wire.recv(7) in {b"+PONG\r\n", b"-NOAUTH"}
        return False


class SentinelProcess(RedisProcess):
    """A sentinel. It keeps what it learns in its own file, which it must be able to write."""

    def __init__(self, folder: Path, configuration: str) -> None:
        super().__init__(folder)
        self._configuration = configuration

    def _command(self) -> list[str]:
        file = self.folder / "sentinel.conf"
        if not file.exists():
            own = f"port {self.port}\nbind 127.0.0.1\ndir {self.folder}\n"
            file.write_text(own + self._configuration)
        return [str(file), "--sentinel"]


@contextmanager
def redis_process(
    folder: Path, *options: str, tls: Certificates | None = None
) -> Iterator[RedisProcess]:
    """A running Redis, or the test is skipped with the reason."""
    redis = RedisProcess(folder, *options, tls=tls)
    try:
        redis.start()
        yield redis
    finally:
        redis.kill()


class Guarded:
    """A primary, a replica, and three sentinels that know them as `rates`, all with passwords."""

    def __init__(self, folder: Path) -> None:
        self.password, self.sentinel_password = "p@ss/wörd", "s%ntinel"
        self.primary = RedisProcess(folder / "primary", password=self.password)
        address = f"127.0.0.1 {self.primary.port}"
        follows = ["--replicaof", *address.split()]
        self.replica = RedisProcess(folder / "replica", *follows, password=self.password)
        configuration = (
            f"requirepass {self.sentinel_password}\n"
            f"sentinel sentinel-pass {self.sentinel_password}\n"
            f"sentinel monitor rates {address} 2\n"
            f"sentinel auth-pass rates {self.password}\n"
            "sentinel down-after-milliseconds rates 1000\nsentinel failover-timeout rates 3000\n"
        )
        self.sentinels = [SentinelProcess(folder / str(n), configuration) for n in range(3)]

    @property
    def servers(self) -> list[RedisProcess]:
        """All of them, in the order in which they start."""
        return [self.primary, self.replica, *self.sentinels]


@contextmanager
def guarded_redis(folder: Path) -> Iterator[Guarded]:
    """A primary that is replaced within seconds if it is lost."""
    guarded = Guarded(folder)
    with ExitStack() as stack:
        for each in guarded.servers:
            stack.callback(each.kill)
            each.start()
        yield guarded


@contextmanager
def redis_cluster(folder: Path) -> Iterator[list[RedisProcess]]:
    """Three primaries that share the keys. Each knows the others by address only."""
    options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port"]
    buses = [str(port) for port in free_ports(3)]
    nodes = [RedisProcess(folder / bus, *options, bus) for bus in buses]
    with ExitStack() as stack:
        for each in nodes:
            stack.callback(each.kill)
            each.start()
        for n, each in enumerate(nodes):
            first, last = 16_384 * n // 3, 16_384 * (n + 1) // 3 - 1
            assert each.command("CLUSTER", "ADDSLOTSRANGE", str(first), str(last)) == [b"+OK"]
            assert each.command("CLUSTER", "SET-CONFIG-EPOCH", str(n + 1)) == [b"+OK"]
            each.command("CLUSTER", "MEET", "127.0.0.1", str(nodes[0].port), buses[0])
        deadline = monotonic() + _PATIENCE_SECONDS
        while not all(b"cluster_state:ok" in each.command("CLUSTER", "INFO") for each in nodes):
            assert monotonic() < deadline, "the cluster does not come up"
            sleep(0.05)
        yield nodes


def _encoded(*words: str) -> bytes:
    parts = [b"$%d\r\n%s\r\n" % (len(each), each) for each in map(str.encode, words)]
    return b"*%d\r\n%s" % (len(words), b"".join(parts))
