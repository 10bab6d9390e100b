"""GraphQL from outside: REST's answers, limits and secrets, in another language."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.processes.service import Caller, Running, paid

MUCH = {
    "deep": "{a" * 500 + "}" * 500,
    "wide": "{orders {edges {node {" + "id " * 5_000 + "}}}}",
    "the same list again": "{"
    + " ".join(f"a{n}: orders {{edges {{cursor}}}}" for n in range(50))
    + "}",
    "the same lines again": "{orders {edges {node {"
    + " ".join(f"a{n}: lines {{id}}" for n in range(30))
    + "}}}}",
    "doubled fragments": "{...f0}"
    + "".join(f"fragment f{n} on Query {{...f{n + 1} ...f{n + 1}}}" for n in range(60)),
    "introspection": "{__schema {types {name}}}",
    "no query": "\x00{",
    "a mutation": 'mutation {cancel(id: "1") {id}}',
}


def ask(caller: Caller, query: str, **members: Any) -> dict[str, Any]:
    answer = caller.post("/v1/graphql", {"query": query, **members})
    assert answer.status_code == 200, answer.text
    assert "ratelimit" in answer.headers
    found: dict[str, Any] = answer.json()
    return found


def codes(answer: dict[str, Any]) -> list[str]:
    return [each["extensions"]["code"] for each in answer["errors"]]


def test_an_order_is_shown_as_rest_shows_it(ada: Caller, bob: Caller) -> None:
    order = ada.placed(paid())
    query = """query ($id: ID!) {
      order(id: $id) {number status paymentStatus totals {due} lines {sku total}}
      orders(first: 1, filter: {status: [confirmed]}) {edges {node {id}} pageInfo {hasNextPage}}
    }"""
    variables = {"id": order["id"]}
    assert ask(ada, query, variables=variables) == {
        "data": {
            "order": {
                "number": order["number"],
                "status": "confirmed",
                "paymentStatus": "authorized",
                "totals": {"due": order["totals"]["due"]},
                "lines": [{"sku": "MUG-RED", "total": 1250}],
            },
            "orders": {
                "edges": [{"node": {"id": order["id"]}}],
                "pageInfo": {"hasNextPage": False},
            },
        }
    }
    strange = ask(bob, query, variables=variables)
    assert strange["data"] == {
        "order": None,
        "orders": {"edges": [], "pageInfo": {"hasNextPage": False}},
    }
    assert codes(strange) == ["order-not-found"]


@pytest.mark.parametrize("name", MUCH)
def test_a_query_that_asks_for_too_much_is_refused(ada: Caller, name: str) -> None:
    assert set(codes(ask(ada, MUCH[name]))) <= {"invalid-graphql", "graphql-too-costly"}


def test_what_rest_refuses_at_the_door_is_refused_here(running: Running, ada: Caller) -> None:
    assert (
        running.nobody().post("/v1/graphql", {"query": "{orders {edges {cursor}}}"}).status_code
        == 401
    )
    assert ada.get("/v1/graphql?query={orders{edges{cursor}}}").status_code == 405
    assert ada.post("/v1/graphql", [{"query": "{__typename}"}]).status_code == 422
    assert ada.post("/v1/graphql", {"query": "{__typename}", "more": 1}).status_code == 422
    assert ada.post("/v1/graphql", {"query": "{__typename}" + " " * 70_000}).status_code == 413
