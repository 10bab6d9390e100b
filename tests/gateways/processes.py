"""Real gateways on the loopback, as they come or as `docs/gateways.md` has them."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Final

from orders.entrypoints.sandbox.stack import is_ready
from orders.entrypoints.server.child_processes import free_ports
from tests.gateways.page import STOCK, configuration, placed
from tests.operating.deployment.chart import tool
from tests.support.processes.cluster import Process
from tests.support.processes.gateway import debian_nginx, newest_nginx, nginx
from tests.support.processes.haproxy import haproxy_program

MODES: Final = ("stock", "documented", "compressing")


@dataclass(frozen=True, slots=True)
class Kind:
    """One make of gateway: its files, how it is started in their folder, how it tells its version.

    `command` skips the test, with the reason, if the program is not here.
    """

    files: Sequence[str]
    command: Callable[[Path], Sequence[str]]
    version: Sequence[str]

    def version_here(self, folder: Path) -> str:
        """The version of the program."""
        program = self.command(folder)[0]
        done = subprocess.run(
            [program, *self.version], capture_output=True, text=True, check=True, timeout=30
        )
        (number, *_) = re.findall(r"\d+\.\d+\.\d+", done.stdout + done.stderr)
        return str(number)


def _haproxy(folder: Path) -> list[str]:
    return [haproxy_program(), "-db", "-f", str(folder / "haproxy.cfg")]


def _caddy(folder: Path) -> list[str]:
    return [tool("caddy"), "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


def _traefik(folder: Path) -> list[str]:
    return [tool("traefik"), f"--configFile={folder / 'traefik.yaml'}"]


def _envoy(folder: Path) -> list[str]:
    own = ["--use-dynamic-base-id", "--concurrency", "1", "--log-level", "warning"]
    return [tool("envoy"), "-c", str(folder / "envoy.yaml"), *own]


GATEWAYS: Final[Mapping[str, Kind]] = {
    "nginx": Kind(["orders.conf"], lambda _: [debian_nginx()], ["-v"]),
    "newer nginx": Kind(["orders.conf"], lambda _: [newest_nginx()], ["-v"]),
    "haproxy": Kind(["haproxy.cfg"], _haproxy, ["-v"]),
    "caddy": Kind(["Caddyfile"], _caddy, ["version"]),
    "traefik": Kind(["traefik.yaml", "orders.yaml"], _traefik, ["version"]),
    "envoy": Kind(["envoy.yaml"], _envoy, ["--version"]),
}


@contextmanager
def gateway(
    kind: str,
    folder: Path,
    *urls: str,
    mode: str = "stock",
    changed: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[str]:
    """The address of a gateway before replicas at `urls`, up until the block is left.

    Words of its configuration are `changed` to others.
    """
    port, admin = free_ports(2)
    replicas = [int(url.rpartition(":")[2]) for url in urls]
    texts = {
        file: placed(
            STOCK[file] if mode == "stock" else configuration(file, compresses=mode == MODES[2]),
            port=port,
            replicas=[*replicas, *replicas][:2],
        )
        for file in GATEWAYS[kind].files
    }
    for old, new in changed.items():
        assert any(old in text for text in texts.values()), old
        texts = {file: text.replace(old, new) for file, text in texts.items()}
    process = _process(kind, folder, texts, port, admin)
    process.start()
    try:
        process.wait_until_up()
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()


def _process(kind: str, folder: Path, texts: Mapping[str, str], port: int, admin: int) -> Process:
    if "nginx" in kind:
        (text,) = texts.values()
        (program,) = GATEWAYS[kind].command(folder)
        return nginx(folder, f"access_log off;\n{text}", port, program)
    for file, text in texts.items():
        # A file that another names is found in any working directory.
        (folder / file).write_text(text.replace("filename: ", f"filename: {folder}/"))
    own = {"CADDY_ADMIN": f"127.0.0.1:{admin}", "XDG_DATA_HOME": folder, "XDG_CONFIG_HOME": folder}
    return Process(
        kind,
        GATEWAYS[kind].command(folder),
        environ=os.environ | {name: str(value) for name, value in own.items()},
        log=folder / f"{kind}.log",
        answers=partial(is_ready, port),
    )
