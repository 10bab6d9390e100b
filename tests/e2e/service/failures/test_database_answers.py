"""Whatever the database answers, callers are told to try again, and the worker does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any, Final

import httpx
import pytest

from tests.support.database.failing_database import (
    NO_MAJORITY,
    FailPoint,
    fail_point,
    failing_database_command,
)
from tests.support.processes.cluster import Cluster, Shape, cluster
from tests.support.processes.replicas import seen_at
from tests.support.processes.service import Caller, Running, eventually, key, paid

ANSWERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "AuthenticationFailed": {"errorCode": 18},
    "FailedToSatisfyReadPreference": {"errorCode": 133},
    "OutOfDiskSpace": {"errorCode": 14031},
    "overloaded": {"errorCode": 462, "errorLabels": ["SystemOverloadedError", "RetryableError"]},
    "PrimarySteppedDown": {"errorCode": 189, "errorLabels": ["RetryableWriteError"]},
    "closed-connection": {"closeConnection": True},
}
WITHIN_SECONDS: Final = 60
"""After the database is well again, until every event is delivered: more than a lease of 30 s."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, Running]]:
    folder = tmp_path_factory.mktemp("answers")
    shape = Shape(
        apis=1,
        database=failing_database_command,
        environ={"ORDERS_MONGO_TIMEOUT_SECONDS": "1.25", "ORDERS_JWT_LEEWAY_SECONDS": "10"},
    )
    with ExitStack() as stack:
        running = stack.enter_context(cluster(folder, shape))
        yield running, seen_at(stack, running, running.urls["api-0"], folder)


@pytest.fixture
def point(shop: tuple[Cluster, Running]) -> Iterator[FailPoint]:
    with fail_point(shop[0].mongo_uri) as found:
        yield found


@pytest.fixture
def ada(shop: tuple[Cluster, Running]) -> Caller:
    return shop[1].someone()


def require_told_to_come_back(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["code"]) == (503, "store-unavailable")
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize("answer", ANSWERS)
def test_l_db_refuses(
    shop: tuple[Cluster, Running], ada: Caller, point: FailPoint, answer: str
) -> None:
    there, running = shop
    order_id = ada.placed(paid("tok_pending"))["id"]
    calls: dict[str, Callable[[], httpx.Response]] = {
        "find": lambda: ada.get(f"/v1/orders/{order_id}", allowed=(503,)),
        "insert": lambda: ada.place(allowed=(503,)),
        "update": lambda: ada.post(f"/v1/orders/{order_id}/cancel", allowed=(503,)),
    }

    for command, call in calls.items():
        point.fail(command, **ANSWERS[answer])
        require_told_to_come_back(call())
        if command == "find":
            ready = httpx.get(f"{running.url}/readyz")
            assert (ready.status_code, ready.json()["code"]) == (503, "store-unavailable")
    point.fail("find", "getMore", "update", "aggregate", **ANSWERS[answer])
    lines = there.logged().count("store-unavailable; trying again")
    eventually(lambda: there.logged().count("store-unavailable; trying again") > lines + 1)
    point.off()

    eventually(lambda: httpx.get(f"{running.url}/readyz").status_code == 200)
    assert there.processes["worker-0"].exit_code is None
    assert ada.post(f"/v1/orders/{order_id}/cancel").status_code == 200
    # The worker goes on. What it claimed without hearing of it is claimed again after its lease.
    eventually(lambda: is_in_the_feed(running.someone("admin"), order_id), WITHIN_SECONDS)


def is_in_the_feed(auditor: Caller, order_id: str) -> bool:
    after = 0
    while items := (page := auditor.get(f"/v1/events?after={after}&limit=100").json())["items"]:
        if any(each["subject"] == order_id for each in items):
            return True
        after = page["next_cursor"]
    return False


def test_l_replay_majority(shop: tuple[Cluster, Running], ada: Caller, point: FailPoint) -> None:
    with_key = key()
    point.fail("insert", writeConcernError=NO_MAJORITY)

    for _ in range(2):
        require_told_to_come_back(ada.place(with_key=with_key, allowed=(503,)))

    point.off()
    placed = ada.place(with_key=with_key)
    assert placed.status_code == 201
    assert placed.headers["idempotency-replayed"] == "true"
    assert len(ada.orders()) == 1


def test_a_command_that_no_majority_has_is_not_acknowledged(
    shop: tuple[Cluster, Running], ada: Caller, point: FailPoint
) -> None:
    order_id, with_key = ada.placed()["id"], key()
    point.fail("update", writeConcernError=NO_MAJORITY)

    cancelled = ada.post(f"/v1/orders/{order_id}/cancel", with_key=with_key, allowed=(503,))

    require_told_to_come_back(cancelled)
    point.off()
    again = ada.post(f"/v1/orders/{order_id}/cancel", with_key=with_key)
    assert (again.status_code, again.json()["status"]) == (200, "cancelled")
