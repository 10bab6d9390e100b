"""An upgrade from the release before stored form 2, and back, with processes of both releases.

The old release is the last commit before the change. It runs as processes, from the repository's
history.
"""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
import tarfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx
import pytest
from bson import ObjectId
from pymongo import MongoClient

from orders.adapters.contracts.samples import LATER, STAFF
from orders.adapters.mongo.documents import CODEC, Document
from orders.domain.identifiers import OrderId, order_number
from orders.domain.lifecycle import OrderStatus
from orders.domain.order.storing import restore
from orders.entrypoints.sandbox.data_directory import TENANT
from orders.entrypoints.sandbox.token_issuer.tokens import sandbox_token
from tests.support.database.old_build import NEVER, old_document
from tests.support.orders import an_order_that_is
from tests.support.processes.cluster import Cluster, Shape, cluster

OLD_COMMIT: Final = "1f7340357330a735e2a1b8d1a0f0d8ac00a37393"
ROOT: Final = Path(__file__).parents[2]
STORED: Final = 500
"""Orders that the old release has stored before."""
WORK_EVERY: Final = 21
"""Of so many, three have events that wait, are claimed or are parked, and work that is due."""
CLIENTS: Final = 4
PACE_SECONDS: Final = 0.2
"""Between the commands of a client: the embedded database has one slow core."""
STEP: Final = 12
"""Commands that each client gets done in every step of the upgrade."""
OLD: Final = ("api-1", "worker-1")
NEW: Final = ("api-0", "worker-0")


@pytest.fixture(scope="module")
def old_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source of the old release. Skips where the history is not there."""
    done = subprocess.run(
        ["git", "archive", OLD_COMMIT, "src"], cwd=ROOT, capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"needs the history back to {OLD_COMMIT[:7]}: git fetch --unshallow")
    folder = tmp_path_factory.mktemp("old")
    with tarfile.open(fileobj=BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder / "src"


@dataclass
class Clients:
    """Clients that place, pay, cancel, read and list, and retry until they are told it is done."""

    running: Cluster
    acknowledged: Counter[str] = field(default_factory=Counter)
    """By process."""
    refused: Counter[tuple[str, int]] = field(default_factory=Counter)
    """By process and status."""
    paid: dict[str, bool] = field(default_factory=dict)
    """By order."""
    cancelled: set[str] = field(default_factory=set)
    up: tuple[str, ...] = ("api-0", "api-1")
    _done: list[int] = field(default_factory=lambda: [0] * CLIENTS)
    _stop: threading.Event = field(default_factory=threading.Event)
    _failed: list[BaseException] = field(default_factory=list)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """All of them work until the block is left."""
        threads = [threading.Thread(target=self._work, args=(n,)) for n in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()
        assert not self._failed, self._failed

    def wait_for_a_step(self) -> None:
        """Return once each client has got some more done."""
        goals = [done + STEP for done in self._done]
        deadline = time.monotonic() + 240
        while any(done < goal for done, goal in zip(self._done, goals, strict=True)):
            assert not self._failed, self._failed
            assert time.monotonic() < deadline, f"clients are stuck: {self.refused}"
            time.sleep(0.05)

    def _work(self, number: int) -> None:
        dice = random.Random(number)
        token = sandbox_token(self.running.data, subject=f"client-{number}", roles=["customer"])
        try:
            with httpx.Client(timeout=20, headers={"Authorization": f"Bearer {token}"}) as client:
                own: list[str] = []
                while not self._stop.is_set():
                    self._act(client, own, dice)
                    self._done[number] += 1
                    self._stop.wait(PACE_SECONDS)
        except BaseException as error:  # noqa: BLE001 - told by the test
            self._failed.append(error)

    def _act(self, client: httpx.Client, own: list[str], dice: random.Random) -> None:
        what = dice.choice(["place", "pay", "pay", "cancel", "read", "list"])
        if what in ("place", "pay") or not own:
            order = self._until_done(client, "POST", "/v1/orders", _order(is_paid=what == "pay"))
            own.append(order["id"])
            self.paid[order["id"]] = what == "pay"
        elif what == "cancel":
            order_id = own.pop(dice.randrange(len(own)))
            path = f"/v1/orders/{order_id}/cancel"
            self._until_done(client, "POST", path, {"reason": "customer"})
            self.cancelled.add(order_id)
        elif what == "read":
            assert self._until_done(client, "GET", f"/v1/orders/{own[-1]}")["id"] == own[-1]
        else:
            self._until_done(client, "GET", "/v1/orders?limit=20")

    def _until_done(
        self, client: httpx.Client, method: str, path: str, body: object = None
    ) -> dict[str, Any]:
        """Send a request with one key to one process after the other until one has done it."""
        headers = {"Idempotency-Key": uuid4().hex} if method == "POST" else {}
        deadline = time.monotonic() + 60
        for attempt in itertools.count(random.randrange(2)):
            name = self.up[attempt % len(self.up)]
            response = _send(client, method, self.running.urls[name] + path, body, headers)
            if response is not None and response.is_success:
                self.acknowledged[name] += 1
                done: dict[str, Any] = response.json()
                return done
            status = 0 if response is None else response.status_code
            self.refused[name, status] += 1
            assert status in (0, 409, 500, 503), response
            assert time.monotonic() < deadline, f"nobody did {method} {path}: {self.refused}"
        raise AssertionError


def _send(
    client: httpx.Client, method: str, url: str, body: object, headers: Mapping[str, str]
) -> httpx.Response | None:
    """The response; None if the process is gone."""
    try:
        return client.request(method, url, json=body, headers=headers)
    except httpx.TransportError:
        return None


def _order(*, is_paid: bool) -> dict[str, Any]:
    lines = [{"sku": "MUG-RED", "name": "Red mug", "quantity": 1}]
    payment = {"payment": {"method": "tok_ok"}} if is_paid else {}
    return {"currency": "GBP", "lines": lines, **payment}


def store_orders(orders: Any) -> None:
    """Orders of every status as the old release stored them. Some have work that is due, and
    events that wait, are claimed, or are parked.
    """
    documents: list[Document] = []
    for number, status in zip(range(STORED), itertools.cycle(OrderStatus), strict=False):
        state = replace(
            an_order_that_is(status).state,
            id=OrderId(order_id := uuid4()),
            number=order_number(order_id.int),
            tenant=TENANT,
            sequence=0,
            version=0,
        )
        order = restore(state)
        order.add_note("Stored before", by=STAFF, now=LATER)
        document = old_document(order) | {"write": ObjectId()}
        if number % WORK_EVERY == 1:
            document["relay"] |= {"at": LATER, "by": ObjectId()}
        elif number % WORK_EVERY == 2:
            del document["relay"]
            lag = {"at": NEVER, "confirmed": 0, "refusals": 2}
            document["behind"] = {"kafka": lag | {"reason": "too-large", "parked_at": LATER}}
            document["offered"] = 1
        elif number % WORK_EVERY:
            document |= {"outbox": [], "due_at": None}
            del document["relay"]
            document.pop("wake", None)
        documents.append(document)
    for first in range(0, STORED, 500):
        orders.insert_many(documents[first : first + 500])


class Upgrade:
    """What an operator does."""

    def __init__(self, running: Cluster, clients: Clients, orders: Any) -> None:
        self._running = running
        self._clients = clients
        self._orders = orders

    def roll_out(self, form: str) -> None:
        """Start the new processes again with this setting, one after the other."""
        for name in NEW:
            process = self._running.processes[name]
            process.stop(within_seconds=120)
            process.start(ORDERS_STORED_FORM=form)
            process.wait_until_up()

    def stop_the_old(self) -> None:
        self._clients.up = ("api-0",)
        for name in OLD:
            self._running.processes[name].stop(within_seconds=120)

    def start_the_old(self) -> None:
        for name in OLD:
            self._running.processes[name].start()
            self._running.processes[name].wait_until_up()
        self._clients.up = ("api-0", "api-1")

    def migrate(self, form: str) -> list[str]:
        """Run `orders migrate`, and return its last lines."""
        process = self._migrate(form)
        out, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        return out.decode().splitlines()

    def migrate_and_be_killed(self, form: str, schema: int) -> None:
        """Kill `orders migrate` when it has changed some of the orders."""
        process = self._migrate(form)
        while self._orders.find_one({"schema": schema}) is None:
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        process.kill()
        process.communicate()

    def migrate_twice_at_once(self, form: str) -> None:
        both = [self._migrate(form) for _ in range(2)]
        for process in both:
            _, errors = process.communicate(timeout=300)
            assert process.returncode == 0, errors

    def _migrate(self, form: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "orders", "migrate"],
            env=self._running.environ | {"ORDERS_STORED_FORM": form},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )


def eventually(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 180
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def require_all_done(running: Cluster, clients: Clients, database: Any) -> None:
    """Nothing is lost, nothing is done twice, and nothing waits that should not."""
    orders, queues = database["orders"], ("outbox_claim", "relay")
    eventually(
        lambda: not orders.count_documents({"$or": [{q: {"$exists": True}} for q in queues]}),
        "events are stuck",
    )
    stored = {str(each["_id"]): each for each in orders.find({}, {"outbox": 0})}
    assert len(stored) == STORED + len(clients.paid)
    assert {*clients.paid} <= {*stored}
    charges: dict[str, list[Any]] = defaultdict(list)
    for payment in httpx.get(f"{running.payments_url}/ledger").json()["payments"]:
        charges[payment["reference"][:36]].append(payment)
    for order_id, is_paid in clients.paid.items():
        assert len(charges.pop(order_id, ())) == int(is_paid), order_id
        is_cancelled = stored[order_id]["status"] == "cancelled"
        assert is_cancelled is (order_id in clients.cancelled), order_id
    assert not charges
    logged: dict[str, list[int]] = defaultdict(list)
    for event in database["order_events"].find({}, {"order_id": 1, "sequence": 1}):
        logged[str(event["order_id"])].append(event["sequence"])
    for order_id, document in stored.items():
        # One event at most was relayed, or parked, before.
        before = [] if logged[order_id][:1] == [1] else [1]
        assert [*before, *sorted(logged[order_id])] == [*range(1, document["sequence"] + 1)]


def forward(upgrade: Upgrade, clients: Clients, orders: Any) -> None:
    """To form 2. The old processes should be gone before the first step; here they are not."""
    upgrade.roll_out("both")
    upgrade.migrate_and_be_killed("both", schema=2)
    clients.wait_for_a_step()
    upgrade.migrate_twice_at_once("both")
    clients.wait_for_a_step()
    upgrade.stop_the_old()
    assert "0 left in form 1" in upgrade.migrate("both")[-1]
    upgrade.roll_out("2")
    upgrade.migrate("2")
    clients.wait_for_a_step()
    assert not orders.count_documents({"schema": 1})


def back(upgrade: Upgrade, clients: Clients, orders: Any) -> None:
    """To form 1, with which the old processes start again."""
    upgrade.migrate("both")
    upgrade.roll_out("both")
    upgrade.roll_out("1")
    upgrade.migrate_and_be_killed("1", schema=1)
    clients.wait_for_a_step()
    upgrade.migrate_twice_at_once("1")
    assert "0 left in form 2" in upgrade.migrate("1")[-1]
    upgrade.start_the_old()
    clients.wait_for_a_step()
    assert not orders.count_documents({"schema": 2})


def test_an_upgrade_and_the_way_back_lose_nothing_and_do_nothing_twice(
    tmp_path: Path, old_source: Path
) -> None:
    """Also where an old process runs on while the form of the orders changes under it."""
    shape = Shape(
        apis=2,
        workers=2,
        environ={"ORDERS_STORED_FORM": "1"},
        own_environ={name: {"PYTHONPATH": str(old_source)} for name in OLD},
    )
    client: MongoClient[Document]
    with cluster(tmp_path, shape) as running, MongoClient(running.mongo_uri) as client:
        database: Any = client.get_database("orders", codec_options=CODEC)
        store_orders(database["orders"])
        clients = Clients(running)
        upgrade = Upgrade(running, clients, database["orders"])
        with clients.at_work():
            clients.wait_for_a_step()
            assert {status for _, status in clients.refused} <= {409}
            forward(upgrade, clients, database["orders"])
            back(upgrade, clients, database["orders"])
        assert min(clients.acknowledged[name] for name in ("api-0", "api-1")) > CLIENTS
        require_all_done(running, clients, database)
