"""The published description is OpenAPI 3.1, complete, strict, and true of the running code."""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError
from litestar.routes import HTTPRoute
from msgspec import convert

from orders.application.access import Operation
from orders.entrypoints.http.app import description
from orders.entrypoints.http.openapi.examples import EXAMPLES
from orders.entrypoints.http.routes.commands import COMMANDS
from tests.support.api import Api, Front

REFERENCE = re.compile(r"#/components/schemas/([^']+)'")
PUBLIC = {"livez", "readyz", "receive_payment_event"}
NOT_COMMANDS = {
    *("place_for_others", "state_prices", "see_notes", "set_terms"),
    *("record_payment", "record_refund", "write_off"),
    *("see_packing", "see_phone", "see_email", "see_billing"),
    *("see_outbox", "resend_events", "drop_events", "replay_events"),
}
"""Operations of the access table that are a way of doing another one, a list of parts, or done by
`orders outbox` and `orders events` alone."""


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return description()


@pytest.fixture(scope="module")
def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        operation["operationId"]: operation
        for methods in document["paths"].values()
        for operation in methods.values()
    }


def parameters(operation: dict[str, Any]) -> set[str]:
    return {parameter["name"] for parameter in operation.get("parameters", [])}


async def test_the_application_serves_it_to_everyone(api: Api, document: dict[str, Any]) -> None:
    answer = await api.client.get("/schema/openapi.json")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == json.loads(json.dumps(document))


def test_it_is_openapi_3_1(document: dict[str, Any]) -> None:
    assert re.fullmatch(r"3\.1\.\d+", document["openapi"])
    assert document["info"]["title"] == "Order Service"


def test_every_schema_is_one(document: dict[str, Any]) -> None:
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    names = set(REFERENCE.findall(str(document)))

    assert names
    assert names <= document["components"]["schemas"].keys()


OF_ANOTHER_CONTRACT = "/v1/graphql"
"""OpenAPI could say no more of it than "a query": infra/contracts/orders.graphql does."""


def test_it_has_every_route_of_the_application(front: Front, document: dict[str, Any]) -> None:
    served = {
        (route.path_format, method.lower())
        for route in front.app.routes
        if isinstance(route, HTTPRoute)
        and not route.path.startswith(("/schema", OF_ANOTHER_CONTRACT))
        for method in route.methods
        if method != "OPTIONS"
    }

    paths = document["paths"].items()
    assert served == {(path, method) for path, methods in paths for method in methods}
    assert len(served) > 40


def test_every_operation_has_a_name_of_its_own_and_says_what_it_is_for(
    document: dict[str, Any],
) -> None:
    every = [operation for methods in document["paths"].values() for operation in methods.values()]

    names = Counter(operation["operationId"] for operation in every)
    assert names.most_common(1)[0][1] == 1
    assert all(operation["summary"] and operation["tags"] for operation in every)


def test_every_operation_of_the_access_table_can_be_called(
    operations: dict[str, dict[str, Any]],
) -> None:
    assert {operation.value for operation in Operation} - NOT_COMMANDS <= operations.keys()


def test_only_the_public_operations_need_no_token(
    document: dict[str, Any], operations: dict[str, dict[str, Any]]
) -> None:
    open_to_all = {
        name for name, operation in operations.items() if operation.get("security") == []
    }

    assert document["security"] == [{"accessToken": []}]
    assert open_to_all == PUBLIC
    for name, operation in operations.items():
        assert ("401" in operation["responses"]) is (name not in PUBLIC)


def test_bodies_are_strict_and_answers_may_grow(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    bodies = {name for name in schemas if name.endswith("Body")}
    objects = {name for name, schema in schemas.items() if schema["type"] == "object"}
    sent = reached(document, bodies)

    assert len(bodies) > 20
    assert len(objects - bodies) > 20
    assert sent & objects == bodies, "a schema is of requests or of answers, not of both"
    for name in objects:
        assert schemas[name]["additionalProperties"] is (name not in bodies), name


def reached(document: dict[str, Any], names: set[str]) -> set[str]:
    """These schemas, and all that they refer to."""
    schemas, found = document["components"]["schemas"], set[str]()
    while names:
        found |= names
        names = set(REFERENCE.findall(str([schemas[name] for name in names]))) - found
    return found


async def test_a_member_that_is_not_described_is_noticed(api: Api) -> None:
    path = f"/orders/{(await api.placed())['id']}"
    answer = await api.get(path)
    api.front.published.judge(answer)
    order, grown = answer.json(), {"mood": "good"}
    for body in ({**order, **grown}, {**order, "lines": [{**order["lines"][0], **grown}]}):
        answer._content = json.dumps(body).encode()
        with pytest.raises(ValidationError, match="'mood' was unexpected"):
            api.front.published.judge(answer)


def test_every_body_has_an_example_that_it_allows(front: Front, document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    sent = {
        REFERENCE.findall(str(content["schema"]))[0]
        for methods in document["paths"].values()
        for operation in methods.values()
        for content in operation.get("requestBody", {"content": {}})["content"].values()
    }

    assert sent <= EXAMPLES.keys()
    for name in EXAMPLES:
        for example in schemas[name]["examples"]:
            front.published.validator_of(schemas[name]).validate(example)


def test_a_body_has_an_example_of_each_operation_that_it_can_ask_for(
    document: dict[str, Any],
) -> None:
    for command in COMMANDS:
        examples = document["components"]["schemas"][command.body.__name__]["examples"]
        if command.operation_of is not None:
            asked_for = {command.operation_of(convert(each, command.body)) for each in examples}
            assert len(asked_for) == 2, command.path


async def test_the_example_of_placing_works_as_it_is(api: Api) -> None:
    answer = await api.post("/orders", EXAMPLES["PlaceOrderBody"], who="till")

    assert answer.status_code == 201
    assert answer.json()["payment_status"] == "authorized"


def test_commands_publish_their_conditions(operations: dict[str, dict[str, Any]]) -> None:
    commands = {n: o for n, o in operations.items() if "Commands" in o["tags"] or n == "edit"}

    assert len(commands) == len(COMMANDS) + len(("edit", "propose_change", "correct_shipment"))
    for operation in commands.values():
        assert {"Idempotency-Key", "If-Match", "dry_run"} <= parameters(operation)
        assert {"409", "412", "422"} <= operation["responses"].keys()
    assert {"Idempotency-Key", "dry_run"} <= parameters(operations["place"])
    for name in ("read", "read_by_number", "read_by_reference"):
        assert "If-None-Match" in parameters(operations[name])
        assert "304" in operations[name]["responses"]


def test_parameters_keep_their_order(operations: dict[str, dict[str, Any]]) -> None:
    """Clients made from the description take their arguments in it."""
    orders = {
        name: [each["name"] for each in operations[name]["parameters"]]
        for name in ("place", "confirm", "edit", "correct_shipment", "read")
    }
    assert orders == {
        "place": ["Idempotency-Key", "dry_run"],
        "confirm": ["order_id", "Idempotency-Key", "If-Match", "dry_run"],
        "edit": ["order_id", "Idempotency-Key", "If-Match", "dry_run"],
        "correct_shipment": ["order_id", "part_id", "Idempotency-Key", "If-Match", "dry_run"],
        "read": ["order_id", "If-None-Match"],
    }


def test_the_list_publishes_its_filters(operations: dict[str, dict[str, Any]]) -> None:
    assert parameters(operations["list"]) == {
        "status",
        "payment_status",
        "fulfillment_status",
        "return_status",
        "dispute_status",
        "customer_id",
        "number",
        "external_reference",
        "created_from",
        "created_before",
        "outstanding",
        "ready_to_ship",
        "overdue",
        "updated_from",
        "sort",
        "limit",
        "cursor",
    }


def test_every_problem_is_published_as_one(operations: dict[str, dict[str, Any]]) -> None:
    for operation in operations.values():
        for status, answer in operation["responses"].items():
            if status >= "400":
                assert [*answer["content"]] == ["application/problem+json"]


def test_a_class_of_statuses_has_one_type(operations: dict[str, dict[str, Any]]) -> None:
    """Some generators have one type for all successes of an operation, one for all its errors."""
    for name, operation in operations.items():
        for digits in ("2", "45"):
            answers = [a for s, a in operation["responses"].items() if s[0] in digits]
            types = {str(answer.get("content")) for answer in answers}
            assert len(types) == 1, name


def test_making_it_leaves_the_log_of_the_process_alone() -> None:
    before = [*logging.getLogger().handlers], logging.getLogger().level

    description()

    assert ([*logging.getLogger().handlers], logging.getLogger().level) == before


def test_it_tells_no_secret_and_no_name_of_a_class(document: dict[str, Any]) -> None:
    text = str(document)

    for word in ("orders.entrypoints", "msgspec", "litestar", "Litestar", "127.0.0.1"):
        assert word not in text
