"""GraphQL shows what REST shows to the same caller, in one round trip, and changes nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest
from graphql import GraphQLList, GraphQLNonNull, GraphQLObjectType

from orders.application.access import Caller, Role
from orders.application.errors import StoreUnavailable
from orders.domain.identifiers import order_number
from orders.domain.order.order import Order
from orders.entrypoints.graphql.queries import build_schema
from orders.entrypoints.graphql.types import camel
from tests.http.access.test_access_matrix import CALLERS, ORDERS, OWN, reach
from tests.support.api import Api, assert_problem
from tests.support.observed_api import Recorded
from tests.support.orders import an_order_id, an_order_with_every_part, restored
from tests.support.shop import Shop


def everything(kind: GraphQLObjectType) -> str:
    """A selection of every field of a type, however deep."""
    chosen = []
    for name, field in kind.fields.items():
        inner = field.type
        while isinstance(inner, GraphQLNonNull | GraphQLList):
            inner = inner.of_type
        chosen.append(name + (everything(inner) if isinstance(inner, GraphQLObjectType) else ""))
    return "{" + " ".join(chosen) + "}"


SCHEMA = build_schema()
ORDER = everything(SCHEMA.type_map["Order"])  # type: ignore[arg-type]
JSON_MEMBERS = {"metadata", "data", "actor"}


def as_graphql(value: Any) -> Any:
    """What REST answers, in GraphQL's names."""
    if isinstance(value, list):
        return [as_graphql(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        camel(name): item if name in JSON_MEMBERS else as_graphql(item)
        for name, item in value.items()
    }


def without_null(value: Any) -> Any:
    """A value less the members that are null."""
    if isinstance(value, list):
        return [without_null(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: without_null(item) for name, item in value.items() if item is not None}


async def ask(api: Api, query: str, *, who: str = "ada", **variables: Any) -> dict[str, Any]:
    """What a query is answered with."""
    answer = await api.call("POST", "/graphql", {"query": query, "variables": variables}, who=who)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def codes(answer: dict[str, Any]) -> list[str]:
    """The codes of the errors in an answer."""
    return [error["extensions"]["code"] for error in answer.get("errors", [])]


# -- what is shown ------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["customer-1", "wes", "sue", "fin", "rita", "art", "root", "sam"])
async def test_everyone_is_shown_of_an_order_what_rest_shows_them(api: Api, who: str) -> None:
    path = await api.keep(restored(an_order_with_every_part()))
    rest = (await api.get(path, who=who)).json()

    found = await ask(api, f"query($id: ID!) {{order(id: $id) {ORDER}}}", who=who, id=rest["id"])

    assert codes(found) == []
    assert without_null(found["data"]["order"]) == without_null(as_graphql(rest))


@pytest.fixture
async def orders(shop: Shop) -> dict[str, Order]:
    """One order of each kind, with every part."""
    made = {
        kind: restored(
            an_order_with_every_part(),
            id=an_order_id(kind),
            number=order_number(number),
            external_reference=f"ref-{number}",
            **owner,
        )
        for number, (kind, owner) in enumerate(ORDERS.items())
    }
    for order in made.values():
        await shop.stored.add(order)
    return made


FIELDS = {
    "order": ("read", 'order(id: "{id}") {{id}}'),
    "orderByNumber": ("read_by_number", 'orderByNumber(number: "{number}") {{id}}'),
    "orderByReference": ("read_by_reference", 'orderByReference(reference: "{ref}") {{id}}'),
    "orderEvents": ("see_timeline", 'orderEvents(id: "{id}") {{type}}'),
    "orderNotes": ("list_notes", 'orderNotes(id: "{id}") {{text}}'),
}


@pytest.mark.parametrize("who", CALLERS)
async def test_every_cell_of_the_access_table(
    api: Api,
    orders: dict[str, Order],
    trail: Recorded,
    monkeypatch: pytest.MonkeyPatch,
    who: str,
) -> None:
    caller: Caller = CALLERS[who]
    monkeypatch.setitem(api.front.tokens._callers, "someone", caller)
    wrong = []
    for name, (operation, query) in FIELDS.items():
        for kind, order in orders.items():
            trail.records.clear()
            state = order.state
            text = query.format(id=state.id, number=state.number, ref=state.external_reference)
            found = await ask(api, f"{{{text}}}", who="someone")
            given = reach(caller, operation)
            is_hidden = kind == "elsewhere" or (given == "own" and kind not in OWN)
            wanted = ["forbidden"] if not given else ["order-not-found"] if is_hidden else []
            recorded = [record["event"] for record in trail.records]
            shown = found["data"][name] is not None
            if (codes(found), recorded, shown) != (wanted, ["refused"] * len(wanted), not wanted):
                wrong.append((name, kind, wanted, found, recorded))
    assert wrong == []


@pytest.mark.parametrize("role", Role)
async def test_a_list_holds_what_rest_lists(
    api: Api, orders: dict[str, Order], monkeypatch: pytest.MonkeyPatch, role: Role
) -> None:
    monkeypatch.setitem(api.front.tokens._callers, "someone", CALLERS[role.value])
    rest = await api.get("/orders", who="someone")

    found = await ask(api, f"{{orders {{edges {{node {ORDER}}}}}}}", who="someone")

    if rest.status_code == 403:
        assert (found["data"], codes(found)) == ({"orders": None}, ["forbidden"])
    else:
        shown = [edge["node"] for edge in found["data"]["orders"]["edges"]]
        assert without_null(shown) == without_null(as_graphql(rest.json()["items"]))


# -- lists --------------------------------------------------------------------------------------

PAGE = """query($first: Int!, $after: String, $filter: OrderFilter) {
  orders(first: $first, after: $after, filter: $filter) {
    edges {cursor node {id}} pageInfo {hasNextPage endCursor}
  }
}"""


async def test_pages_lead_through_the_list_once_with_cursors_that_rest_reads(api: Api) -> None:
    placed = [(await api.placed())["id"] for _ in range(5)]
    seen: list[str] = []
    after, more = None, True
    while more:
        page = (await ask(api, PAGE, first=2, after=after))["data"]["orders"]
        seen += [edge["node"]["id"] for edge in page["edges"]]
        assert page["edges"][-1]["cursor"] == page["pageInfo"]["endCursor"]
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]

    assert sorted(seen) == sorted(placed)
    rest = (await api.get("/orders", limit=2)).json()
    second = await ask(api, PAGE, first=2, after=rest["next_cursor"])
    assert [edge["node"]["id"] for edge in second["data"]["orders"]["edges"]] == seen[2:4]


async def test_a_cursor_of_another_caller_or_list_is_refused(api: Api) -> None:
    await api.placed()
    page = (await ask(api, PAGE, first=1))["data"]["orders"]
    cursor = page["pageInfo"]["endCursor"]

    assert codes(await ask(api, PAGE, first=1, after=cursor, who="bob")) == ["invalid-cursor"]
    found = await ask(api, PAGE, first=1, after=cursor, filter={"status": ["pending"]})
    assert codes(found) == ["invalid-cursor"]


@pytest.mark.parametrize("first", [0, -1, 101])
async def test_a_page_holds_one_to_a_hundred(api: Api, first: int) -> None:
    assert codes(await ask(api, PAGE, first=first)) == ["invalid-request"]


async def test_filters_are_those_of_rest(api: Api) -> None:
    order = await api.placed(external_reference="mine")
    await api.placed()
    every = {
        "status": ["pending"],
        "paymentStatus": ["unpaid"],
        "fulfillmentStatus": ["unfulfilled"],
        "returnStatus": ["none"],
        "customerId": "ada",
        "number": order["number"],
        "externalReference": "mine",
        "createdFrom": "2020-01-01T00:00:00Z",
        "createdBefore": "2100-01-01T00:00:00Z",
        "outstanding": True,
    }

    found = await ask(api, PAGE, first=10, filter=every)

    (edge,) = found["data"]["orders"]["edges"]
    assert edge["node"]["id"] == order["id"]


async def test_all_changes_can_be_followed(api: Api, shop: Shop) -> None:
    first = await api.placed()
    shop.clock.advance(timedelta(minutes=1))
    second = await api.placed()
    shop.clock.advance(timedelta(minutes=1))
    await api.done(f"/orders/{first['id']}/notes", {"text": "Called"})
    query = """query($filter: OrderFilter, $after: String, $sort: OrderSort) {
      orders(first: 1, filter: $filter, after: $after, sort: $sort) {
        edges {node {id}} nextUpdatedFrom pageInfo {hasNextPage endCursor}
      }
    }"""

    since = {"updatedFrom": second["updated_at"]}
    page = (await ask(api, query, filter=since))["data"]["orders"]
    assert page["edges"] == [{"node": {"id": second["id"]}}]
    last = (await ask(api, query, filter=since, after=page["pageInfo"]["endCursor"]))["data"][
        "orders"
    ]
    assert last["edges"] == [{"node": {"id": first["id"]}}]
    assert not last["pageInfo"]["hasNextPage"]
    rest = await api.get("/orders", updated_from=second["updated_at"])
    assert {page["nextUpdatedFrom"], last["nextUpdatedFrom"]} == {rest.json()["next_updated_from"]}

    by_change = (await ask(api, query, sort="UPDATED_AT_ASC"))["data"]["orders"]
    assert by_change["edges"] == [{"node": {"id": second["id"]}}]
    newest = (await ask(api, query))["data"]["orders"]
    assert (newest["edges"], newest["nextUpdatedFrom"]) == ([{"node": {"id": second["id"]}}], None)
    assert codes(await ask(api, query, filter=since, sort="CREATED_AT_ASC")) == ["invalid-request"]


# -- work ---------------------------------------------------------------------------------------


async def test_a_field_at_the_root_asks_the_store_once(api: Api, shop: Shop) -> None:
    placed = [(await api.placed())["id"] for _ in range(3)]
    asked: list[str] = []

    async def count(name: str) -> None:
        asked.append(name)

    shop.orders.before = count
    query = (
        f'{{a: order(id: "{placed[0]}") {ORDER} orders {{edges {{node {{id lines {{sku}}}}}}}}}}'
    )
    found = await ask(api, query)

    assert codes(found) == []
    assert len(found["data"]["orders"]["edges"]) == 3
    assert len(asked) == 2, asked


async def test_an_amount_may_exceed_32_bits(api: Api) -> None:
    line = {"sku": "PLANE", "name": "Plane", "quantity": 800_000 // 10, "unit_price": 10**10}
    body = {"currency": "EUR", "lines": [line]}
    order = (await api.post("/orders", body, who="sue")).json()

    query = "query($id: ID!) {order(id: $id) {totals {due}}}"
    found = await ask(api, query, who="sue", id=order["id"])

    assert found["data"]["order"]["totals"]["due"] == 8 * 10**14


# -- faults -------------------------------------------------------------------------------------


async def test_a_store_that_is_away_is_a_problem_as_in_rest(api: Api, shop: Shop) -> None:
    async def away(name: str) -> None:
        raise StoreUnavailable

    shop.orders.before = away
    answer = await api.call("POST", "/graphql", {"query": "{orders {edges {cursor}}}"})

    assert_problem(answer, 503, "store-unavailable")
    assert answer.headers["retry-after"] == "1"


async def test_a_crash_tells_a_trace_id_and_nothing_else(api: Api, shop: Shop) -> None:
    async def crash(name: str) -> None:
        raise ZeroDivisionError("secret")

    shop.orders.before = crash
    answer = await api.call("POST", "/graphql", {"query": "{orders {edges {cursor}}}"})

    assert_problem(answer, 500, "internal-error")
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("status", "code", "options"),
    [
        (401, "unauthenticated", {"who": None}),
        (400, "malformed-body", {"raw": b'{"query": "{a}", "query": "{b}"}'}),
        (400, "malformed-body", {"raw": b"{"}),
        (422, "invalid-body", {"body": [{"query": "{orders {edges {cursor}}}"}]}),
        (422, "invalid-body", {"body": {"query": "{a}", "more": 1}}),
        (413, "body-too-large", {"body": {"query": "#" * 70_000}}),
        (415, "unsupported-media-type", {"raw": b"{a}", "headers": {"Content-Type": "text/plain"}}),
    ],
)
async def test_what_is_refused_before_a_query_is_read_is_a_problem(
    api: Api, status: int, code: str, options: dict[str, Any]
) -> None:
    assert_problem(await api.call("POST", "/graphql", **options), status, code)


async def test_there_is_no_get(api: Api) -> None:
    answer: httpx.Response = await api.call("GET", "/graphql", query="{__typename}")

    assert answer.status_code in {400, 405}
    assert_problem(await api.call("GET", "/graphql"), 405, "method-not-allowed")
