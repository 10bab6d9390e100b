"""Outgoing HTTP through a real proxy, as HTTPS_PROXY, HTTP_PROXY and NO_PROXY say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.outgoing.http_proxy import HttpProxy, http_proxy
from tests.outgoing.services import CALLS, CREDENTIAL, a_container, exports, failure, plays_all
from tests.outgoing.test_tls import of_server
from tests.support.certificates import make_certificates
from tests.support.payments.payment_stub import StubPaymentService, running
from tests.support.processes.otlp_receiver import otlp_receiver

HOST = "services.example"
"""No DNS knows it: only the proxy can reach it."""


@pytest.fixture
async def proxy() -> AsyncIterator[HttpProxy]:
    async with http_proxy() as running_proxy:
        yield running_proxy


@pytest.fixture
async def server() -> AsyncIterator[StubPaymentService]:
    async with running(plays_all) as stub:
        stub.url = stub.url.replace("127.0.0.1", HOST)
        yield stub


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy"])
async def test_http_goes_through_the_proxy(
    call: str, name: str, server: StubPaymentService, proxy: HttpProxy
) -> None:
    await CALLS[call](a_container(server.url, **{name: proxy.url}))
    (request,) = proxy.requests
    assert request.split()[1].startswith(f"{server.url}/")
    assert server.seen[0].headers["Host"] == server.url.removeprefix("http://")


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy"])
async def test_https_goes_through_a_tunnel_that_sees_neither_credential_nor_path(
    call: str, name: str, proxy: HttpProxy, tmp_path: Path
) -> None:
    own = make_certificates(tmp_path, host=HOST)
    trusted = {"ORDERS_CA_FILE": str(own.authority)}
    async with running(plays_all, tls=of_server(own)) as stub:
        target = stub.url.replace("127.0.0.1", HOST).removeprefix("https://")
        await CALLS[call](a_container(f"https://{target}", **trusted, **{name: proxy.url}))
        assert proxy.requests == [f"CONNECT {target}"]
        assert CREDENTIAL not in "".join(proxy.heads)
        assert len(stub.seen) == 1


@pytest.mark.parametrize("call", CALLS)
async def test_the_certificate_is_checked_behind_the_proxy_too(
    call: str, proxy: HttpProxy, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(plays_all, tls=of_server(make_certificates(tmp_path, host=HOST))) as stub:
        url = stub.url.replace("127.0.0.1", HOST)
        said = await failure(a_container(url, HTTPS_PROXY=proxy.url), call, caplog)
        assert "its certificate is refused: unable to get local issuer certificate" in said
        assert stub.seen == []


@pytest.mark.parametrize("call", CALLS)
async def test_a_proxy_with_a_password_gets_it_and_nobody_else(
    call: str, server: StubPaymentService, caplog: pytest.LogCaptureFixture
) -> None:
    async with http_proxy(credential="us:hunter/2") as strict:
        url = strict.url.replace("//", "//us:hunter%2F2@")
        await CALLS[call](a_container(server.url, HTTP_PROXY=url))
        wrong = url.replace("hunter", "huntress")
        said = await failure(
            a_container(server.url.replace("http:", "https:"), HTTPS_PROXY=wrong), call, caplog
        )
        assert "the proxy answers 407" in said
        assert "hunt" not in said
    container = a_container(server.url, HTTP_PROXY=wrong)
    said = await failure(container, call, caplog)
    assert "the proxy: it refuses connections" in said
    assert "hunt" not in said + repr(container.settings())


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("status", [403, 502])
async def test_a_tunnel_that_is_refused_means_that_nothing_was_sent(
    call: str, status: int, proxy: HttpProxy, caplog: pytest.LogCaptureFixture
) -> None:
    proxy.refuses = status
    said = await failure(a_container(f"https://{HOST}", HTTPS_PROXY=proxy.url), call, caplog)
    assert f"the proxy answers {status}" in said
    assert len(proxy.requests) == (3 if call == "payment service" else 1)


@pytest.mark.parametrize("exceptions", ["services.example", ".example", "a, *"])
async def test_an_exception_is_reached_directly(
    exceptions: str, proxy: HttpProxy, caplog: pytest.LogCaptureFixture
) -> None:
    given = {"HTTP_PROXY": proxy.url, "NO_PROXY": exceptions}
    said = await failure(a_container(f"http://{HOST}", **given), "JWKS", caplog)
    assert "DNS" in said
    assert proxy.requests == []


async def test_this_machine_is_never_reached_through_a_proxy(proxy: HttpProxy) -> None:
    async with running(plays_all) as stub:
        await CALLS["JWKS"](a_container(stub.url, HTTP_PROXY=proxy.url))
        assert (len(stub.seen), proxy.requests) == (1, [])


async def test_no_password_of_a_netrc_file_is_sent(
    server: StubPaymentService, proxy: HttpProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine {HOST} login someone password hunter2\n")
    monkeypatch.setenv("NETRC", str(netrc))
    await CALLS["JWKS"](a_container(server.url, HTTP_PROXY=proxy.url))
    assert "Authorization" not in server.seen[0].headers


async def test_spans_go_through_the_proxy(proxy: HttpProxy) -> None:
    with otlp_receiver() as receiver:
        url = receiver.url.replace("127.0.0.1", HOST)
        assert await asyncio.to_thread(exports, url, HTTP_PROXY=proxy.url)
        assert proxy.requests == [f"POST {url}/v1/traces"]
