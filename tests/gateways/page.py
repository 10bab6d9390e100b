"""The configurations of `docs/gateways.md`: each fenced block begins with the name of its file."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).parents[2] / "docs" / "gateways.md"
_BLOCK: Final = re.compile(r"^```\w+\n# ([^\n]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK: Final = re.compile(r"^( *)# compression\n", re.MULTILINE)


def blocks() -> dict[str, str]:
    """What each block holds, by its name; a name has one block."""
    found = _BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    named = dict(found)
    assert len(named) == len(found), "two blocks have one name"
    return named


def configuration(file: str, *, compresses: bool) -> str:
    """A file as the page has it; with the page's compression where the page says so."""
    named = blocks()
    if not compresses or f"compression: {file}" not in named:
        return named[file]
    lines = named[f"compression: {file}"]
    return _MARK.sub(lambda found: textwrap.indent(lines, found[1]), named[file])


def placed(text: str, *, port: int, replicas: Sequence[int]) -> str:
    """The same for a gateway at a port of the loopback, and replicas at others."""
    for number, replica in enumerate(replicas, start=1):
        own = f"10.0.0.2{number}"
        text = text.replace(f"{own}:8000", f"127.0.0.1:{replica}")
        text = text.replace(
            f"address: {own}, port_value: 8000", f"address: 127.0.0.1, port_value: {replica}"
        )
    text = text.replace("10.0.0.10", "127.0.0.1").replace("8080", str(port))
    assert "10.0.0." not in text
    return text


STOCK: Final[Mapping[str, str]] = {
    "orders.conf": """\
server {
    listen 10.0.0.10:8080;
    location / { proxy_pass http://10.0.0.21:8000; }
}
""",
    "haproxy.cfg": """\
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
listen public
    bind 10.0.0.10:8080
    server orders 10.0.0.21:8000
""",
    "Caddyfile": """\
:8080 {
    bind 10.0.0.10
    reverse_proxy 10.0.0.21:8000
}
""",
    "traefik.yaml": """\
entryPoints: {public: {address: 10.0.0.10:8080}}
providers: {file: {filename: orders.yaml}}
""",
    "orders.yaml": """\
http:
  routers: {orders: {rule: PathPrefix(`/`), service: orders}}
  services: {orders: {loadBalancer: {servers: [{url: http://10.0.0.21:8000}]}}}
""",
    "envoy.yaml": """\
static_resources:
  listeners:
    - address: {socket_address: {address: 10.0.0.10, port_value: 8080}}
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": FILTERS.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: orders
                route_config:
                  virtual_hosts:
                    - name: orders
                      domains: ["*"]
                      routes: [{match: {prefix: /}, route: {cluster: orders}}]
                http_filters:
                  - name: envoy.filters.http.router
                    typed_config:
                      "@type": FILTERS.http.router.v3.Router
  clusters:
    - name: orders
      type: STATIC
      load_assignment:
        cluster_name: orders
        endpoints:
          - lb_endpoints:
              - endpoint: {address: {socket_address: {address: 10.0.0.21, port_value: 8000}}}
""".replace("FILTERS", "type.googleapis.com/envoy.extensions.filters"),
}
"""The same files with nothing but addresses: how each gateway behaves as it comes."""
