"""The contracts of the events are there for whoever can reach the API, without a token."""

from __future__ import annotations

import json

import pytest

from orders.adapters.messages import EVENTS
from tests.contract.events.published_events import CONTRACTS, published, validator
from tests.support.api import Api


async def test_the_asyncapi_document_is_served_as_published(api: Api) -> None:
    answer = await api.client.get("/schema/asyncapi.json")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == json.loads((CONTRACTS / "asyncapi.json").read_text())


@pytest.mark.parametrize("event", [event.__name__ for event in EVENTS])
async def test_the_dataschema_of_an_event_leads_to_the_schema_of_its_data(
    api: Api, event: str
) -> None:
    golden = published(f"{event}.v1.golden")

    answer = await api.client.get(f"/schema/events/{golden['dataschema']}")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/schema+json"
    schema = answer.json()
    assert schema["$id"] == golden["dataschema"]
    assert schema == published(f"{event}.v1.data.schema")
    validator(schema).validate(golden["data"])
    assert not validator(schema).is_valid(golden)


@pytest.mark.parametrize("kind", ["schema", "data.schema"])
async def test_a_schema_has_the_name_of_its_file(api: Api, kind: str) -> None:
    answer = await api.client.get(f"/schema/events/OrderCreated.v1.{kind}.json")
    assert answer.json() == published(f"OrderCreated.v1.{kind}")


@pytest.mark.parametrize("name", ["OrderCreated", "urn:orders:OrderCreated:v2", "..%2fapp", "%00"])
async def test_nothing_else_is_there(api: Api, name: str) -> None:
    answer = await api.client.get(f"/schema/events/{name}")
    assert answer.status_code in {400, 404}
    assert answer.headers["content-type"] == "application/problem+json"
