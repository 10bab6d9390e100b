"""HTTP proxies of outgoing requests, by the variables that every other program reads, too."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from orders.entrypoints.settings import addresses
from orders.entrypoints.settings.kinds import Unusable, list_of, setting

_PORTS: Final = {"http": 80, "https": 443}
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def as_proxy(text: str) -> str:
    """Accept the URL of an HTTP proxy; `proxy:3128` stands for `http://proxy:3128`."""
    whole = text if "://" in text else f"http://{text}"
    if not whole.startswith("http://"):
        raise Unusable("only a proxy that speaks HTTP is supported: http://")
    addresses.as_http(whole)
    if urlsplit(whole).path.strip("/"):
        raise Unusable("a proxy has no path")
    return whole


def as_exception(text: str) -> str:
    """Accept an entry of `NO_PROXY`. One that names no host is no error: it matches nothing."""
    if not text.isprintable():
        raise ValueError
    return text.lower()


@dataclass(frozen=True, kw_only=True)
class ProxySettings:
    """Which requests go through a proxy. No repr shows one: it may have a password."""

    https_proxy: str | None = setting(
        "proxy for requests to https:// URLs, by CONNECT: payment service, JWKS, price list, "
        "collector and token endpoint. Databases and brokers are never reached through a proxy",
        "a URL that starts with http://",
        as_proxy,
        default=None,
        shown=False,
        variable="HTTPS_PROXY",
    )
    http_proxy: str | None = setting(
        "proxy for requests to http:// URLs",
        "a URL that starts with http://",
        as_proxy,
        default=None,
        shown=False,
        variable="HTTP_PROXY",
    )
    no_proxy: tuple[str, ...] = list_of(
        "hosts that are reached without a proxy; this machine always is",
        "a name (with all names below it), an address, a network such as 10.0.0.0/8, or *",
        as_exception,
        default=(),
        variable="NO_PROXY",
    )

    def proxy_for(self, url: str) -> str | None:
        """Return the proxy for requests to this URL; None means that there is none."""
        parts = urlsplit(url)
        proxy = self.https_proxy if parts.scheme == "https" else self.http_proxy
        host = (parts.hostname or "").rstrip(".")
        port = parts.port or _PORTS[parts.scheme]
        return None if is_direct(host, port, self.no_proxy) else proxy


def is_direct(host: str, port: int, exceptions: Iterable[str]) -> bool:
    """Whether a host is this machine, or one of the exceptions of `NO_PROXY`."""
    address = _address(host)
    if host == "localhost" or host.endswith(".localhost") or (address and address.is_loopback):
        return True
    return any(_matches(host, port, address, each) for each in exceptions)


def _matches(host: str, port: int, address: _Address | None, exception: str) -> bool:
    named = re.fullmatch(r"\[?([^\[\]]+?)\]?(?::([0-9]{1,5}))?", exception)
    if exception.count(":") > 1 and "[" not in exception:  # an IPv6 address or network
        named = re.fullmatch(r"(.+)()", exception)
    if named is None or (named[2] and int(named[2]) != port):
        return False
    if address is not None:
        return named[1] == "*" or _is_in(address, named[1])
    name = named[1].removeprefix("*").strip(".")
    return not name or host == name or host.endswith(f".{name}")


def _address(host: str) -> _Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_in(address: _Address, network: str) -> bool:
    try:
        return address in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
