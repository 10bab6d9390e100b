"""No query is worth a 5xx or much work: what is too much is refused before it is executed."""

from __future__ import annotations

import random
from typing import Any

import pytest

from orders.entrypoints.graphql.documents import MAX_FIELDS
from tests.support.api import Api

ROOTS = " ".join(f"a{n}: order(id: 1) {{id}}" for n in range(6))
PAGE = "orders(first: 100) {edges {node {" + " ".join(f"b{n}: id" for n in range(40)) + "}}}"
DOUBLING = "".join(f"fragment f{n} on Query {{...f{n + 1} ...f{n + 1}}}" for n in range(40))
ALL = "{orders(first: 100) {edges {cursor node {id lines {id sku name quantity}}}}}"

TOO_COSTLY = {
    "many fields": "{order(id: 1) {" + "id " * (MAX_FIELDS + 1) + "}}",
    "many aliases at the root": "{" + ROOTS + "}",
    "many through a fragment": "{...f} fragment f on Query {" + ROOTS + "}",
    "doubling fragments": f"{{...f0}} {DOUBLING} fragment f40 on Query {{__typename}}",
    "deep": "{a" * 16 + "}" * 16,
    "very deep": "{a" * 200 + "}" * 200,
    "aliases below the root": "{order(id: 1) {a: lines {id} b: lines {id}}}",
    "aliases through fragments": (
        "{order(id: 1) {...f a: lines {id}}} fragment f on Order {lines {id}}"
    ),
    "large pages": "{" + " ".join(f"a{n}: {PAGE}" for n in range(5)) + "}",
}
INVALID = {
    "nothing": "",
    "white space": " \n ",
    "a comment": "# " + "x" * 10_000,
    "a NUL": "\x00",
    "many tokens": "{" + "," * 10 + "a " * 1_000 + "}",
    "deeper than Python": "{a" * 330 + "}" * 330,
    "deep lists": "{order(id: " + "[" * 900 + "1" + "]" * 900 + ")}",
    "many directives": "{order(id: 1) {id " + "@skip(if: false) " * 100 + "}}",
    "unknown directives": "{order(id: 1) {id " + "@x " * 300 + "}}",
    "a circle of fragments": "{...a} fragment a on Query {...b} fragment b on Query {...a}",
    "a fragment in itself": "{order(id: 1) {...a}} fragment a on Order {id ...a}",
    "no such fragment": "{...nowhere}",
    "a mutation": "mutation {cancel {id}}",
    "a subscription": "subscription {orders {edges {cursor}}}",
    "two without a name": "{orders {edges {cursor}}} {orders {edges {cursor}}}",
    "a type": "type Query {a: Int}",
    "deferred": "{order(id: 1) {... @defer {id}}}",
    "no argument": "{order {id}}",
    "no selection": "{order(id: 1) {}}",
    "an integer beyond 32 bits": "{orders(first: 9999999999) {edges {cursor}}}",
    "an object as an id": "{order(id: {a: 1}) {id}}",
    "introspection": "{__schema {types {name}}}",
}


async def send(api: Api, query: str, **members: Any) -> tuple[int, list[str], str]:
    """Status, codes of the errors, and text of an answer."""
    answer = await api.call("POST", "/graphql", {"query": query, **members})
    found = answer.json()
    codes = [error["extensions"]["code"] for error in found.get("errors", [])]
    return answer.status_code, codes or [found.get("code")], answer.text


@pytest.mark.parametrize("name", TOO_COSTLY)
async def test_what_costs_too_much_is_refused(api: Api, name: str) -> None:
    status, codes, _ = await send(api, TOO_COSTLY[name])

    assert (status, codes) == (200, ["graphql-too-costly"])


@pytest.mark.parametrize("name", INVALID)
async def test_what_is_no_query_of_this_schema_is_refused_shortly(api: Api, name: str) -> None:
    status, codes, text = await send(api, INVALID[name])

    assert status == 200
    assert set(codes) <= {"invalid-graphql", "graphql-too-costly"}, codes
    assert len(text) < 4_000


@pytest.mark.parametrize(
    "variables",
    [{"n": "x"}, {"n": 1e400}, {"n": 2**53}, {"n": [[]]}, {"n": True}, {}, {"n": None}],
)
async def test_variables_of_another_kind_are_refused(api: Api, variables: dict[str, Any]) -> None:
    query = "query($n: Int!) {orders(first: $n) {edges {cursor}}}"
    status, codes, _ = await send(api, query, variables=variables)

    assert (status, codes) == (200, ["invalid-graphql"])


@pytest.mark.parametrize("name", ["b", ""])
async def test_a_name_must_be_of_an_operation(api: Api, name: str) -> None:
    status, codes, _ = await send(api, "query a {__typename}", operationName=name)

    assert (status, codes) == (200, ["invalid-graphql"])


async def test_a_size_below_one_pays_for_no_other_page(api: Api) -> None:
    pages = " ".join(f"a{n}: {PAGE}" for n in range(4))
    query = "{a: orders(first: -100000) {edges {cursor}} " + pages + "}"
    _, codes, _ = await send(api, query)

    assert codes == ["graphql-too-costly"]


async def test_garbled_queries_get_no_5xx(api: Api) -> None:
    """Seeded: the same ones every time."""
    chance = random.Random(7)
    sound = [*INVALID.values(), *TOO_COSTLY.values(), ALL, "query q($a: ID!) {order(id: $a) {id}}"]
    sound = [query[:400] for query in sound if query.strip()]
    pieces = ["{", "}", "(", ")", "...", "$a", '"', '"""', "@", "\\u", "on", "!", "é", "\U0001f600"]
    for _ in range(300):
        query = chance.choice(sound)
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(query) + 1)
            query = query[:at] + chance.choice(pieces) + query[at + chance.randint(0, 5) :]
        answer = await api.call("POST", "/graphql", {"query": query, "variables": {"a": "1"}})
        assert answer.status_code < 500, query
