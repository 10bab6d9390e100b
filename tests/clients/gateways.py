"""Gateways as they come: nothing is said to them but where to listen and where to pass on to."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from orders.entrypoints.sandbox.stack import accepts
from orders.entrypoints.server.child_processes import free_ports
from tests.operating.deployment.chart import tool
from tests.support.processes.cluster import Process
from tests.support.processes.gateway import nginx

_NGINX: Final = """\
access_log off;
server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass {url}; }}
}}
"""
_CADDY: Final = """\
{{
    admin off
    auto_https off
    persist_config off
    storage file_system {folder}
}}
http://127.0.0.1:{port} {{
    bind 127.0.0.1
    reverse_proxy {upstream}
}}
"""


@contextmanager
def gateway(kind: str, folder: Path, url: str) -> Iterator[str]:
    """The address of a gateway before the service at `url`, up until the block is left."""
    (port,) = free_ports(1)
    process = GATEWAYS[kind](folder, url, port)
    process.start()
    try:
        process.wait_until_up()
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()


def _nginx(folder: Path, url: str, port: int) -> Process:
    return nginx(folder, _NGINX.format(port=port, url=url), port)


def _caddy(folder: Path, url: str, port: int) -> Process:
    caddyfile = folder / "Caddyfile"
    upstream = urlsplit(url).netloc
    caddyfile.write_text(_CADDY.format(port=port, folder=folder, upstream=upstream))
    return Process(
        "gateway",
        [tool("caddy"), "run", "--adapter", "caddyfile", "--config", str(caddyfile)],
        environ=os.environ,
        log=folder / "caddy.log",
        answers=partial(accepts, port),
    )


GATEWAYS: Final[Mapping[str, Callable[[Path, str, int], Process]]] = {
    "nginx": _nginx,
    "caddy": _caddy,
}
