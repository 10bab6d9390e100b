"""How Kafka's brokers are spoken to: with TLS or without, and as whom."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote_plus

import aiohttp
import msgspec
from aiokafka.abc import AbstractTokenProvider  # type: ignore[import-untyped]
from aiokafka.conn import collect_hosts, create_conn  # type: ignore[import-untyped]
from aiokafka.errors import (  # type: ignore[import-untyped]
    ClusterAuthorizationFailedError,
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    RequestTimedOutError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    UnsupportedSaslMechanismError,
)

from orders.adapters.connection_failures import reason_of
from orders.adapters.http_client import DIRECT, HttpRoute, why

_TOKEN_SECONDS: Final = 5.0
_TOKEN_BYTES: Final = 65_536
_USED_SHARE: Final = 0.8
"""A token is used for this share of its life, so that a connection is not soon ended."""
_REASONS: Final[Sequence[tuple[type[Exception], str]]] = (
    (SaslAuthenticationFailed, "it refuses the user name, the password or the token"),
    (UnsupportedSaslMechanismError, "it does not offer this SASL mechanism"),
    (IllegalSaslStateError, "it expects no SASL there"),
    (TopicAuthorizationFailedError, "the user may not write to the topic"),
    (ClusterAuthorizationFailedError, "the user may not write with an idempotent producer"),
    (UnknownTopicOrPartitionError, "there is no such topic, or the user may not see it"),
    (KafkaTimeoutError, "it does not answer in time"),
    (RequestTimedOutError, "it does not answer in time"),
    (KafkaConnectionError, "it closed the connection"),
)


class TokenUnavailable(OSError):
    """The token endpoint gave no token. The message says why, without a secret."""


def why_not(error: BaseException) -> str:
    """Say in a few words why a connection or a call failed."""
    if isinstance(error, TokenUnavailable):
        return str(error)
    known = (reason for kind, reason in _REASONS if isinstance(error, kind))
    return next(known, None) or reason_of(error)


class _TokenResponse(msgspec.Struct):
    access_token: str
    expires_in: float = 300


class ClientCredentials(AbstractTokenProvider):  # type: ignore[misc]
    """Tokens of an OAuth 2.0 token endpoint, by the grant `client_credentials`.

    The client authenticates as RFC 6749, 2.3.1 says: HTTP Basic. A token is fetched when it is
    needed, and again after 80 % of its life.
    """

    def __init__(
        self,
        url: str,
        *,
        client_id: str,
        client_secret: str,
        parameters: Mapping[str, str] | None = None,
        extensions: Mapping[str, str] | None = None,
        route: HttpRoute = DIRECT,
    ) -> None:
        """Take the endpoint, further `parameters` of its form, and SASL `extensions`."""
        names = f"{quote_plus(client_id)}:{quote_plus(client_secret)}"
        self._url = url
        self._headers = {"Authorization": f"Basic {base64.b64encode(names.encode()).decode()}"}
        self._form = {"grant_type": "client_credentials", **(parameters or {})}
        self._extensions = dict(extensions or {})
        self._route = route
        self._one_fetch = asyncio.Lock()
        self._token = ""
        self._used_until = float("-inf")

    async def token(self) -> str:
        """Return a token that lives for a while.

        Raises:
            TokenUnavailable: If the endpoint gives none.
        """
        loop = asyncio.get_running_loop()
        async with self._one_fetch:
            if loop.time() >= self._used_until:
                asked_at = loop.time()
                answer = await self._fetch()
                self._token = answer.access_token
                self._used_until = asked_at + _USED_SHARE * answer.expires_in
            return self._token

    def extensions(self) -> Mapping[str, str]:
        """Return what the brokers want to know besides, such as Confluent's `logicalCluster`."""
        return self._extensions

    async def _fetch(self) -> _TokenResponse:
        timeout = aiohttp.ClientTimeout(total=_TOKEN_SECONDS)
        try:
            async with (
                self._route.session(timeout=timeout) as session,
                session.post(
                    self._url, data=self._form, headers=self._headers, allow_redirects=False
                ) as response,
            ):
                if response.status != 200:
                    raise TokenUnavailable(f"the token endpoint answers {response.status}")
                body = bytearray()
                async for part in response.content.iter_any():
                    body += part
                    if len(body) > _TOKEN_BYTES:
                        raise TokenUnavailable("the token endpoint gives more than a token")
                # Not strict: some endpoints give `expires_in` as text.
                return msgspec.json.decode(body, type=_TokenResponse, strict=False)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise TokenUnavailable(f"the token endpoint: {why(error)}") from error
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise TokenUnavailable("the token endpoint gives no token") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaSecurity:
    """TLS if there is a context; SASL if there is a mechanism."""

    tls: ssl.SSLContext | None = None
    mechanism: str | None = None
    """PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER."""
    username: str = ""
    password: str = field(default="", repr=False)
    tokens: ClientCredentials | None = None

    def options(self) -> dict[str, Any]:
        """Return what aiokafka calls these."""
        transport = "PLAINTEXT" if self.tls is None else "SSL"
        if self.mechanism is None:
            return {"security_protocol": transport, "ssl_context": self.tls}
        return {
            "security_protocol": f"SASL_{transport}",
            "ssl_context": self.tls,
            "sasl_mechanism": self.mechanism,
            "sasl_plain_username": self.username,
            "sasl_plain_password": self.password,
            "sasl_oauth_token_provider": self.tokens,
        }


PLAINTEXT: Final = KafkaSecurity()


async def why_unreachable(bootstrap: str, security: KafkaSecurity, *, within_seconds: float) -> str:
    """Say why no broker lets us in: aiokafka only logs it. Takes no longer than the time given."""
    tries = [
        _try_to_connect(host, port, security, within_seconds)
        for host, port, _ in collect_hosts(bootstrap, randomize=False)
    ]
    reasons = dict.fromkeys(filter(None, await asyncio.gather(*tries)))
    return ", ".join(reasons) or "it does not answer in time"


async def _try_to_connect(
    host: str, port: int, security: KafkaSecurity, within_seconds: float
) -> str | None:
    try:
        async with asyncio.timeout(within_seconds):
            connection = await create_conn(host, port, client_id="orders", **security.options())
    except (KafkaError, OSError) as error:
        return why_not(error)
    await connection.close()
    return None
