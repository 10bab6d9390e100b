"""Find the Redis server that takes writes, and connect to it."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from redis.asyncio import Redis
from redis.asyncio.connection import SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AskError,
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.maint_notifications import MaintNotificationsConfig

from orders.adapters.connection_failures import CLOSED, reason_of

CONNECTIONS: Final = 4
"""How many calls may be on their way at once: each has a connection."""
CONNECT_SECONDS: Final = 1.0
_PORT: Final = 6_379
_SENTINEL_PORT: Final = 26_379
_MOST_MOVES: Final = 3
_REASONS: Final[Sequence[tuple[type[Exception], str]]] = (
    (AuthenticationError, "it refuses the user name or the password"),
    (NoPermissionError, "the user may not run the script, or not on these keys"),
    (ReadOnlyError, "it is a replica"),
    (OutOfMemoryError, "its memory is full"),
    (BusyLoadingError, "it is loading its data"),
    (ClusterDownError, "its cluster is down"),
    (MovedError, "its cluster has moved the keys"),
    (AskError, "its cluster is moving the keys"),
    (TryAgainError, "its cluster is moving the keys"),
)
Address = tuple[str, int]


class RedisUnavailable(Exception):
    """No server takes writes. The message says why, without an address or a secret."""


def why_not(error: Exception) -> str:
    """Say in a few words why a call or a connection failed."""
    known = (reason for kind, reason in _REASONS if isinstance(error, kind))
    otherwise = CLOSED if isinstance(error, RedisConnectionError) else None
    return next(known, None) or reason_of(error, otherwise=otherwise)


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisUri:
    """What a URI says. Neither form is checked further than to be read.

    `redis://[user:password@]host[:port][,host[:port]…][/db][?options]`: a server, or several, of
    which one takes writes; those of a Redis Cluster, too.
    `redis+sentinel://[user:password@]host[:port][,…]/primary[/db][?options]`: sentinels, and the
    name that they have for the primary. `sentinel_username` and `sentinel_password` are options.
    `rediss` and `rediss+sentinel` speak TLS.
    """

    addresses: tuple[Address, ...]
    primary: str | None
    """The name of the primary, if the addresses are those of sentinels."""
    template: str
    """The URI of a server, for redis-py, without its address."""
    sentinel_template: str

    @classmethod
    def parse(cls, uri: str) -> Self:
        """Read a URI.

        Raises:
            ValueError: If the name of the primary is missing.
        """
        parts = urlsplit(uri)
        scheme, _, kind = parts.scheme.partition("+")
        credentials, at, hosts = parts.netloc.rpartition("@")
        primary, path = None, parts.path
        if kind:
            _, primary, *rest = *map(unquote, path.split("/")), ""
            path = f"/{rest[0]}" if rest and rest[0] else ""
            if not primary:
                raise ValueError("the name of the primary is missing")
        options = parse_qs(parts.query, keep_blank_values=True)
        user, password = (options.pop(f"sentinel_{each}", [""])[0] for each in _CREDENTIALS)
        query = urlencode(options, doseq=True)
        names = f"{quote(user, safe='')}:{quote(password, safe='')}@" if password else ""
        port = _SENTINEL_PORT if kind else _PORT
        return cls(
            addresses=tuple(_address(host, port) for host in hosts.split(",")),
            primary=primary,
            template=f"{scheme}://{credentials}{at}host{path}?{query}",
            sentinel_template=f"{scheme}://{names}host?{query}",
        )


_CREDENTIALS: Final = ("username", "password")


def _address(text: str, port: int) -> Address:
    found = re.fullmatch(r"\[?([^\[\]]*?)\]?(?::([0-9]+))?", text)
    if found is None:
        raise ValueError("a host cannot be read")
    return unquote(found[1]), int(found[2] or port)


class _SharedTlsConnection(SSLConnection):
    """redis-py reads the files of certificates anew for each connection: 10 ms of CPU each."""

    def __init__(self, *, tls: ssl.SSLContext, **options: Any) -> None:
        super().__init__(**options)
        self.ssl_context.context = tls


class RedisServers:
    """The servers of a URI. `connect` finds the one that takes writes, each time anew.

    So a primary that has changed is found, however it did: its name leads elsewhere, sentinels
    have elected another, a cluster has moved the keys, or another of the addresses takes writes.
    """

    def __init__(
        self,
        uri: str,
        *,
        tls: ssl.SSLContext | None = None,
        connect_seconds: float = CONNECT_SECONDS,
    ) -> None:
        """Take a URI of one of the forms of `RedisUri`.

        `tls` holds for `rediss` unless the URI has `ssl_…` options. `connect_seconds` bounds a try
        of one server. Connects to nothing.
        """
        self._uri = RedisUri.parse(uri)
        self._connect_seconds = connect_seconds
        self._options: dict[str, Any] = {
            "retry": Retry(NoBackoff(), 0),
            "socket_timeout": None,
            "socket_connect_timeout": None,
            "maint_notifications_config": MaintNotificationsConfig(enabled=False),
        }
        self._tls: ssl.SSLContext | None = None
        if uri.startswith("rediss"):
            self._tls = _tls_of(self._uri.template) or tls or ssl.create_default_context()
        self._last: Address | None = None

    async def connect(self, accepts: Callable[[Redis], Awaitable[object]]) -> Redis:
        """Return a client with `CONNECTIONS` open connections to the first server that `accepts`.

        `accepts` raises what redis-py raises for a server that does not do what is needed. The
        caller closes the client.

        Raises:
            RedisUnavailable: If there is none. It holds the reasons of all servers.
        """
        reasons: dict[str, None] = {}
        try:
            addresses = await self._addresses()
        except (RedisError, OSError, ValueError) as error:
            raise RedisUnavailable(f"sentinels: {why_not(error)}") from error
        for address in addresses:
            try:
                return await self._connect(address, accepts, moves=_MOST_MOVES)
            # redis-py raises ValueError for a response that it cannot read.
            except (RedisError, OSError, ValueError) as error:
                reasons[why_not(error)] = None
        raise RedisUnavailable(", ".join(reasons) or "the sentinels know no such primary")

    async def _connect(
        self, address: Address, accepts: Callable[[Redis], Awaitable[object]], *, moves: int
    ) -> Redis:
        client = self._client(address, self._uri.template)
        try:
            async with asyncio.timeout(self._connect_seconds):
                await accepts(client)
                await asyncio.gather(*(accepts(client) for _ in range(CONNECTIONS)))
        except MovedError as moved:
            await close(client)
            if not moves:
                raise
            # A node that knows no name for another leaves it out: it has ours.
            return await self._connect(
                (moved.host or address[0], moved.port), accepts, moves=moves - 1
            )
        except BaseException:
            await close(client)
            raise
        self._last = address
        return client

    async def _addresses(self) -> Sequence[Address]:
        """Where to try, the likeliest first."""
        if self._uri.primary is None:
            known = self._uri.addresses
            return [*([self._last] if self._last else []), *(a for a in known if a != self._last)]
        asked = (self._primary_by(each) for each in self._uri.addresses)
        answers = await asyncio.gather(*asked, return_exceptions=True)
        named = Counter(each for each in answers if isinstance(each, tuple))
        failures = [each for each in answers if isinstance(each, Exception)]
        if failures and not named:
            raise failures[0]
        return [address for address, _ in named.most_common()]

    async def _primary_by(self, sentinel: Address) -> Address | None:
        client = self._client(sentinel, self._uri.sentinel_template)
        try:
            async with asyncio.timeout(self._connect_seconds):
                found = await client.sentinel_get_master_addr_by_name(self._uri.primary)
        finally:
            await close(client)
        return (_text(found[0]), int(found[1])) if isinstance(found, tuple) else None

    def _client(self, address: Address, template: str) -> Redis:
        client: Redis = Redis.from_url(template, **self._options)
        pool = client.connection_pool
        pool.connection_kwargs["host"], pool.connection_kwargs["port"] = address
        if self._tls is not None:
            pool.connection_class = _SharedTlsConnection
            pool.connection_kwargs["tls"] = self._tls
        return client


async def close(client: Redis) -> None:
    """Close all connections of a client. A server that hangs is not waited for."""
    pool = client.connection_pool
    for each in [*pool._available_connections, *pool._in_use_connections]:  # noqa: SLF001
        await each.disconnect(nowait=True)
    await client.aclose()


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _tls_of(template: str) -> ssl.SSLContext | None:
    """The TLS that the options of a URI ask for, if it has any."""
    if "ssl_" not in template.partition("?")[2]:
        return None
    pool = Redis.from_url(template).connection_pool
    connection: SSLConnection = pool.make_connection()  # type: ignore[no-untyped-call]
    return connection.ssl_context.get()
