"""The address of a client: for rate limits and logs only, never for authorization."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from litestar.types import Scope

UNKNOWN: Final = "unknown"
"""The address of a peer that has none, such as a local socket."""

_FOR: Final = re.compile(r'(?:^|;)\s*for="?([^";]*)', re.IGNORECASE)


class ClientAddresses:
    """Finds the address of a client, and believes only the headers that a trusted proxy added.

    `trusted_proxies` are networks such as `10.0.0.0/8`; without any, the peer is the client.
    """

    def __init__(self, trusted_proxies: Collection[str] = ()) -> None:
        networks = [ip_network(network) for network in trusted_proxies]

        @lru_cache(maxsize=1_024)
        def is_trusted(address: str) -> bool:
            parsed = _parsed(address)
            return parsed is not None and any(parsed in network for network in networks)

        self._is_trusted = is_trusted
        self._has_proxies = bool(networks)

    def client_of(self, scope: Scope) -> str:
        """Return the rightmost address that is no trusted proxy, or the leftmost if all are."""
        peer = scope.get("client")
        address = peer[0] if peer else UNKNOWN
        if not self._has_proxies or not self._is_trusted(address):
            return address
        for hop in reversed(_forwarded(scope["headers"])):
            parsed = _parsed(hop)
            if parsed is None:
                break
            address = str(parsed)
            if not self._is_trusted(address):
                break
        return address


def network_of(address: str) -> str:
    """Return the network that one client usually has: an IPv4 address, or the /64 of IPv6."""
    parsed = _parsed(address)
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, 64), strict=False))
    return address


def _forwarded(headers: Iterable[tuple[bytes, bytes]]) -> list[str]:
    """Return the hops that the proxies added, the nearest last."""
    forwarded: dict[bytes, list[str]] = {b"x-forwarded-for": [], b"forwarded": []}
    for name, value in headers:
        if name in forwarded:
            forwarded[name].append(value.decode("latin-1"))
    if forwarded[b"x-forwarded-for"]:
        return ",".join(forwarded[b"x-forwarded-for"]).split(",")
    hops = ",".join(forwarded[b"forwarded"]).split(",")
    # A hop that hides its address ends the chain: nobody vouches for those to the left of it.
    return [found[1] if (found := _FOR.search(hop)) else "" for hop in hops]


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    """Parse an address that may have a port: `192.0.2.1:80`, `[2001:db8::1]:80`."""
    bare = address.strip()
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        parsed = ip_address(bare)
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed
