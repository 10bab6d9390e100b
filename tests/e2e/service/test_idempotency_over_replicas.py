"""Group A over several replicas: a request that is repeated at all of them is one request."""

from __future__ import annotations

import itertools
from collections import Counter
from functools import partial

import pytest

from tests.support.processes.replicas import Stage, one_charge
from tests.support.processes.service import Caller, at_once, key, line, paid

KEYS, COPIES = 20, 50


@pytest.mark.parametrize("pays", [True, False])
def test_a_thousand_duplicates_make_one_order_for_each_key(stage: Stage, *, pays: bool) -> None:
    """Fifty at a time, over three replicas."""
    statuses: Counter[int] = Counter()
    for _ in range(KEYS):
        caller, k = stage.someone(), key()
        content = paid(stage.provider.part(), capture=True) if pays else line(quantity=3)
        copies = itertools.islice(itertools.cycle(stage.everywhere(caller)), COPIES)
        answers = at_once(*[partial(at.place, content, with_key=k) for at in copies])
        statuses.update(answer.status_code for answer in answers)
        made = [a for a in answers if a.status_code == 201]
        assert len({a.json()["id"] for a in made}) == 1
        assert sum("idempotency-replayed" not in a.headers for a in made) == 1
        assert all(int(a.headers["retry-after"]) >= 1 for a in answers if a.status_code == 409)
        _require_one_order(stage, caller, pays=pays)
        (order,) = caller.orders()
        for at in stage.everywhere(caller):
            replay = at.place(content, with_key=k)
            assert (replay.status_code, replay.json()) == (201, order)
            reuse = at.place(line(quantity=7), with_key=k)
            assert (reuse.status_code, reuse.json()["code"]) == (422, "idempotency-key-reuse")
    assert {*statuses} <= {201, 409}
    assert statuses.total() == KEYS * COPIES


def _require_one_order(stage: Stage, caller: Caller, *, pays: bool) -> None:
    (order,) = caller.orders()
    if pays:
        one_charge(stage, order["id"])
        assert len(stage.provider.calls_of(order["id"])) == 1
    assert [each["type"] for each in caller.events(order["id"])].count("OrderCreated") == 1


def test_a_command_repeated_at_all_replicas_is_done_once(stage: Stage) -> None:
    caller, k = stage.someone(), key()
    order = caller.placed(paid(stage.provider.part(), capture=True))
    path = f"/v1/orders/{order['id']}/cancel"
    replicas = itertools.islice(itertools.cycle(stage.everywhere(caller)), 30)
    answers = at_once(*[lambda at=at: at.post(path, {}, with_key=k) for at in replicas])
    assert {answer.status_code for answer in answers} <= {200, 409}
    moved = [kind for kind, _ in stage.provider.moved_of(order["id"])]
    assert moved == ["captured", "refund"]
