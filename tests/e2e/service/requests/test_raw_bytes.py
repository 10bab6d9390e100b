"""Ten thousand spoiled requests over bare sockets: none gets a 5xx, none that is refused acts.

ORDERS_FUZZ_SEED chooses others. What fails is shown with its number, its seed and its bytes.
"""

from __future__ import annotations

import os
from random import Random
from urllib.parse import urlsplit

import httpx
import pytest

from tests.e2e.service.test_money_and_lifecycle import event_of
from tests.fuzzing.raw_client import exchange_all
from tests.fuzzing.raw_run import Judge, Targets, good_requests, spoiled
from tests.support.processes.service import ALWAYS, Caller, Running, key, paid
from tests.support.published_api import Published

SEED = int(os.environ.get("ORDERS_FUZZ_SEED", "1"))
REQUESTS = int(os.environ.get("ORDERS_FUZZ_REQUESTS", "13400"))
"""Three of four have a body of their own."""


@pytest.fixture
def tenant() -> str:
    return f"fuzz-{key()}"


@pytest.fixture
def boss(running: Running, tenant: str) -> Caller:
    return running.someone("admin", tenant=tenant)


async def test_no_bytes_get_a_5xx_or_act_though_they_are_refused(
    running: Running, boss: Caller, tenant: str
) -> None:
    seeds = [boss.placed(paid(external_reference=f"ref-{number}")) for number in range(8)]
    booked, *others = seeds
    (charge,) = running.charges(booked["id"])
    targets = Targets(
        orders=others,
        message=event_of(charge, "payment.captured", status="captured", captured=1250),
        webhook_secret=(running.data / "webhook-secret").read_text(),
        tokens=[*[boss.token] * 8, running.someone(tenant=tenant).token, None],
    )
    document = boss.get("/schema/openapi.json").json()
    judge = Judge(Published(document), ALWAYS, {each["id"]: each["version"] for each in seeds})
    charged = references(running)
    random, port = Random(SEED), urlsplit(running.url).port
    assert port is not None

    good = good_requests(document, targets, random)
    try:
        await exchange_all(port, spoiled(good, targets, random, REQUESTS), judge)
    except* Exception as failures:
        failures.add_note(f"ORDERS_FUZZ_SEED={SEED}")
        raise

    left = {each["id"]: each["version"] for each in boss.orders()}
    if judge.booked:
        left[booked["id"]] = judge.versions[booked["id"]]
    assert left == judge.versions
    for order_id in left:
        sequence = [event["sequence"] for event in boss.events(order_id)]
        assert sequence == list(range(1, len(sequence) + 1))
    assert {each.partition(":")[0] for each in references(running) - charged} <= left.keys()


def references(running: Running) -> set[str]:
    """What the payment service holds payments for: order and attempt."""
    ledger = httpx.get(f"{running.addresses['payments']}/ledger").json()
    return {payment["reference"] for payment in ledger["payments"]}
