"""Group I: what is lost is told, what is promised is kept, and all heals by itself.

Counts and states only; `python -m tests.availability` measures.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from orders.entrypoints.failures import SettingsError
from orders.entrypoints.settings.table import Settings, settings_table
from tests.support.processes import haproxy
from tests.support.processes.brokers import (
    RABBITMQ_MISSING,
    keep_all,
    rabbit_server,
    rabbitmq_is_installed,
)
from tests.support.processes.cluster import UNHURRIED, Cluster, Process, Shape, cluster
from tests.support.processes.fleet import (
    Crowd,
    Fleet,
    Replica,
    children_of,
    events_at,
    failed,
    histories,
    open_files,
    placed,
    status_of,
)
from tests.support.processes.redis_process import redis_process
from tests.support.processes.replicas import DEADLINE_SECONDS
from tests.support.processes.service import Caller, Running, T, at_once, eventually, paid

PATIENCE = next(r for r in settings_table() if r.name == "ORDERS_MONGO_TIMEOUT_SECONDS").default
STRICT = {"ORDERS_MONGO_TIMEOUT_SECONDS": str(PATIENCE)}
"""As it is by default; the other replicas have more patience with a slow machine."""
PATIENT = {**UNHURRIED, "ORDERS_MONGO_TIMEOUT_SECONDS": "5"}
"""What a lost database takes from each of the other replicas at a time is seconds, still."""
REFUSED_SECONDS = 2.0
"""Within which whatever needs a lost database is refused."""
NOT_READY_SECONDS = 10.0
HEALS_SECONDS = 10.0
AT_ONCE_SECONDS = 5.0
"""What ends at once; the children of a process have to be told, and waited for."""
ASKED = 3
"""How often something is asked that must be answered in time: the median counts, so that one
response that a busy machine delays does not matter.
"""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")
    with (
        cluster(folder, Shape(environ=PATIENT)) as started,
        httpx.Client(base_url=started.apis[0], timeout=60) as client,
    ):
        yield Fleet(started, Running(started.apis[0], folder, started.addresses(), client))


@pytest.fixture(scope="module")
def balancer(fleet: Fleet) -> Iterator[haproxy.HaProxy]:
    with haproxy.haproxy(fleet.running.data, fleet.cluster.urls) as running:
        yield running


@pytest.fixture(scope="module")
def crowd(fleet: Fleet) -> Crowd:
    return Crowd(fleet.running)


def replicas(fleet: Fleet) -> list[Process]:
    return [fleet.cluster.processes[name] for name in fleet.cluster.urls]


def took(began: float) -> float:
    return time.monotonic() - began


def timed(call: Callable[[], T]) -> tuple[float, T]:
    began = time.monotonic()
    answer = call()
    return took(began), answer


def test_av_roll(fleet: Fleet, balancer: haproxy.HaProxy, crowd: Crowd) -> None:
    """Every replica is replaced while orders come in: no request fails, and no order is lost."""
    before = crowd.orders()
    load = crowd.come(balancer.url, rate=25, seconds=24)
    for process in replicas(fleet):
        assert process.stop() == 0
        process.start()
        process.wait_until_up()
        balancer.wait_for(process.name)
    answers = load.finish().answers
    assert not failed(answers)
    assert placed(answers) > 100
    assert crowd.orders() - before == placed(answers)


def test_one_of_three_replicas_dies(fleet: Fleet, balancer: haproxy.HaProxy, crowd: Crowd) -> None:
    """Only what it was just answering fails, and no acknowledged order is lost."""
    before = crowd.orders()
    load = crowd.come(balancer.url, rate=40, seconds=6)
    time.sleep(2)  # in the middle of the load
    victim = replicas(fleet)[1]
    victim.kill()
    answers = load.finish().answers
    victim.start()
    victim.wait_until_up()
    balancer.wait_for(victim.name)
    assert len(failed(answers)) <= 5
    assert all(each.took < 10 for each in answers)
    assert placed(answers) <= crowd.orders() - before <= placed(answers) + len(failed(answers))


@pytest.mark.parametrize("told", [os.kill, os.killpg], ids=["the-server", "all-its-processes"])
def test_av_term(fleet: Fleet, told: Callable[[int, signal.Signals], None]) -> None:
    """What is in flight at SIGTERM is answered; readiness goes off, and the process ends with 0."""
    with fleet.replica("api-term", ORDERS_DRAIN_SECONDS="2", ORDERS_WORKERS="2") as replica:
        ada = replica.running.someone()

        def stop() -> dict[str, str]:
            eventually(lambda: replica.metric("orders_http_requests_in_flight") >= 1)
            told(replica.process.pid, signal.SIGTERM)
            assert {status_of(replica.running.url, "/livez") for _ in range(50)} == {200}
            eventually(lambda: status_of(replica.running.url, "/readyz") == 503, 1)
            answer = ada.get("/v1/orders")
            assert (answer.status_code, answer.headers["connection"]) == (200, "close")
            return {}

        slow, _ = at_once(lambda: ada.placed(paid("tok_slow")), stop)
        assert slow["status"] == "confirmed"
        assert replica.process.stop(30) == 0


def test_workers_are_replaced_at_sighup_and_none_is_killed(fleet: Fleet) -> None:
    with fleet.replica("api-anew", ORDERS_DRAIN_SECONDS="1") as replica:
        before = {*children_of(replica.process.pid)}
        os.kill(replica.process.pid, signal.SIGHUP)
        eventually(lambda: before.isdisjoint(children_of(replica.process.pid)))
        assert replica.process.stop(30) == 0
        assert "did not exit within" not in replica.process.log.read_text()


def test_a_second_sigterm_stops_at_once(fleet: Fleet) -> None:
    with fleet.replica("api-hasty", ORDERS_DRAIN_SECONDS="15") as replica:
        os.kill(replica.process.pid, signal.SIGTERM)
        eventually(lambda: not replica.is_ready())
        began = time.monotonic()
        assert replica.process.stop(30) == 0
        assert took(began) < AT_ONCE_SECONDS  # of the 15 s that it would drain


def assert_refused(running: Running, known: str) -> None:
    """Whatever needs the database is refused in time, and says when to come again."""
    ada = running.someone("admin")
    calls: tuple[Callable[[], httpx.Response], ...] = (
        lambda: ada.place(allowed=[503]),
        lambda: ada.get(f"/v1/orders/{known}", allowed=[503]),
        lambda: ada.get("/v1/orders", allowed=[503]),
        lambda: ada.post(f"/v1/orders/{known}/cancel", {"reason": "customer"}, allowed=[503]),
        lambda: ada.get("/v1/events", allowed=[503]),
    )
    for call in calls:
        asked = [timed(call) for _ in range(ASKED)]
        for _, answer in asked:
            assert (answer.status_code, "retry-after" in answer.headers) == (503, True), answer.text
        assert median(seconds for seconds, _ in asked) <= REFUSED_SECONDS


@pytest.mark.parametrize("lost", ["dead", "frozen"])
def test_av_db(fleet: Fleet, lost: str) -> None:
    """503 at once, alive, not ready; and all of that is over soon after it is back."""
    database = fleet.cluster.processes["database"]
    with fleet.replica(f"api-db-{lost}", **STRICT) as replica:
        known = fleet.running.someone().placed()["id"]
        gone = fleet.without(database) if lost == "dead" else fleet.frozen(database)
        with gone:
            eventually(lambda: status_of(replica.running.url, "/readyz") == 503, NOT_READY_SECONDS)
            assert status_of(replica.running.url, "/livez") == 200
            assert_refused(replica.running, known)
            assert status_of(replica.running.url, "/livez") == 200
        eventually(replica.is_ready, HEALS_SECONDS)
        ada = replica.running.someone("admin")
        eventually(lambda: ada.place(allowed=[503]).status_code == 201, HEALS_SECONDS)
        assert ada.order(known)["status"] == "pending"
        assert replica.process.exit_code is None


def test_the_database_dies_under_load_and_nothing_acknowledged_is_lost(
    fleet: Fleet, crowd: Crowd, balancer: haproxy.HaProxy
) -> None:
    before = crowd.orders()
    load = crowd.come(balancer.url, rate=30, seconds=8)
    time.sleep(2)  # in the middle of the load
    with fleet.without(fleet.cluster.processes["database"]):
        pass
    answers = load.finish().answers
    balancer.wait_for(*(process.name for process in replicas(fleet)))
    assert placed(answers)
    lost = [each for each in failed(answers) if each.kind == "place"]
    assert placed(answers) <= crowd.orders() - before <= placed(answers) + len(lost)
    assert all(process.exit_code is None for process in replicas(fleet))


@pytest.mark.parametrize("lost", ["dead", "frozen"])
def test_av_pay_and_the_auth_service_with_it(fleet: Fleet, lost: str) -> None:
    """Orders are taken, their payment waits; tokens are judged by the keys known."""
    sandbox = fleet.cluster.processes["sandbox"]
    ada = fleet.running.someone()
    known = ada.placed()
    with fleet.without(sandbox) if lost == "dead" else fleet.frozen(sandbox):
        asked = at_once(*[lambda: timed(lambda: ada.placed(paid()))] * ASKED)
        assert median(seconds for seconds, _ in asked) <= DEADLINE_SECONDS
        orders = [order for _, order in asked]
        for order in orders:
            assert (order["status"], order["payment_status"]) == ("pending", "pending")
        assert ada.order(known["id"])["id"] == known["id"]
        assert len(ada.orders()) == 1 + ASKED
        assert ada.post(f"/v1/orders/{known['id']}/cancel").status_code == 200
        assert status_of(fleet.running.url, "/readyz") == 200
        assert fleet.running.bearing("x.y.z").get("/v1/orders").status_code == 401
    for order in orders:
        eventually(lambda: ada.order(order["id"])["status"] == "confirmed", 60)  # noqa: B023 - now
        assert len(fleet.running.charges(order["id"])) == 1


def test_without_keys_nobody_is_let_in_until_they_come(fleet: Fleet) -> None:
    """A replica that starts while the auth service is away is alive, not ready, and heals."""
    token = fleet.running.someone().token or ""
    late = fleet.cluster.add_api("api-cold")
    url = fleet.cluster.urls["api-cold"]
    try:
        with fleet.without(fleet.cluster.processes["sandbox"]):
            late.start()
            eventually(lambda: status_of(url, "/livez") == 200)
            assert status_of(url, "/readyz") == 503
            with fleet.at(url) as running:
                answer = running.bearing(token).get("/v1/orders", allowed=[503])
                assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
        eventually(lambda: status_of(url, "/readyz") == 200, HEALS_SECONDS)
    finally:
        late.kill()
        del fleet.cluster.processes["api-cold"], fleet.cluster.urls["api-cold"]


@pytest.mark.parametrize("lost", ["dead", "frozen"])
def test_av_redis(fleet: Fleet, lost: str) -> None:
    """The limit does not vanish with Redis: each process counts for itself meanwhile."""
    with (
        redis_process(fleet.running.data) as redis,
        fleet.replica(
            f"api-redis-{lost}",
            ORDERS_REDIS_URI=redis.uri,
            ORDERS_RATE_PER_SECOND="0.01",
            ORDERS_RATE_BURST="5",
        ) as replica,
    ):
        assert replica.running.someone().get("/v1/orders").status_code == 200
        redis.kill() if lost == "dead" else redis.freeze()
        replica.running.someone().get("/v1/orders")  # whoever finds out that it is lost
        eventually(lambda: replica.metric("orders_rate_limiter_local") == 1)
        ada = replica.running.someone()
        statuses = [ada.get("/v1/orders").status_code for _ in range(7)]
        assert statuses == [200] * 5 + [429] * 2
        assert replica.running.nobody().get("/v1/orders").status_code == 401
        assert replica.is_ready()
        redis.start() if lost == "dead" else redis.thaw()
        seen = replica.running.someone
        eventually(
            lambda: (seen().get("/v1/orders"), replica.metric("orders_rate_limiter_local") == 0)[1],
            30,
        )


@pytest.mark.skipif(not rabbitmq_is_installed(), reason=RABBITMQ_MISSING)
def test_av_broker(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Dead or frozen, it costs no request; what happened meanwhile comes in order, all of it."""
    folder = tmp_path_factory.mktemp("broker")
    with (
        rabbit_server(folder / "rabbit") as broker,
        cluster(
            folder / "cluster",
            Shape(apis=1, environ={**UNHURRIED, "ORDERS_RABBITMQ_URI": broker.uri}),
        ) as started,
        httpx.Client(base_url=started.apis[0], timeout=60) as client,
    ):
        running = Running(started.apis[0], folder / "cluster", started.addresses(), client)
        asyncio.run(keep_all(broker.uri))
        ada = running.someone()
        found: list[dict[str, Any]] = []

        def all_came() -> bool:
            found.extend(events_at(broker))
            return histories(found, list(wanted)) == wanted

        orders = [ada.placed(paid())["id"]]
        broker.kill()
        orders += [ada.placed(paid())["id"] for _ in range(8)]
        assert status_of(running.url, "/readyz") == 200
        broker.start()
        wanted = {each: sequence(ada, each) for each in orders}
        eventually(all_came, 60)
        broker.freeze()
        late = ada.placed(paid())["id"]
        broker.thaw()
        wanted[late] = sequence(ada, late)
        eventually(all_came, 60)


def sequence(caller: Caller, order: str) -> list[int]:
    """The numbers of an order's events: 1 to n."""
    numbers = [int(each["sequence"]) for each in caller.events(order)]
    assert numbers == list(range(1, len(numbers) + 1))
    return numbers


def test_av_over(fleet: Fleet, crowd: Crowd) -> None:
    """More than can be done: refused early, alive all the while, and back to normal after it."""
    database = fleet.cluster.processes["database"]
    with fleet.replica("api-small", ORDERS_MONGO_POOL_SIZE="2", **STRICT) as replica:
        with fleet.frozen(database):
            load = crowd.come(replica.running.url, rate=150, seconds=4, places=1, reads=1, lists=1)
            lives = {status_of(replica.running.url, "/livez") for _ in range(20)}
            answers = load.finish().answers
        assert lives == {200}
        assert {each.status for each in answers} == {503}
        assert all(each.waits for each in answers)
        refused = replica.metric('orders_http_requests_refused_total{code="overloaded"}')
        assert refused > len(answers) / 2
        # Two had turns for over a second each; all others were told at once, not after as long.
        assert sorted(each.took for each in answers)[len(answers) // 2] < 0.5
        eventually(replica.is_ready, HEALS_SECONDS)
        eventually(
            lambda: replica.running.someone().place(allowed=[503]).status_code == 201, HEALS_SECONDS
        )


def test_av_conns(fleet: Fleet) -> None:
    """Connections that say nothing keep nobody out, and are closed."""
    address = urlsplit(fleet.running.url)
    with fleet.replica("api-idle") as replica, ExitStack() as stack:
        address = urlsplit(replica.running.url)
        assert address.hostname is not None
        before = open_files(replica.process)
        for _ in range(1_500):
            wire = socket.create_connection((address.hostname, address.port), 10)
            stack.callback(wire.close)
        with fleet.at(replica.running.url) as others:  # connections of their own
            assert others.someone().place().status_code == 201
            assert status_of(others.url, "/readyz") == 200
        eventually(lambda: open_files(replica.process) < before + 100, 40)


def test_av_noisy(fleet: Fleet) -> None:
    """One caller at ten times the limit costs nobody else an answer."""
    with fleet.replica(
        "api-limited", ORDERS_RATE_PER_SECOND="5", ORDERS_RATE_BURST="10"
    ) as replica:
        noisy, others = replica.running.someone(), replica.running.someone

        def shout() -> list[int]:
            return [noisy.get("/v1/orders").status_code for _ in range(60)]

        def ask() -> list[int]:
            return [others().get("/v1/orders").status_code for _ in range(20)]

        heard, a, b = at_once(shout, ask, ask)
        assert heard.count(429) > 10
        assert a == b == [200] * 20


def test_av_soak(fleet: Fleet, crowd: Crowd) -> None:
    """Nothing is left behind by requests, refused ones and lost connections included."""
    with fleet.replica("api-soaked") as replica:
        crowd.come(replica.running.url, rate=40, seconds=2).finish()
        eventually(lambda: replica.metric("orders_mongo_connections_in_use") == 0)
        before = open_files_of_requests(replica)
        for _ in range(3):
            crowd.come(replica.running.url, rate=60, seconds=2, lists=1).finish()
        eventually(lambda: open_files_of_requests(replica) <= before + 4, 30)


def open_files_of_requests(replica: Replica) -> float:
    """Without the connections to the database: a pool keeps as many as it once needed."""
    return open_files(replica.process) - replica.metric("orders_mongo_connections_open")


def test_av_start(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Started before all that it needs, it waits for it: alive, not ready, and no crash loop."""
    folder = tmp_path_factory.mktemp("early")
    running = Cluster(folder, Shape(apis=1))
    api, worker = running.processes["api-0"], running.processes["worker-0"]
    url = running.apis[0]
    try:
        api.start()
        worker.start()
        eventually(lambda: status_of(url, "/livez") == 200)
        assert status_of(url, "/readyz") == 503
        for name in ("sandbox", "database"):
            running.processes[name].start()
            running.processes[name].wait_until_up()
        eventually(lambda: status_of(url, "/readyz") == 200, HEALS_SECONDS)
        assert (api.exit_code, worker.exit_code) == (None, None)
        with httpx.Client(base_url=url, timeout=60) as client:
            ada = Running(url, folder, running.addresses(), client).someone()
            order = ada.placed(paid("tok_pending"))
            eventually(lambda: ada.order(order["id"])["status"] == "confirmed", 60)
    finally:
        running.close()


ENVIRON = {
    "ORDERS_MONGO_URI": "mongodb://127.0.0.1:1",
    "ORDERS_PAYMENT_URL": "http://127.0.0.1:1",
    "ORDERS_PAYMENT_WEBHOOK_SECRET": "whsec_" + "A" * 44,
    "ORDERS_ISSUER": "issuer",
    "ORDERS_AUDIENCE": "orders",
    "ORDERS_JWKS_URL": "http://127.0.0.1:1/jwks",
}


@pytest.mark.parametrize("command", ["serve", "worker"])
@pytest.mark.parametrize("name", ["ORDERS_MONGO_URI", "ORDERS_JWKS_URL"])
def test_av_config(command: str, name: str) -> None:
    """A process that lacks a setting does not start, and says which."""
    environ = {each: value for each, value in ENVIRON.items() if each != name}
    done = subprocess.run(
        [sys.executable, "-m", "orders", command],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert name in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("row", settings_table(), ids=lambda row: row.name)
def test_av_config_every_setting_says_when_it_is_missing_or_nonsense(row: object) -> None:
    name, default = row.name, row.default  # type: ignore[attr-defined]
    if default is None:
        without = {each: value for each, value in ENVIRON.items() if each != name}
        with pytest.raises(SettingsError, match=name):
            Settings.read(without)
    nonsense = "\x00\x07"
    with pytest.raises(SettingsError, match=name) as refused:
        Settings.read({**ENVIRON, name: nonsense})
    assert nonsense not in str(refused.value)
