"""An order keeps its promises whatever happens to it, in whatever order. `make properties` searches
much longer.
"""

from __future__ import annotations

from hypothesis import Phase, settings

from tests.domain.machine.order_machine import OrderMachine

TestAnyOrder = OrderMachine.TestCase
TestAnyOrder.settings = settings(
    max_examples=100,
    stateful_step_count=40,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
)
