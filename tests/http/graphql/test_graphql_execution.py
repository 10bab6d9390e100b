"""What a query picks out of an order is what graphql-core's own executor would answer."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from graphql import (
    GraphQLObjectType,
    GraphQLSchema,
    execute_sync,
    get_named_type,
    parse,
    validate,
)

from orders.application.access import View
from orders.application.details import DETAILS
from orders.entrypoints.graphql.execution import Query, picked
from orders.entrypoints.graphql.queries import build_schema
from orders.entrypoints.http.schemas.responses import OrderResponse
from tests.support.orders import an_order_with_every_part

ORDER: Any = build_schema().type_map["Order"]
SCHEMA = GraphQLSchema(ORDER)
"""One order is the root here: nothing is asked of a use case."""


class Author:
    """Writes valid queries in which each member is asked for once in a place."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._fragments: list[str] = []

    def query(self) -> str:
        """A query, its fragments after it."""
        chosen = self._selection(ORDER)
        used = "a: __typename @include(if: $yes) b: __typename @skip(if: $no)"
        head = f"query ($yes: Boolean!, $no: Boolean = false) {{{used} ...on Order {chosen}}}"
        return head + "".join(self._fragments)

    def _selection(self, of: GraphQLObjectType) -> str:
        names = self._chance.sample([*of.fields], self._chance.randint(1, len(of.fields)))
        fields = [self._field(of, name) for name in names] + ["__typename", "kind: __typename"]
        cut = self._chance.randint(0, len(fields))
        apart = fields[cut:]
        if not apart:
            return "{" + " ".join(fields) + "}"
        body = "{" + " ".join(apart) + "}"
        if self._chance.random() < 0.5:
            spread = f"... on {of.name} {self._condition()} {body}"
        else:
            name = f"f{len(self._fragments)}"
            self._fragments.append(f" fragment {name} on {of.name} {body}")
            spread = f"...{name} {self._condition()} ...{name}"
        return "{" + " ".join([*fields[:cut], spread]) + "}"

    def _field(self, of: GraphQLObjectType, name: str) -> str:
        kind = get_named_type(of.fields[name].type)
        below = self._selection(kind) if isinstance(kind, GraphQLObjectType) else ""
        alias = f"other_{name}: " if self._chance.random() < 0.3 else ""
        written = f"{alias}{name} {self._condition()} {below}"
        # The same field again under the same name: what is below it is one selection.
        return written if self._chance.random() < 0.8 else f"{written} {written}"

    def _condition(self) -> str:
        return self._chance.choice(
            [
                "",
                "",
                "",
                "@include(if: $yes)",
                "@skip(if: $no)",
                "@include(if: $no)",
                "@skip(if: true)",
            ]
        )


def by_the_book(query: str, order: Any) -> Any:
    """The answer of graphql-core."""

    def member(source: Any, info: Any) -> Any:
        return source.get(info.parent_type.fields[info.field_name].extensions["member"])

    done = execute_sync(
        SCHEMA, parse(query), order, variable_values={"yes": True}, field_resolver=member
    )
    assert done.errors is None, (query, done.errors)
    return done.data


def ours(query: str, order: Any) -> Any:
    """The answer as the route makes it."""
    asked = Query(SCHEMA, parse(query), None, {"yes": True})
    return {
        key: root.of.name
        if root.definition is None
        else picked(order.get(root.definition.extensions["member"]), asked.plan_of(root))
        for key, root in asked.roots().items()
    }


@pytest.mark.parametrize("view", View)
def test_an_answer_is_what_the_language_says(view: View) -> None:
    order = msgspec.to_builtins(OrderResponse.of(an_order_with_every_part().state, view, DETAILS))
    for seed in range(60):
        query = Author(random.Random(seed)).query()
        assert validate(SCHEMA, parse(query)) == [], query
        assert ours(query, order) == by_the_book(query, order), query
