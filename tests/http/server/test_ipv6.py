"""IPv6: where the service listens, whom it calls, and whom it names."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path

import pytest

from orders.adapters.mongo.connection import open_mongo
from orders.adapters.mongo.orders import probe
from orders.entrypoints.sandbox.data_directory import DataDirectory
from orders.entrypoints.sandbox.stack import Stack
from orders.entrypoints.server.child_processes import free_ports
from orders.entrypoints.settings.table import Settings
from tests.outgoing.http_proxy import pump
from tests.outgoing.services import CALLS, a_container, plays_all
from tests.support.payments.payment_stub import running as service_running
from tests.support.processes.orders_process import COMPLETE, get, running


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


pytestmark = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6: enable it on lo")


def test_it_listens_on_every_address_of_both_kinds() -> None:
    port, metrics_port = free_ports(2)
    settings = {
        "ORDERS_HOST": "::",
        "ORDERS_PORT": str(port),
        "ORDERS_METRICS_PORT": str(metrics_port),
        "ORDERS_TRUSTED_PROXIES": "::1/128",
    }
    with running("serve", settings=settings) as (process, log):
        for host in ("127.0.0.1", "::1"):
            assert get(port, "/livez", at=host)[0] == 200
            assert get(metrics_port, "/metrics", at=host)[0] == 200
        token = {"Authorization": "Bearer x.y.z"}
        assert get(port, "/v1/orders", at="::1", **token)[0] == 401
        forwarded = {"X-Forwarded-For": "[2001:db8::7]:4711"}
        assert get(port, "/v1/orders", at="::1", **token, **forwarded)[0] == 401
        lines = [json.loads(line) for line in log.lines(until=b"2001:db8::7")]
        named = [line["client"] for line in lines if "client" in line]
        assert {"::1", "2001:db8::7"} <= {*named}
        process.terminate()
        assert process.wait(60) == 0


@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_it_listens_on_one_address_which_may_be_in_brackets(host: str) -> None:
    (port,) = free_ports(1)
    settings = {"ORDERS_HOST": host, "ORDERS_PORT": str(port)}
    with running("serve", settings=settings) as (process, _):
        assert get(port, "/livez", at="::1")[0] == 200
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)
        process.terminate()
        assert process.wait(60) == 0


@pytest.mark.parametrize("call", CALLS)
async def test_it_calls_services_by_their_address(call: str) -> None:
    async with service_running(plays_all, host="::1") as stub:
        await CALLS[call](a_container(stub.url))
        assert [each.headers["Host"] for each in stub.seen] == [stub.url.removeprefix("http://")]


async def test_it_reaches_a_database_by_its_address(mongo_uri: str) -> None:
    host, port = mongo_uri.removeprefix("mongodb://").split("/")[0].split("@")[-1].split(":")

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        database = await asyncio.open_connection(host, int(port))
        await asyncio.gather(pump(reader, database[1]), pump(database[0], writer))

    server = await asyncio.start_server(pass_on, "::1", 0)
    uri = f"mongodb://[::1]:{server.sockets[0].getsockname()[1]}/?directConnection=true"
    read = Settings.read({**COMPLETE, "ORDERS_MONGO_URI": uri})
    async with open_mongo(read.mongo_uri, database="any", timeout_seconds=30) as database:
        await probe(database)
    server.close()


def test_addresses_of_the_sandbox_have_brackets(tmp_path: Path) -> None:
    data = DataDirectory(tmp_path)
    data.prepare()
    addresses = Stack(host="::1", port=0, data=data, environ={}).addresses()
    assert addresses["api"].startswith("http://[::1]:")


def test_addresses_in_settings() -> None:
    given = {
        "ORDERS_MONGO_URI": "mongodb://u:p@[2001:db8::1]:27018,[2001:db8::2]/?replicaSet=rs",
        "ORDERS_REDIS_URI": "rediss://:p@[2001:db8::1]:6380/1",
        "ORDERS_RABBITMQ_URI": "amqps://u:p@[2001:db8::1]:5671/",
        "ORDERS_KAFKA_BOOTSTRAP": "[2001:db8::1]:9092,[2001:db8::2]:9092",
        "ORDERS_PAYMENT_URL": "https://[2001:db8::1]:8443/base",
        "ORDERS_PRICE_LIST": "http://[2001:db8::1]/prices",
        "ORDERS_OTLP_ENDPOINT": "http://[2001:db8::1]:4318",
        "ORDERS_CORS_ORIGINS": "https://[2001:db8::1]:3000",
        "ORDERS_TRUSTED_PROXIES": "2001:db8::/32,::ffff:10.0.0.0/104",
    }
    settings = Settings.read({**COMPLETE, **given})
    assert settings.cors_origins == ("https://[2001:db8::1]:3000",)
