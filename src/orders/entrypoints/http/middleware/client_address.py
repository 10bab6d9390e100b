"""The address of a client: for rate limits and logs only, never for authorization."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from litestar.types import Scope

UNKNOWN: Final = "unknown"
"""The address of a peer that has none, such as a local socket."""
X_FORWARDED_FOR: Final = "X-Forwarded-For"
FORWARDED: Final = "Forwarded"
X_REAL_IP: Final = "X-Real-IP"

_MAX_HOPS: Final = 32
# A pair of a hop (RFC 7239, 4), and what follows it: the next pair, or the next hop.
_PAIR: Final = re.compile(
    r"""[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)=(?:([^\s",;]+)|"((?:[^"\\]|\\.)*)")[ \t]*(?:;|(,)|$)"""
)
# An address that may have a port: 192.0.2.1:80, [2001:db8::1]:80.
_ADDRESS: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::[0-9]{1,5})?|([0-9A-Fa-f:.]+)")
_LONGEST_ADDRESS: Final = 53


class ClientAddresses:
    """Finds the address of a client, and believes only what a trusted proxy wrote.

    `trusted_proxies` are networks such as `10.0.0.0/8`; without any, the peer is the client.
    `header` is the one that these proxies write: `X-Forwarded-For` and `Forwarded` list the hops,
    `X-Real-IP` holds one address. The others are not read: proxies pass on what clients send there.
    """

    def __init__(
        self, trusted_proxies: Collection[str] = (), header: str = X_FORWARDED_FOR
    ) -> None:
        networks = [ip_network(network) for network in trusted_proxies]

        @lru_cache(maxsize=1_024)
        def read(address: str) -> tuple[str, bool] | None:
            """An address, and whether it is a trusted proxy's; None if it is none."""
            if (parsed := _parsed(address)) is None:
                return None
            return str(parsed), any(parsed in network for network in networks)

        self._read = read
        self._header = header
        self._raw_header = header.lower().encode()

    def client_of(self, scope: Scope) -> str:
        """Return the nearest address that is no trusted proxy, or the farthest if all are.

        A hop that is no address ends the search: nobody vouches for those before it.
        """
        peer = scope.get("client")
        found = self._read(peer[0]) if peer else None
        if found is None:
            return peer[0] if peer else UNKNOWN
        address, is_trusted = found
        if is_trusted:
            for hop in self._hops(scope["headers"]):
                # What is longer than an address is none, and is not kept in full.
                if (found := self._read(hop.strip(" \t")[: _LONGEST_ADDRESS + 1])) is None:
                    break
                address, is_trusted = found
                if not is_trusted:
                    break
        return address

    def _hops(self, headers: Iterable[tuple[bytes, bytes]]) -> Iterator[str]:
        """Return the hops that the proxies wrote, the nearest first."""
        lines = [value for name, value in headers if name == self._raw_header]
        text = b",".join(lines).decode("latin-1")
        if self._header == X_REAL_IP:
            return iter((text,))  # two addresses are none
        hops = reversed(text.rsplit(",", _MAX_HOPS))
        if self._header == FORWARDED:
            return iter(_forwarded(text)[: -_MAX_HOPS - 1 : -1])
        return hops


def network_of(address: str) -> str:
    """Return the network that one client usually has: an IPv4 address, or the /64 of IPv6."""
    parsed = _parsed(address)
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, 64), strict=False))
    return address


def _forwarded(text: str) -> list[str]:
    """Return the `for` of each hop, the nearest last; "" for one that has none or is unreadable.

    Clients may choose what a quoted value holds, such as a host with `;for=` in it.
    """
    hops: list[str] = []
    at, name = 0, ""
    while at < len(text):
        pair = _PAIR.match(text, at)
        if pair is None:
            at = text.find(",", at) + 1 or len(text)
            hops.append("")
            name = ""
            continue
        if pair[1].lower() == "for":
            name = pair[2] or pair[3] or ""
        at = pair.end()
        if pair[4] or at == len(text):
            hops.append(name)
            name = ""
    return hops


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    """Parse an address that may have a port; an IPv4 address in IPv6 form is the IPv4 address."""
    found = _ADDRESS.fullmatch(address) if len(address) <= _LONGEST_ADDRESS else None
    try:
        parsed = ip_address(found[1] or found[2] or found[3]) if found else None
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed
