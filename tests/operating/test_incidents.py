"""A real Prometheus watches the real service: what goes wrong is told, and what is well is not.

All incidents: `make alerts`; its last report is in `docs/reports/`.
"""

from __future__ import annotations

import time

from tests.operating.incidents import INCIDENTS, LOST, RunningShop, play

QUIET_SECONDS = 4  # two minutes of the rules


def test_nothing_is_told_while_all_is_well(shop: RunningShop) -> None:
    until = time.monotonic() + QUIET_SECONDS
    while time.monotonic() < until:
        assert not shop.prometheus.firing() & LOST
    assert shop.prometheus.troubled_rules() == {}


def test_a_lost_database_is_told_until_it_is_back(shop: RunningShop) -> None:
    course = play(INCIDENTS["database"], shop)
    assert not course.also & LOST
