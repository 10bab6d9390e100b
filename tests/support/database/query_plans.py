"""How a database finds what a query asks for, whatever its engine calls that.

MongoDB and engines of its kind name stages and indexes; others show a plan of the database below
them. What no engine of ours says is not judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pytest
from pymongo.errors import OperationFailure

from orders.adapters.mongo.connection import Database
from orders.adapters.mongo.documents import ORDERS

LIMIT: Final = 20
_STAGES: Final = ("stage", "Node Type")
_INDEXES: Final = ("indexName", "Index Name")
_SCANS: Final = {"COLLSCAN", "Seq Scan", "Parallel Seq Scan"}


@dataclass(frozen=True, slots=True)
class Plan:
    """What an engine says of one query, for at most `LIMIT` documents."""

    is_scan: bool
    """It reads the whole collection."""
    indexes: frozenset[str]
    """The names of the indexes that it uses, as the engine calls them."""
    examined: int | None
    """How many documents it has read; None if the engine does not count them."""


async def plan_of(
    database: Database, query: Mapping[str, Any], sort: Sequence[tuple[str, int]]
) -> Plan:
    """Return the plan of a query on orders. Skips where the engine shows none."""
    try:
        said = await database[ORDERS].find(query, sort=[*sort], limit=LIMIT).explain()
    except OperationFailure:
        pytest.skip("the engine explains no query")
    plan = said.get("queryPlanner", {}).get("winningPlan") or said
    stages = {*_values(plan, _STAGES)}
    if not stages:
        pytest.skip("the engine explains queries in a form of its own")
    return Plan(
        is_scan=bool(stages & _SCANS),
        indexes=frozenset(_values(plan, _INDEXES)),
        examined=said.get("executionStats", {}).get("totalDocsExamined"),
    )


def _values(plan: object, names: Sequence[str]) -> Iterator[str]:
    """Every value of a member with one of these names, however deep."""
    if isinstance(plan, Mapping):
        yield from (plan[name] for name in names if name in plan)
        for inner in plan.values():
            yield from _values(inner, names)
    elif isinstance(plan, list):
        for inner in plan:
            yield from _values(inner, names)
