"""Real gateways with the configurations of the guide, in front of a running service.

`make gateways` asks more of them, and writes the report.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.gateways.checks import CLIENT, ambiguous, clients_logged, journey, lost_answer, shop
from tests.gateways.page import STOCK, blocks, configuration
from tests.gateways.processes import GATEWAYS, gateway
from tests.gateways.relay import relay
from tests.support.processes.cluster import UNHURRIED, Shape, cluster
from tests.support.processes.service import Running

FORCED = {
    "nginx": 'W/"1"',
    "newer nginx": 'W/"1"',
    "haproxy": 'W/"1"',
    "caddy": '"1-gzip"',
    "traefik": '"1"',
    "envoy": 'W/"1"',
}
"""The tag of version 1 when the gateway compresses."""
HEEDLESS = {"nginx", "newer nginx", "traefik"}
"""They compress although the response says `no-transform`."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("gateways")
    environ = {**UNHURRIED, "ORDERS_TRUSTED_PROXIES": "127.0.0.1"}
    with (
        cluster(folder, Shape(apis=1, environ=environ)) as started,
        httpx.Client(base_url=started.apis[0], timeout=60) as own,
    ):
        yield Running(started.apis[0], folder, started.addresses(), own)


@pytest.mark.parametrize("kind", GATEWAYS)
def test_compression_breaks_no_condition(kind: str, running: Running, tmp_path: Path) -> None:
    with (
        relay(running.url) as between,
        gateway(kind, tmp_path, between.url, mode="compressing") as address,
        shop(address, running) as caller,
    ):
        as_sent = journey(caller, "gzip")
        between.allows_compression = True
        forced = journey(caller, "gzip")
    assert as_sent.is_right, as_sent
    assert forced.is_right, forced
    assert (forced.coding, forced.tag) == ("gzip", FORCED[kind])
    assert as_sent.coding == ("gzip" if kind in HEEDLESS else None)


@pytest.mark.parametrize("kind", GATEWAYS)
def test_what_a_client_forges_has_no_effect(kind: str, running: Running, tmp_path: Path) -> None:
    with (
        gateway(kind, tmp_path, running.url, mode="documented") as address,
        shop(address, running) as caller,
    ):
        clients = clients_logged(caller)
        statuses = ambiguous(caller)
    assert set(clients.values()) <= {CLIENT, "refused: 400"}, clients
    assert clients["X-Forwarded-For"] == clients["other headers"] == CLIENT
    assert set(statuses.values()) <= {400, 415}, statuses


@pytest.mark.parametrize("kind", ["caddy", "traefik"])
def test_a_command_that_a_gateway_sends_again_is_done_once(
    kind: str, running: Running, tmp_path: Path
) -> None:
    """Go's HTTP client takes an Idempotency-Key for leave to do so."""
    with (
        relay(running.url) as between,
        gateway(kind, tmp_path, between.url) as address,
        shop(address, running) as caller,
    ):
        lost = lost_answer(caller, between)
    assert lost.arrived > 1
    assert (lost.status, lost.retried, lost.was_replayed, lost.times_done) == (200, 200, True, 1)


def test_the_guide_has_each_file_of_each_gateway() -> None:
    files = {file for kind in GATEWAYS.values() for file in kind.files}
    assert files == set(STOCK)
    compressing = {name for name in blocks() if name.startswith("compression: ")}
    assert set(blocks()) - compressing == files
    assert len(compressing) == 5
    for name in compressing:
        file = name.removeprefix("compression: ")
        added = configuration(file, compresses=True).count("\n") - blocks()[file].count("\n")
        assert added == blocks()[name].count("\n") - 1, f"{file} does not say where"
