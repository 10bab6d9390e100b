"""Own authorities and client certificates, against real TLS on loopback."""

from __future__ import annotations

import asyncio
import gc
import re
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from orders.adapters.mongo.connection import open_mongo
from orders.adapters.mongo.orders import probe
from orders.application.errors import StoreUnavailable
from orders.entrypoints.settings.table import Settings
from tests.outgoing.http_proxy import pump
from tests.outgoing.services import CALLS, a_container, exports, failure, plays_all
from tests.support.certificates import Certificates, make_certificates
from tests.support.payments.payment_stub import StubPaymentService, running
from tests.support.processes.orders_process import COMPLETE
from tests.support.processes.otlp_receiver import otlp_receiver

UNKNOWN = "its certificate is refused: unable to get local issuer certificate"
# A server that closes may lose its own alert on the way.
REFUSES_US = "TLS failed: tlsv1.* alert (certificate required|unknown ca)|it closed the connection"


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("others"))


def of_server(shown: Certificates, *, demands: Certificates | None = None) -> ssl.SSLContext:
    """TLS of a server, which may demand a certificate of an authority."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(shown.certificate, shown.key)
    if demands is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(demands.authority)
    return context


def shows(own: Certificates, of: str = "CLIENT") -> dict[str, str]:
    return {f"ORDERS_{of}_CERT_FILE": str(own.certificate), f"ORDERS_{of}_KEY_FILE": str(own.key)}


def trusts(own: Certificates) -> dict[str, str]:
    return {"ORDERS_CA_FILE": str(own.authority)}


@pytest.fixture
async def server(ours: Certificates) -> AsyncIterator[StubPaymentService]:
    async with running(plays_all, tls=of_server(ours)) as stub:
        yield stub


@pytest.fixture
async def demanding(ours: Certificates, others: Certificates) -> AsyncIterator[StubPaymentService]:
    """A server that shows our certificate, and demands one of the other authority."""
    async with running(plays_all, tls=of_server(ours, demands=others)) as stub:
        yield stub


@pytest.mark.parametrize("call", CALLS)
async def test_an_own_authority_is_trusted(
    call: str, server: StubPaymentService, ours: Certificates
) -> None:
    await CALLS[call](a_container(server.url, **trusts(ours)))
    assert len(server.seen) == 1


@pytest.mark.parametrize("call", CALLS)
async def test_an_authority_that_is_not_named_is_not_trusted_and_the_reason_is_readable(
    call: str,
    server: StubPaymentService,
    others: Certificates,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for settings in ({}, trusts(others)):
        said = await failure(a_container(server.url, **settings), call, caplog)
        assert UNKNOWN in said
        assert "127.0.0.1" not in said
    assert server.seen == []


@pytest.mark.parametrize("call", CALLS)
async def test_a_certificate_for_another_host_is_refused(
    call: str, ours: Certificates, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    elsewhere = make_certificates(tmp_path, host="elsewhere.example")
    async with running(plays_all, tls=of_server(elsewhere)) as stub:
        url = stub.url.replace("127.0.0.1", "localhost")
        said = await failure(a_container(url, **trusts(elsewhere)), call, caplog)
        assert "its certificate is refused: Hostname mismatch" in said
        assert "localhost" not in said
        assert stub.seen == []


@pytest.mark.parametrize("call", CALLS)
async def test_a_server_that_demands_a_certificate_gets_it(
    call: str, demanding: StubPaymentService, ours: Certificates, others: Certificates
) -> None:
    await CALLS[call](a_container(demanding.url, **trusts(ours), **shows(others)))
    assert len(demanding.seen) == 1


@pytest.mark.parametrize("call", CALLS)
async def test_a_server_that_demands_a_certificate_refuses_us_without_it_or_with_another(
    call: str,
    demanding: StubPaymentService,
    ours: Certificates,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for shown in ({}, shows(ours)):
        said = await failure(a_container(demanding.url, **trusts(ours), **shown), call, caplog)
        assert re.search(REFUSES_US, said)
        assert "127.0.0.1" not in said
    assert demanding.seen == []


async def test_the_payment_service_gets_its_own_certificate(
    demanding: StubPaymentService,
    ours: Certificates,
    others: Certificates,
    caplog: pytest.LogCaptureFixture,
) -> None:
    given = trusts(ours) | shows(ours) | shows(others, "PAYMENT_CLIENT")
    await CALLS["payment service"](a_container(demanding.url, **given))
    said = await failure(a_container(demanding.url, **given), "JWKS", caplog)
    assert re.search(REFUSES_US, said)


def test_spans_are_exported_over_tls(
    ours: Certificates, others: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.5")
    with otlp_receiver(of_server(ours, demands=others)) as receiver:
        url = receiver.url
        assert exports(url, **trusts(ours), **shows(others))
        for wrong in (trusts(ours), trusts(others) | shows(others), shows(others)):
            assert not exports(url, **wrong)
        # The variables of OpenTelemetry go before ours.
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(ours.authority))
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", str(others.certificate))
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_CLIENT_KEY", str(others.key))
        assert exports(url, **trusts(others), **shows(ours))


@pytest.fixture
async def mongo(mongo_uri: str, ours: Certificates, tmp_path: Path) -> AsyncIterator[Mongo]:
    """The database behind TLS, as elsewhere.example and 127.0.0.1. It demands a certificate."""
    host, port = mongo_uri.removeprefix("mongodb://").split("/")[0].split("@")[-1].split(":")
    own = make_certificates(tmp_path, host="elsewhere.example")

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        database = await asyncio.open_connection(host, int(port))
        await asyncio.gather(pump(reader, database[1]), pump(database[0], writer))

    tls = of_server(own, demands=ours)
    server = await asyncio.start_server(pass_on, "127.0.0.1", 0, ssl=tls)
    yield Mongo(server.sockets[0].getsockname()[1], own)
    server.close()


class Mongo(NamedTuple):
    port: int
    own: Certificates

    async def reach(self, options: str, host: str = "127.0.0.1", **settings: str) -> None:
        """Ask it something, as the service would with these settings."""
        uri = f"mongodb://{host}:{self.port}/?directConnection=true{options}"
        read = Settings.read({**COMPLETE, "ORDERS_MONGO_URI": uri, **settings})
        # A name may also be an IPv6 address, which is tried first.
        async with open_mongo(read.mongo_uri, database="any", timeout_seconds=2) as database:
            await probe(database)

    async def failure(self, options: str, host: str = "127.0.0.1", **settings: str) -> str:
        with pytest.raises(StoreUnavailable) as refused:
            await self.reach(options, host, **settings)
        return str(refused.value)


async def test_mongodb_is_reached_with_the_settings(mongo: Mongo, ours: Certificates) -> None:
    await mongo.reach("&tls=true", **trusts(mongo.own), **shows(ours))
    # Nothing else is changed: a database without TLS is not asked for it.
    assert "TLS" not in await mongo.failure("", **trusts(mongo.own), **shows(ours))


async def test_mongodb_is_reached_with_options_of_the_uri_which_go_before_the_settings(
    mongo: Mongo, ours: Certificates, others: Certificates, tmp_path: Path
) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(ours.certificate.read_bytes() + ours.key.read_bytes())
    options = f"&tlsCAFile={mongo.own.authority}&tlsCertificateKeyFile={both}"
    await mongo.reach(options)
    await mongo.reach(options, **trusts(others), **shows(others))
    one_file = {"ORDERS_CLIENT_CERT_FILE": str(both)}
    await mongo.reach(f"&tlsCAFile={mongo.own.authority}", **one_file)


# The driver leaves a socket to the collector if it gives up during a handshake.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_mongodb_is_refused_with_a_reason(mongo: Mongo, ours: Certificates) -> None:
    assert UNKNOWN in await mongo.failure("&tls=true", **shows(ours))
    trusted = trusts(mongo.own)
    elsewhere = await mongo.failure("&tls=true", "localhost", **trusted, **shows(ours))
    assert "its certificate is refused: Hostname mismatch" in elsewhere
    without = await mongo.failure("&tls=true", **trusted)
    assert without.startswith("the database call failed: ")
    assert "127.0.0.1" not in without
    gc.collect()
