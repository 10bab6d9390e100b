"""A real Prometheus watches the real service: what goes wrong is told, and what is well is not.

All incidents: `make alerts`; its last report is in `docs/reports/`.
"""

from __future__ import annotations

import re
import time

from tests.operating.incidents import INCIDENTS, play
from tests.operating.shop import LOST, RunningShop
from tests.support.processes.prometheus_process import RULES

QUIET_SECONDS = 4  # two minutes of the rules


def test_nothing_is_told_while_all_is_well(shop: RunningShop) -> None:
    until = time.monotonic() + QUIET_SECONDS
    while time.monotonic() < until:
        assert not shop.prometheus.firing() & LOST
    assert shop.prometheus.troubled_rules() == {}


def test_each_alert_is_caused_by_an_incident() -> None:
    rules = "".join(file.read_text(encoding="utf-8") for file in RULES.glob("*.yml"))
    caused = frozenset().union(*(each.alerts for each in INCIDENTS.values()))
    assert caused == {*re.findall(r"alert: (\w+)", rules)}


def test_a_lost_database_is_told_until_it_is_back(shop: RunningShop) -> None:
    course = play(INCIDENTS["database"], shop)
    assert not course.also & LOST


def test_a_replica_that_alone_lost_its_database_is_told_apart(shop: RunningShop) -> None:
    course = play(INCIDENTS["not-ready"], shop)
    assert "OrdersDatabaseLost" not in course.also


def test_a_wrong_credential_is_told_as_ours(shop: RunningShop) -> None:
    course = play(INCIDENTS["refused"], shop)
    assert "OrdersPaymentsFailing" not in course.also
    assert "payments authorize: the payment service returned 401" in shop.service.logged()
