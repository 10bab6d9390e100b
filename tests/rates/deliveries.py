"""Whether consumers were told all of it, in order, and the same each time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tests.chaos.deliveries import Delivery


def faults(by_order: Mapping[str, Sequence[Delivery]], wanted: Mapping[str, int]) -> Iterator[str]:
    """What is wrong with the deliveries, when `wanted` is the last sequence of each order."""
    if missing := wanted.keys() - by_order.keys():
        yield f"{len(missing)} orders were never told of"
    for order_id, deliveries in by_order.items():
        firsts: dict[int, Delivery] = {}
        for each in deliveries:
            if firsts.setdefault(each.sequence, each).raw != each.raw:
                yield f"{each.id} came in two forms"
        if [*firsts] != [*range(1, wanted.get(order_id, 0) + 1)]:
            yield f"{order_id} came as {[*firsts]}"


def repeated(by_order: Mapping[str, Sequence[Delivery]]) -> int:
    """How many deliveries were of an event that had come before."""
    return sum(len(own) - len({each.sequence for each in own}) for own in by_order.values())
