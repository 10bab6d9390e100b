"""HAProxy in front of several replicas, as a load balancer stands there in production."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from orders.entrypoints.sandbox.stack import accepts
from orders.entrypoints.server.child_processes import end_with, free_ports
from tests.support.processes.service import eventually

# Requests that did not get through are sent elsewhere; a POST that may have got through is not.
_CONFIG = """\
global
    maxconn 4000
defaults
    mode http
    timeout connect 1s
    timeout client 60s
    timeout server 60s
    timeout check 10s
    option redispatch 1
    retries 3
    retry-on conn-failure empty-response
frontend public
    bind 127.0.0.1:{public}
    default_backend orders
backend orders
    balance roundrobin
    http-request disable-l7-retry if METH_POST
    option httpchk GET /readyz
    http-check expect status 200
    default-server check inter 200ms fall 1 rise 1 observe layer4 on-error mark-down
{servers}
frontend statistics
    bind 127.0.0.1:{statistics}
    stats enable
    stats uri /
"""


class HaProxy:
    """A balancer at `url` that sends requests to whoever says at /readyz that they may come."""

    def __init__(self, folder: Path, replicas: Mapping[str, str]) -> None:
        public, self._statistics = free_ports(2)
        self.port = public
        self.url = f"http://127.0.0.1:{public}"
        servers = "\n".join(
            f"    server {name} {urlsplit(url).netloc}" for name, url in replicas.items()
        )
        config = folder / "haproxy.cfg"
        config.write_text(
            _CONFIG.format(public=public, statistics=self._statistics, servers=servers)
        )
        with (folder / "haproxy.log").open("wb") as log:
            self._process = subprocess.Popen(
                [haproxy_program(), "-db", "-f", str(config)],
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=partial(end_with, os.getpid()),  # noqa: PLW1509 - one system call
            )

    def is_up(self, name: str) -> bool:
        """Whether it sends requests to a replica."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._statistics}/;csv") as answer:
            lines = answer.read().decode().splitlines()
        rows = (line.split(",") for line in lines)
        return any(row[:2] == ["orders", name] and row[17] == "UP" for row in rows)

    def wait_for(self, *names: str) -> None:
        """Return once it sends requests to all of them."""
        eventually(lambda: accepts(self._statistics))
        eventually(lambda: all(self.is_up(name) for name in names), 60)

    def close(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@contextmanager
def haproxy(folder: Path, replicas: Mapping[str, str]) -> Iterator[HaProxy]:
    """A balancer that knows all replicas, or the test is skipped with the reason."""
    balancer = HaProxy(folder, replicas)
    try:
        balancer.wait_for(*replicas)
        yield balancer
    finally:
        balancer.close()


def is_installed() -> bool:
    return shutil.which("haproxy", path=_PATH) is not None


_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"


def haproxy_program() -> str:
    """The program, or the test is skipped with the reason."""
    binary = shutil.which("haproxy", path=_PATH)
    if binary is None:
        pytest.skip("haproxy is not installed: run infra/setup/services.sh as root")
    return binary
