"""A real Prometheus watches the real service: what goes wrong is told, and what is well is not.

All incidents, also those that need brokers: `make alerts`.
"""

from __future__ import annotations

import time

import pytest

from tests.operating.incidents import INCIDENTS, RunningShop, play

QUIET_SECONDS = 4  # two minutes of the rules


def test_nothing_is_told_while_all_is_well(shop: RunningShop) -> None:
    until = time.monotonic() + QUIET_SECONDS
    while time.monotonic() < until:
        assert shop.prometheus.firing() == set()
    assert shop.prometheus.troubled_rules() == {}


@pytest.mark.parametrize("name", ["worker", "database"])
def test_what_goes_wrong_is_told_until_it_is_over(shop: RunningShop, name: str) -> None:
    course = play(INCIDENTS[name], shop)
    assert course.also == set()
