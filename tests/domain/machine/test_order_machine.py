"""An order keeps its promises whatever happens to it, in whatever order.

`HYPOTHESIS_PROFILE=long python -m pytest tests/domain/machine/test_order_machine.py` searches much
longer, each time elsewhere.
"""

from __future__ import annotations

import os
from typing import Final

from hypothesis import settings

from tests.domain.machine.order_machine import OrderMachine

LONG: Final = os.environ.get("HYPOTHESIS_PROFILE") == "long"

TestAnyOrder = OrderMachine.TestCase
TestAnyOrder.settings = settings(
    max_examples=20_000 if LONG else 300,
    stateful_step_count=80 if LONG else 40,
    derandomize=not LONG,
    database=None,
    deadline=None,
)
