"""The nodes of a RabbitMQ cluster, as a URI names them."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

import aio_pika
from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import (
    CONNECTION_EXCEPTIONS,
    AuthenticationError,
    InvalidFrameError,
    ProbableAuthenticationError,
)
from aiormq.exceptions import (
    AMQPConnectionError,
    ChannelAccessRefused,
    ChannelInvalidStateError,
    ConnectionNotAllowed,
)

from orders.adapters.connection_failures import CLOSED, reason_of

CONNECT_SECONDS: Final = 3.0
_HEARTBEAT_SECONDS: Final = "20"
_TLS_OPTIONS: Final = frozenset(
    {"cafile", "capath", "cadata", "certfile", "keyfile", "no_verify_ssl"}
)
_NO_VHOST: Final = "there is no such virtual host, it is full, or the user may not use it"
_REASONS: Final[Sequence[tuple[type[Exception], str]]] = (
    (AuthenticationError, "it refuses the user name or the password"),
    (ProbableAuthenticationError, "it refuses the user name or the password"),
    (ConnectionNotAllowed, _NO_VHOST),
    (InvalidFrameError, _NO_VHOST),  # what aiormq says if the virtual host is not opened
    (ChannelAccessRefused, "the user has no permission for the exchange"),
)
_CLOSED: Final = (AMQPConnectionError, ChannelInvalidStateError)


class RabbitUnavailable(Exception):
    """No node takes connections. The message says why, without an address or a secret."""


def why_not(error: BaseException) -> str:
    """Say in a few words why a connection or a call failed."""
    if isinstance(error, RabbitUnavailable):
        return str(error)
    known = (reason for kind, reason in _REASONS if isinstance(error, kind))
    otherwise = CLOSED if isinstance(error, _CLOSED) else None
    return next(known, None) or reason_of(error, otherwise=otherwise)


class RabbitServers:
    """One or more nodes: `amqp[s]://[user:password@]host[:port][,host[:port]…][/vhost][?options]`.

    All have the same users and virtual hosts, as the nodes of a cluster do.
    """

    def __init__(
        self,
        uri: str,
        *,
        tls: ssl.SSLContext | None = None,
        connect_seconds: float = CONNECT_SECONDS,
    ) -> None:
        """Take a URI. `tls` holds for `amqps` unless the URI has options of TLS.

        `connect_seconds` bounds a try of one node.
        """
        self._urls = [_with_heartbeat(each) for each in urls_of(uri)]
        has_own = _TLS_OPTIONS & set(aio_pika.connection.make_url(self._urls[0]).query)
        self._tls = None if has_own else tls
        self._connect_seconds = connect_seconds

    async def connect(self) -> AbstractConnection:
        """Connect to the first node that lets us. That one is tried first the next time.

        Raises:
            RabbitUnavailable: If there is none. It holds the reasons of all nodes.
        """
        reasons: dict[str, None] = {}
        for url in [*self._urls]:
            try:
                async with asyncio.timeout(self._connect_seconds):
                    connection = await aio_pika.connect(url, ssl_context=self._tls)
            except CONNECTION_EXCEPTIONS as error:
                reasons[why_not(error)] = None
            else:
                self._urls.sort(key=url.__ne__)
                return connection
        raise RabbitUnavailable(", ".join(reasons))


def urls_of(uri: str) -> Sequence[str]:
    """Return a URI for each host of one that names several."""
    parts = urlsplit(uri)
    credentials, at, hosts = parts.netloc.rpartition("@")
    return [parts._replace(netloc=f"{credentials}{at}{host}").geturl() for host in hosts.split(",")]


def _with_heartbeat(url: str) -> str:
    asked = aio_pika.connection.make_url(url)
    return str(
        asked if "heartbeat" in asked.query else asked.update_query(heartbeat=_HEARTBEAT_SECONDS)
    )
