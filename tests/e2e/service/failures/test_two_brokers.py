"""Case av-two-brokers: both brokers are configured, and one is away for a while under load."""

from __future__ import annotations

from pathlib import Path
from statistics import median

import pytest

from tests.availability.brokers import lose_one
from tests.support.processes.brokers import RABBITMQ_MISSING, rabbitmq_is_installed
from tests.support.processes.cluster import UNHURRIED

OUTAGE_SECONDS = 12.0

pytestmark = pytest.mark.skipif(not rabbitmq_is_installed(), reason=RABBITMQ_MISSING)


@pytest.mark.parametrize("away", ["rabbitmq", "kafka"])
def test_av_two_brokers(tmp_path: Path, away: str) -> None:
    outcome = lose_one(tmp_path, away, rate=4, seconds=OUTAGE_SECONDS, **UNHURRIED)

    assert (outcome.failed, outcome.lost, outcome.out_of_order) == (0, 0, 0)
    assert outcome.events > outcome.orders > 0
    assert outcome.most_at_other <= 2
    # As soon as ever: nobody waits for the one that is away, not even for its first time-out.
    assert median(outcome.delays) - outcome.usual_delay < OUTAGE_SECONDS / 3
