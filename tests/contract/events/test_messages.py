"""The published form of events: what other services rely on is what the code sends."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from dataclasses import fields, replace
from datetime import datetime
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import pytest

from orders.adapters.contracts.events.event_samples import EVERY_EVENT, logged_events
from orders.adapters.contracts.samples import STAFF
from orders.adapters.messages import EVENTS, cloud_event, encode, event_name
from orders.application.ports import LoggedEvent
from orders.domain.events import OrderCreated, ReturnReceived
from orders.domain.identifiers import PartId
from orders.entrypoints.published.event_samples import MESSAGES
from orders.entrypoints.published.event_schemas import schema_of
from tests.contract.events.published_events import (
    CONTRACTS,
    judge_strictly,
    published,
    strict,
    validator,
)

ROOT = Path(__file__).parents[3]
NAMES = [event.__name__ for event in EVENTS]

# CloudEvents 1.0.2, 3.1: names of attributes.
ATTRIBUTE = re.compile(r"[a-z0-9]{1,20}\Z")


def sent(logged: LoggedEvent) -> Any:
    return json.loads(encode(logged))


def test_the_files_are_as_the_code_says() -> None:
    command = [sys.executable, "infra/contracts/generate.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("", 0), "run python infra/contracts/generate.py"


def test_every_event_has_a_schema_and_a_golden_message_and_no_other_has() -> None:
    assert {path.name for path in (CONTRACTS / "events").iterdir()} == {
        f"{name}.v1.{kind}.json" for name in NAMES for kind in ("schema", "data.schema", "golden")
    }


@pytest.mark.parametrize("name", NAMES)
def test_the_golden_message_is_what_its_schemas_say(name: str) -> None:
    golden = published(f"{name}.v1.golden")
    judge_strictly(golden)
    data = published(f"{name}.v1.data.schema")
    assert data["$id"] == golden["dataschema"]
    validator(strict(data)).validate(golden["data"])


@pytest.mark.parametrize("name", NAMES)
def test_a_consumer_accepts_what_a_later_version_may_add(name: str) -> None:
    message, open_schema = published(f"{name}.v1.golden"), published(f"{name}.v1.schema")
    closed = validator(strict(open_schema))
    parts = message, message["data"], message["data"]["change"], message["data"]["after"]
    for part in parts:
        part["x_added"] = {"x": 1}
        assert not closed.is_valid(message)
        del part["x_added"]
    for part in parts:
        part["x_added"] = {"x": 1}
    message["data"]["after"]["payment_status"] = message["data"]["actor"] = "added"
    validator(open_schema).validate(message)
    validator(published(f"{name}.v1.data.schema")).validate(message["data"])


@pytest.mark.parametrize("logged", logged_events(), ids=lambda each: event_name(each.recorded))
def test_no_member_may_be_left_out_or_be_of_another_type(logged: LoggedEvent) -> None:
    check = validator(published(f"{event_name(logged.recorded)}.v1.schema"))
    message = sent(logged)
    check.validate(message)
    data = message["data"]
    nullable = {
        each.name for each in fields(logged.recorded.event) if "None" in str(each.type).split(" | ")
    }
    for part in (message, data, data["change"], data["after"]):
        for member in set(part) - {"traceparent"} - nullable:
            value = part.pop(member)
            assert not check.is_valid(message), f"{member} may be left out"
            part[member] = None
            assert not check.is_valid(message), f"{member} may be null"
            part[member] = value
    check.validate(message)


def test_the_envelope_of_a_message() -> None:
    (logged,) = logged_events((OrderCreated(number="N", currency="EUR", lines=1, gross=5),))
    logged = replace(logged, tenant="a b/ü")

    message = sent(logged)

    order_id = str(logged.order_id)
    assert message | {"data": None} == {
        "specversion": "1.0",
        "id": f"{order_id}:1",
        "type": "orders.OrderCreated.v1",
        "source": f"/tenants/a%20b%2F%C3%BC/orders/{order_id}",
        "subject": order_id,
        "time": "2026-03-01T12:00:00.124Z",
        "datacontenttype": "application/json",
        "dataschema": "urn:orders:OrderCreated:v1",
        "sequence": "0000000001",
        "sequencetype": "Integer",
        "partitionkey": order_id,
        "traceparent": "00-00000000000000000000000000000001-0000000000000001-01",
        "data": None,
    }
    assert message["data"]["change"] == {"number": "N", "currency": "EUR", "lines": 1, "gross": 5}
    assert (message["data"]["version"], message["data"]["actor"]) == (2, "staff")
    assert all(ATTRIBUTE.match(name) for name in message)
    assert datetime.fromisoformat(message["time"]) == logged.recorded.occurred_at


def test_sequences_sort_as_text() -> None:
    sequences = [sent(logged)["sequence"] for logged in logged_events(first=95)]
    assert sequences == sorted(sequences)
    assert [int(each) for each in sequences] == [*range(95, 95 + len(EVERY_EVENT))]


def test_an_event_without_a_trace_has_no_empty_one() -> None:
    untraced = logged_events()[1]
    assert untraced.traceparent is None
    assert "traceparent" not in sent(untraced)


def test_the_same_event_always_gives_the_same_bytes() -> None:
    for logged in logged_events():
        again = replace(logged, position=7)
        assert encode(logged) == encode(again)
        assert not re.search(rb"\s", re.sub(rb'"[^"]*"', b"", encode(logged)))


@pytest.mark.parametrize(
    ("lines", "units", "documented"),
    [(2_000, 1, 17_800), (2_000, 100_000, 27_800), (10_000, 10_000_000, 160_000)],
)
def test_messages_are_as_large_as_documented(lines: int, units: int, documented: int) -> None:
    items = {PartId(str(number)): units for number in range(1, lines + 1)}
    event = ReturnReceived(return_id=PartId("1"), items=items, credited=units)
    (logged,) = logged_events((event,))
    assert abs(len(encode(logged)) - documented) < 250
    assert f"{documented:,}" in (ROOT / "docs" / "events.md").read_text()


def test_who_it_was_is_told_to_nobody() -> None:
    for logged in logged_events():
        assert STAFF.subject.encode() not in encode(logged)
        assert cloud_event(logged).data.actor == STAFF.kind


# -- the promise ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def broken() -> Callable[[Any, Any], list[str]]:
    """The check that the generator of the contracts makes before it writes one."""
    module = runpy.run_path(str(ROOT / "infra" / "contracts" / "generate.py"))
    return lambda old, new: list(module["broken"](old, new))


def changed(document: Any, *path: str, to: Any = None) -> Any:
    """A copy with another value at a path; without a value, it is taken out."""
    copy = deepcopy(document)
    *above, last = path
    where = reduce(getitem, above, copy)
    if to is None:
        del where[last]
    else:
        where[last] = to
    return copy


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (("properties", "region"), {"type": "string"}),
        (("$defs", "OrderAfter", "properties", "tips"), {"type": "integer", "format": "int64"}),
        (("$defs", "OrderStatus", "x-extensible-enum"), [
            "archived", "cancelled", "completed", "confirmed", "expired", "pending",
        ]),
        (("description",), "Said better."),
    ],
)  # fmt: skip
def test_members_and_values_may_be_added_without_a_new_version(
    broken: Callable[[Any, Any], list[str]], path: tuple[str, ...], to: Any
) -> None:
    schema = schema_of(OrderCreated)
    assert broken(schema, changed(schema, *path, to=to)) == []
    golden = published("OrderCreated.v1.golden")
    assert broken(golden, golden | {"region": "eu"}) == []


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (("properties", "traceparent"), None),
        (("properties", "subject", "format"), None),
        (("properties", "sequence", "type"), "integer"),
        (("properties", "type", "const"), "orders.OrderCreated.v2"),
        (("$defs", "OrderCreatedChange", "properties", "gross", "maximum"), 5),
        (("$defs", "OrderAfter", "additionalProperties"), False),
        (("$defs", "OrderStatus", "x-extensible-enum"), ["pending"]),
        (("required",), ["id"]),
    ],
)
def test_anything_else_needs_a_new_version(
    broken: Callable[[Any, Any], list[str]], path: tuple[str, ...], to: Any
) -> None:
    schema = schema_of(OrderCreated)
    if path[-1] == "maximum":
        schema = changed(schema, *path, to=6)
    assert broken(schema, changed(schema, *path, to=to))
    golden = published("OrderCreated.v1.golden")
    for member in golden:
        assert broken(golden, changed(golden, member))
        assert broken(golden, changed(golden, member, to="other"))


# -- AsyncAPI ---------------------------------------------------------------------------------


def test_asyncapi_describes_every_event_and_refers_to_nothing_outside() -> None:
    document = json.loads((CONTRACTS / "asyncapi.json").read_text())
    messages = document["components"]["messages"]
    assert document["asyncapi"] == "3.0.0"
    assert list(document["channels"]["events"]["messages"]) == list(messages) == NAMES
    for name, message in messages.items():
        assert message["name"] == f"orders.{name}.v1"
        assert message["examples"][0]["payload"] == json.loads(MESSAGES[name])
    references = set(re.findall(r'"\$ref": ?"([^"]*)"', json.dumps(document)))
    for each in references:
        assert reduce(getitem, each.removeprefix("#/").split("/"), document)


@pytest.mark.parametrize("event", EVENTS, ids=NAMES)
@pytest.mark.parametrize("kind", ["Event", "Data"])
def test_a_schema_says_what_generators_need(event: type[Any], kind: Any) -> None:
    faults: list[object] = []

    def look(schema: Any, name: str) -> None:
        if isinstance(schema, dict):
            kinds = schema.get("type")
            is_closed = "properties" in schema and schema.get("additionalProperties") is not True
            if is_closed or "enum" in schema or "default" in schema:
                faults.append((name, "closed"))
            if kinds == "integer" and schema.get("format") != "int64":
                faults.append((name, "32 bits"))
            if "$ref" in schema and len(schema) > 1:
                faults.append((name, "a reference with company"))
            for key, each in schema.items():
                look(each, key)

    schema = schema_of(event, kind)
    for name, part in schema["$defs"].items():
        assert part["title"] == name
        assert re.fullmatch("[A-Z][A-Za-z]+", name)
    look(schema, "")
    assert faults == []
