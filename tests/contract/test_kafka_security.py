"""Kafka with TLS and SASL: tokens are fetched and renewed, and a real Apache Kafka lets us in."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import ssl
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from uuid import uuid4

import pytest

from orders.adapters.brokers.kafka import KafkaPublisher
from orders.adapters.brokers.kafka_security import (
    ClientCredentials,
    KafkaSecurity,
    TokenUnavailable,
)
from orders.adapters.contracts.events.event_samples import logged_events
from orders.application.ports import Published
from tests.support.certificates import Certificates, make_certificates
from tests.support.network.oauth_issuer import OAuthIssuer, oauth_issuer
from tests.support.processes.brokers import KAFKA_MISSING, kafka_jars
from tests.support.processes.secured_brokers import PASSWORD, USER, SecuredKafka

# aiokafka does not wait until a connection is closed that a broker has refused.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

SCOPE = {"scope": "kafka write", "audience": "kafka"}


@pytest.fixture(scope="module")
def issuer() -> Iterator[OAuthIssuer]:
    with oauth_issuer(USER, PASSWORD) as running:
        yield running


@pytest.fixture(autouse=True)
def as_before(issuer: OAuthIssuer) -> Iterator[None]:
    yield
    issuer.answer, issuer.lifetime_seconds, issuer.sends_in_parts = None, 300, False
    issuer.forms.clear()
    gc.collect()  # what aiokafka leaves is noticed here, not in another module's test


def tokens_of(issuer: OAuthIssuer, secret: str = PASSWORD) -> ClientCredentials:
    return ClientCredentials(
        f"{issuer.url}/token", client_id=USER, client_secret=secret, parameters=SCOPE
    )


# -- Tokens -----------------------------------------------------------------------------------


async def test_a_token_is_asked_for_once_and_again_before_it_ends(issuer: OAuthIssuer) -> None:
    issuer.lifetime_seconds = 2
    tokens = tokens_of(issuer)
    first = await asyncio.gather(*(tokens.token() for _ in range(5)))
    assert len(set(first)) == 1
    assert issuer.forms == [{"grant_type": "client_credentials", **SCOPE}]
    loop = asyncio.get_running_loop()
    assert tokens._used_until - loop.time() < 0.8 * 2
    tokens._used_until = loop.time()
    issuer.lifetime_seconds = 300
    assert await tokens.token() not in first
    assert tokens._used_until - loop.time() > 200


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((401, b"hunter2"), "the token endpoint answers 401"),
        ((302, b""), "the token endpoint answers 302"),
        ((200, b"<html>hunter2"), "the token endpoint gives no token"),
        ((200, b'{"token": "hunter2"}'), "the token endpoint gives no token"),
        ((200, b'{"access_token": 1}'), "the token endpoint gives no token"),
        ((200, b'{"access_token": "\xff"}'), "the token endpoint gives no token"),
        ((200, b"x" * 200_000), "the token endpoint gives more than a token"),
    ],
)
async def test_why_there_is_no_token_is_said_without_a_secret(
    answer: tuple[int, bytes], reason: str, issuer: OAuthIssuer
) -> None:
    issuer.answer = answer
    with pytest.raises(TokenUnavailable) as refused:
        await tokens_of(issuer).token()
    assert str(refused.value) == reason


async def test_a_token_may_come_in_parts_and_its_lifetime_as_text(issuer: OAuthIssuer) -> None:
    issuer.answer = 200, b'{"access_token": "abc", "expires_in": "300"}'
    issuer.sends_in_parts = True
    tokens = tokens_of(issuer)
    assert await tokens.token() == "abc"
    assert tokens._used_until - asyncio.get_running_loop().time() > 200


async def test_a_client_that_the_endpoint_does_not_know_is_told(issuer: OAuthIssuer) -> None:
    with pytest.raises(TokenUnavailable, match="answers 401"):
        await tokens_of(issuer, "hunter2").token()


def test_no_secret_is_in_a_repr(issuer: OAuthIssuer) -> None:
    security = KafkaSecurity(
        mechanism="OAUTHBEARER", username=USER, password=PASSWORD, tokens=tokens_of(issuer)
    )
    assert PASSWORD not in repr(security)


# -- A real Apache Kafka ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def kafka(
    tmp_path_factory: pytest.TempPathFactory, certificates: Certificates, issuer: OAuthIssuer
) -> Iterator[SecuredKafka]:
    jars = kafka_jars()
    if jars is None:
        pytest.skip(KAFKA_MISSING)
    folder = tmp_path_factory.mktemp("kafka")
    with closing(SecuredKafka(folder, jars, certificates, issuer=issuer.url)) as server:
        server.restore()
        yield server


@pytest.fixture
def login(certificates: Certificates, issuer: OAuthIssuer) -> KafkaSecurity:
    return KafkaSecurity(
        tls=certificates.context(shown=False), mechanism="PLAIN", username=USER, password=PASSWORD
    )


async def confirmed(bootstrap: str, security: KafkaSecurity) -> int:
    """How many of two events are confirmed; a new topic may take a second try."""
    events = logged_events()[:2]
    async with KafkaPublisher(bootstrap, topic=f"t{uuid4().hex}", security=security) as publisher:
        outcomes = [await publisher.publish(events) for _ in range(3)]
    return max(sum(each.confirmed.values()) for each in outcomes)


async def test_tls_with_a_client_certificate(
    kafka: SecuredKafka, certificates: Certificates
) -> None:
    security = KafkaSecurity(tls=certificates.context())
    assert await confirmed(f"127.0.0.1:{kafka.tls_port}", security) == 2


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_sasl_with_a_password(
    mechanism: str, kafka: SecuredKafka, login: KafkaSecurity
) -> None:
    security = replace(login, mechanism=mechanism)
    assert await confirmed(f"127.0.0.1:{kafka.sasl_port}", security) == 2


async def test_sasl_with_a_token(
    kafka: SecuredKafka, login: KafkaSecurity, issuer: OAuthIssuer
) -> None:
    security = replace(login, mechanism="OAUTHBEARER", tokens=tokens_of(issuer))
    assert await confirmed(f"127.0.0.1:{kafka.sasl_port}", security) == 2
    assert len(issuer.forms) == 1, "one token for all connections"


async def test_no_event_waits_for_a_token_that_ends(
    kafka: SecuredKafka, login: KafkaSecurity, issuer: OAuthIssuer
) -> None:
    """The broker ends a connection with its token; the next one has another token."""
    issuer.lifetime_seconds = 5
    security = replace(login, mechanism="OAUTHBEARER", tokens=tokens_of(issuer))
    events = logged_events()
    loop = asyncio.get_running_loop()
    async with KafkaPublisher(
        f"127.0.0.1:{kafka.sasl_port}", topic=f"t{uuid4().hex}", security=security
    ) as publisher:
        while await publisher.publish(events[:1]) == Published():  # until the topic is there
            pass
        until = loop.time() + 12
        while loop.time() < until:
            assert await publisher.publish(events[:1]) != Published()
            await asyncio.sleep(0.2)
    assert len(issuer.forms) >= 3


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("password", "Kafka: it refuses the user name, the password or the token"),
        ("scram", "Kafka: it refuses the user name, the password or the token"),
        ("authority", "Kafka: its certificate is refused: unable to get local issuer certificate"),
        ("certificate", "Kafka: it closed the connection"),  # aiokafka does not say why
        ("token", "Kafka: the token endpoint answers 401"),
        ("port", "Kafka: it refuses connections"),
    ],
)
async def test_what_is_wrong_is_said_plainly_and_without_the_secret(
    wrong: str,
    reason: str,
    kafka: SecuredKafka,
    login: KafkaSecurity,
    issuer: OAuthIssuer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    security = {
        "password": replace(login, password="hunter2"),
        "scram": replace(login, mechanism="SCRAM-SHA-256", password="hunter2"),
        "authority": replace(login, tls=ssl.create_default_context()),
        "certificate": KafkaSecurity(tls=login.tls),
        "token": replace(login, mechanism="OAUTHBEARER", tokens=tokens_of(issuer, "hunter2")),
    }.get(wrong, login)
    port = {"certificate": kafka.tls_port, "port": 1}.get(wrong, kafka.sasl_port)
    async with KafkaPublisher(f"127.0.0.1:{port}", security=security) as publisher:
        assert await publisher.publish(logged_events()[:1]) == Published()
    own = [each.getMessage() for each in caplog.records if each.name.startswith("orders")]
    assert own == [reason]
    assert not [secret for secret in ("hunter2", PASSWORD) if secret in caplog.text]


async def test_a_server_that_speaks_no_kafka_is_a_broker_that_is_away() -> None:
    talks: list[asyncio.Task[None] | None] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.append(asyncio.current_task())
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while size := int.from_bytes(await reader.readexactly(4)):
                request = await reader.readexactly(size)
                answer = request[4:8] + b"\xff" * 30
                writer.write(len(answer).to_bytes(4) + answer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, KafkaPublisher(address, connect_seconds=5) as publisher:
        assert not await publisher.prepare()
    await asyncio.gather(*filter(None, talks))
