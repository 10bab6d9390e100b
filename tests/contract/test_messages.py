"""The published form of events: what other services rely on is what the code sends."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from orders.adapters.contracts.events.event_samples import EVERY_EVENT, logged_events
from orders.adapters.contracts.samples import STAFF
from orders.adapters.messages import EVENTS, cloud_event, encode, event_name, schema_of
from orders.application.ports import LoggedEvent
from orders.domain.events import OrderCreated

ROOT = Path(__file__).parents[2]
CONTRACTS = ROOT / "infra" / "contracts"
NAMES = [event.__name__ for event in EVENTS]

# CloudEvents 1.0.2, 3.1: names of attributes.
ATTRIBUTE = re.compile(r"[a-z0-9]{1,20}\Z")


def published(name: str) -> Any:
    return json.loads((CONTRACTS / "events" / f"{name}.json").read_text())


def judge(name: str) -> Draft202012Validator:
    schema = published(f"{name}.v1.schema")
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=FormatChecker())


def sent(logged: LoggedEvent) -> Any:
    return json.loads(encode(logged))


def test_the_files_are_as_the_code_says() -> None:
    command = [sys.executable, "infra/contracts/generate.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("", 0), "run python infra/contracts/generate.py"


def test_every_event_has_a_schema_and_a_golden_message_and_no_other_has() -> None:
    assert {path.name for path in (CONTRACTS / "events").iterdir()} == {
        f"{name}.v1.{kind}.json" for name in NAMES for kind in ("schema", "golden")
    }


@pytest.mark.parametrize("name", NAMES)
def test_the_golden_message_is_what_its_schema_says(name: str) -> None:
    judge(name).validate(published(f"{name}.v1.golden"))


@pytest.mark.parametrize("logged", logged_events(), ids=lambda each: event_name(each.recorded))
def test_the_schema_allows_nothing_else(logged: LoggedEvent) -> None:
    validator = judge(event_name(logged.recorded))
    message = sent(logged)
    validator.validate(message)

    data = message["data"]
    for part in (message, data, data["change"], data["after"]):
        part["unknown"] = 1
        assert not validator.is_valid(message)
        del part["unknown"]
        for member in set(part) - {"traceparent"}:
            value = part.pop(member)
            assert not validator.is_valid(message), f"{member} may be left out"
            part[member] = value
    validator.validate(message)


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


def test_who_it_was_is_told_to_nobody() -> None:
    for logged in logged_events():
        assert STAFF.subject.encode() not in encode(logged)
        assert cloud_event(logged).data.actor == STAFF.kind


def test_asyncapi_names_every_event_and_where_its_schema_is() -> None:
    document = json.loads((CONTRACTS / "asyncapi.json").read_text())
    messages = document["components"]["messages"]
    assert document["asyncapi"] == "3.0.0"
    assert list(document["channels"]["events"]["messages"]) == list(messages) == NAMES
    for name, message in messages.items():
        schema = json.loads((CONTRACTS / message["payload"]["$ref"]).read_text())
        assert schema["title"] == message["name"] == f"orders.{name}.v1"


@pytest.mark.parametrize("event", EVENTS, ids=NAMES)
def test_every_object_of_a_schema_is_closed(event: type[Any]) -> None:
    open_objects: list[object] = []

    def look(schema: object) -> None:
        if isinstance(schema, dict):
            if schema.get("type") == "object" and "additionalProperties" not in schema:
                open_objects.append(schema)
            for each in schema.values():
                look(each)

    look(schema_of(event))
    assert open_objects == []
