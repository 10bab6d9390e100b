"""Run many histories, and tell which of them break a promise.

`python -m tests.simulation --first 17 --histories 1 --story` shows what happened in one.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from tests.simulation.history import History, run
from tests.simulation.invariants import violations


def main() -> int:
    """Returns 1 if a history broke a promise."""
    arguments = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    arguments.add_argument("--histories", type=int, default=10_000)
    arguments.add_argument("--first", type=int, default=0, help="the first seed")
    arguments.add_argument("--story", action="store_true", help="tell everything that happened")
    chosen = arguments.parse_args()

    began, seen, broken = time.monotonic(), Counter[str](), 0
    for seed in range(chosen.first, chosen.first + chosen.histories):
        history = run(seed)
        seen += _seen(history)
        if chosen.story:
            for at, who, what in history.world.story:
                _tell(f"{at:9.3f}  {who:<24} {what}")
        if found := violations(history):
            broken += 1
            _tell(f"seed {seed}: " + "; ".join(found))
        done = seed - chosen.first + 1
        if done % 1_000 == 0:
            _tell(f"{done} histories, {broken} of them broken")
    seconds = time.monotonic() - began
    _tell(f"seeds {chosen.first} to {chosen.first + chosen.histories - 1}, {broken} of them broken")
    _tell(f"{chosen.histories / seconds * 60:,.0f} histories a minute")
    for what, times in sorted(seen.items()):
        _tell(f"{times:>12,}  {what}")
    return 1 if broken else 0


def _seen(history: History) -> Counter[str]:
    """What a history had to offer."""
    outside = history.outside
    orders = outside.orders.latest()
    words = Counter(what for _, _, what in history.world.story)
    seen = Counter(f"orders left {state.status}" for state in orders.values())
    seen["orders"] = len(orders)
    seen["answers that clients got"] = len(history.told)
    for state in orders.values():
        seen["disputes"] += len(state.ledger.disputes)
        seen["refunds"] += len(state.ledger.refunds)
        seen["refunds that failed"] += sum(r.status == "failed" for r in state.ledger.refunds)
        seen["payments recorded by hand"] += sum(
            p.manual is not None for p in state.ledger.payments
        )
        seen["parcels that failed"] += sum(s.status == "failed" for s in state.shipments)
        seen["orders with terms"] += state.terms is not None
    seen["deaths of processes"] = words["dies"]
    seen["stalls of processes"] = words["stalls"]
    seen["times that the store had no majority"] = words["has no majority"]
    seen["times that it lost what was written then"] = words["undoes what no majority had"]
    for broker in outside.brokers.values():
        seen["events"] += len(broker.arrived_at)
        seen["repeated deliveries"] += len(broker.published) - len(broker.arrived_at)
    seen["calls to the payment service"] = sum(outside.provider.calls.values())
    seen["payments there"] = len(outside.provider.books())
    seen["calls across the network"] = len(history.world.story)
    return seen


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
