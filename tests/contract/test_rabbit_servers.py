"""RabbitMQ with TLS, virtual hosts and several nodes, of which one may be lost."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import aio_pika
import pytest

from orders.adapters.brokers.rabbitmq import RabbitPublisher
from orders.adapters.contracts.events.event_samples import logged_events
from orders.adapters.messages import encode
from orders.application.ports import Published
from tests.support.certificates import Certificates, make_certificates
from tests.support.processes.brokers import (
    RABBITMQ_MISSING,
    RabbitServer,
    rabbitmq_is_installed,
)
from tests.support.processes.secured_brokers import (
    PASSWORD,
    USER,
    VHOST,
    SecuredRabbit,
)

pytestmark = pytest.mark.skipif(not rabbitmq_is_installed(), reason=RABBITMQ_MISSING)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def rabbit(
    tmp_path_factory: pytest.TempPathFactory, certificates: Certificates
) -> Iterator[SecuredRabbit]:
    with closing(SecuredRabbit(tmp_path_factory.mktemp("rabbit"), certificates)) as server:
        server.start()
        yield server


def uri_of(rabbit: SecuredRabbit, *, password: str = PASSWORD, vhost: str = VHOST) -> str:
    names = f"{USER}:{quote(password, safe='')}"
    return f"amqps://{names}@127.0.0.1:{rabbit.tls_port}/{quote(vhost, safe='')}"


async def confirmed(uri: str, tls: ssl.SSLContext | None) -> int:
    """How many of two events are confirmed."""
    async with RabbitPublisher(
        uri, tls=tls, exchange=f"orders-{uuid4().hex}", connect_seconds=5
    ) as publisher:
        outcome = await publisher.publish(logged_events()[:2])
    return sum(outcome.confirmed.values())


async def test_tls_with_an_own_authority_a_client_certificate_and_a_virtual_host(
    rabbit: SecuredRabbit, certificates: Certificates
) -> None:
    assert await confirmed(uri_of(rabbit), certificates.context()) == 2


async def test_the_certificate_may_be_the_login(
    rabbit: SecuredRabbit, certificates: Certificates
) -> None:
    uri = f"amqps://localhost:{rabbit.tls_port}/{quote(VHOST, safe='')}?auth=external"
    assert await confirmed(uri, certificates.context()) == 2


async def test_files_that_the_uri_names_count_instead(
    rabbit: SecuredRabbit, certificates: Certificates
) -> None:
    files = (
        f"?cafile={certificates.authority}&certfile={certificates.certificate}"
        f"&keyfile={certificates.key}"
    )
    assert await confirmed(uri_of(rabbit) + files, ssl.create_default_context()) == 2


async def test_a_node_that_refuses_and_one_that_hangs_are_passed_over(
    rabbit: SecuredRabbit, certificates: Certificates
) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as refusing,
        socket.create_server(("127.0.0.1", 0)) as hanging,
    ):
        ports = [each.getsockname()[1] for each in (refusing, hanging)]
        refusing.close()
        away = "".join(f"127.0.0.1:{port}," for port in ports)
        uri = uri_of(rabbit).replace("@", f"@{away}", 1)
        async with RabbitPublisher(
            uri, tls=certificates.context(), publish_seconds=5, connect_seconds=1
        ) as publisher:
            outcome = await publisher.publish(logged_events()[:2])
    assert sum(outcome.confirmed.values()) == 2


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("password", "it refuses the user name or the password"),
        ("vhost", "there is no such virtual host, it is full, or the user may not use it"),
        ("authority", "its certificate is refused: self-signed certificate in certificate chain"),
        ("certificate", "TLS failed: tlsv13 alert certificate required"),
        ("host", "its certificate is refused: Hostname mismatch"),
        ("plain", "it closed the connection"),
        ("name", "DNS does not know its name, or does not answer"),
        ("port", "it refuses connections"),
    ],
)
async def test_what_is_wrong_is_said_plainly_and_without_the_secret(
    wrong: str,
    reason: str,
    rabbit: SecuredRabbit,
    certificates: Certificates,
    caplog: pytest.LogCaptureFixture,
) -> None:
    right = uri_of(rabbit)
    uri = {
        "password": uri_of(rabbit, password="hunter2"),
        "vhost": uri_of(rabbit, vhost="elsewhere"),
        "host": right.replace("127.0.0.1", "127.1"),  # the same address, under another name
        "plain": right.replace("amqps", "amqp"),
        "name": right.replace("127.0.0.1", "nowhere.invalid"),
        "port": right.replace(str(rabbit.tls_port), "1"),
    }.get(wrong, right)
    tls = {
        "authority": ssl.create_default_context(),
        "certificate": certificates.context(shown=False),
    }.get(wrong, certificates.context())
    assert await confirmed(uri, tls) == 0
    own = [each.getMessage() for each in caplog.records if each.name.startswith("orders")]
    # Who is refused for want of a certificate may see the connection closed before the reason.
    reasons = {reason, "it closed the connection"} if wrong == "certificate" else {reason}
    assert len(own) == 1
    assert own[0].removeprefix("RabbitMQ: ") in reasons
    assert not [s for s in ("hunter2", PASSWORD, quote(PASSWORD, safe="")) if s in caplog.text]


async def test_events_flow_to_the_queues_that_are_up_when_a_node_is_lost(
    rabbit: SecuredRabbit, tmp_path: Path
) -> None:
    """The node that the publisher is connected to, which has declared the exchange and a queue.

    The last test of this module: it leaves the node dead.
    """
    with closing(RabbitServer(tmp_path, beside=rabbit)) as other:
        other.start()
        here, there = (uri_at(f"127.0.0.1:{each.port}") for each in (rabbit, other))
        orders = [logged_events()[:3] for _ in range(10)]
        events = [event for own in orders for event in own]
        everything = Published(confirmed={own[0].order_id: 3 for own in orders})
        uri = uri_at(f"127.0.0.1:{rabbit.port},127.0.0.1:{other.port}")
        async with RabbitPublisher(uri, publish_seconds=20, connect_seconds=10) as publisher:
            assert await publisher.prepare()
            await bind(here, "lost")
            await bind(there, "kept")
            assert await publisher.publish(events) == everything
            rabbit.kill()
            outcomes = [await publisher.publish(events) for _ in range(2)]
            assert everything in outcomes, "at most the call that finds out is lost"
        received = await messages(there, "kept")
    for own in orders:
        bodies = [*map(encode, own)]
        assert [each for each in received if each in bodies][:3] == bodies
    assert len(received) >= 2 * len(events)


def uri_at(hosts: str) -> str:
    return f"amqp://{USER}:{quote(PASSWORD, safe='')}@{hosts}/{quote(VHOST, safe='')}"


async def bind(uri: str, queue: str) -> None:
    async with await aio_pika.connect(uri) as connection:
        declared = await (await connection.channel()).declare_queue(queue, durable=True)
        await declared.bind("orders.events", "#")


async def messages(uri: str, queue: str) -> list[bytes]:
    found = []
    async with await aio_pika.connect(uri) as connection:
        declared = await (await connection.channel()).declare_queue(queue, passive=True)
        while message := await declared.get(no_ack=True, fail=False):
            found.append(message.body)
    return found
