"""Who is shown which personal details of an order, cell by cell, whichever way they ask."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import httpx
import pytest
from litestar import Litestar

from orders.adapters.in_memory import StaticTokens
from orders.adapters.in_memory.rate_limits import InMemoryRateLimiter
from orders.application.access import Caller, Scope
from orders.domain.lines import DraftLine
from orders.domain.order.order import Order
from tests.support.observed_api import an_app
from tests.support.orders import NOW, STAFF, an_order_with_every_part, restored
from tests.support.shop import Shop, a_caller

WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "packing": ("Behind the hedge", "Many happy returns", "To Bea"),
    "phone": ("555 0100",),
    "email": ("ada@quill.example",),
    "billing": ("9 Inn Row", "Quill and Sons", "IE1234567T"),
}
"""What of the order is each detail: the text of its every member."""

# Written by hand, not from the table of the code. own: of their own orders only.
TABLE: Final = """
                 packing  phone  email  billing
customer         own      own    own    own
support          all      all    all    all
fulfillment      all      all    .      .
finance          .        .      all    all
risk             .        all    all    all
auditor          .        .      .      all
admin            all      all    all    all
integrator       all      all    all    all
"""
ROLES: Final = {
    role: dict(zip(TABLE.split()[:4], cells, strict=True))
    for role, *cells in (line.split() for line in TABLE.strip().splitlines()[1:])
}
CALLERS: Final[Mapping[str, tuple[Caller, Mapping[str, str]]]] = {
    **{
        role: (a_caller("me", role, scopes={Scope.READ, Scope.WRITE, Scope.FULFILL}), cells)
        for role, cells in ROLES.items()
    },
    # A role gives what it gives of the orders that it gives.
    "customer and fulfillment": (
        a_caller("me", "customer", "fulfillment"),
        {**ROLES["fulfillment"], "email": "own", "billing": "own"},
    ),
    "customer and auditor": (
        a_caller("me", "customer", "auditor"),
        {**ROLES["customer"], "billing": "all"},
    ),
    "finance and fulfillment": (
        a_caller("me", "finance", "fulfillment"),
        dict.fromkeys(WORDS, "all"),
    ),
    "customer, where scopes do not count": (
        Caller(subject="me", tenant="shop", roles=frozenset({"customer"}), scopes=None),
        ROLES["customer"],
    ),
    # Commands answer with the order, too: details need leave to read.
    "writing support": (a_caller("me", "support", scopes={Scope.WRITE}), {}),
    "writing customer": (a_caller("me", "customer", scopes={Scope.WRITE}), {}),
    "packing integrator": (a_caller("me", "integrator", scopes={Scope.FULFILL}), {}),
}
OWNERS: Final = {"own": "me", "others'": "them"}


@pytest.fixture(params=OWNERS)
async def order(request: pytest.FixtureRequest, shop: Shop) -> Order:
    """An order with every detail, of the caller or of somebody else."""
    order = restored(an_order_with_every_part(), customer_id=OWNERS[request.param])
    await shop.stored.add(order)
    return order


@pytest.fixture
def app(shop: Shop) -> Litestar:
    tokens = {token_of(who): caller for who, (caller, _) in CALLERS.items()}
    return an_app(shop, InMemoryRateLimiter(), tokens=StaticTokens(tokens), rate_burst=100_000)


def token_of(who: str) -> str:
    return f"caller-{[*CALLERS].index(who)}"


def expected(who: str, order: Order) -> set[str]:
    """The details that the table gives the caller of this order."""
    reaches = {"all", "own"} if order.state.customer_id == "me" else {"all"}
    return {detail for detail, cell in CALLERS[who][1].items() if cell in reaches}


def shown(text: str) -> set[str]:
    """The details whose every word is in an answer; a detail is shown whole or not at all."""
    found = {detail: [word in text for word in words] for detail, words in WORDS.items()}
    assert all(all(each) == any(each) for each in found.values()), found
    return {detail for detail, each in found.items() if all(each)}


GRAPHQL: Final = """
  id contact {email phone} giftMessage shipping {instructions} lines {metadata}
  billing {address {line1} company vatId}
"""


class Client:
    """Asks in every way that shows a whole order, as one caller."""

    def __init__(self, app: Litestar, who: str, order: Order) -> None:
        transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
        headers = {"Authorization": f"Bearer {token_of(who)}"}
        self.client = httpx.AsyncClient(
            transport=transport, base_url="http://orders.test/v1", headers=headers
        )
        self.order = order

    async def answers(self) -> dict[str, httpx.Response]:
        """What each way is answered with."""
        state = self.order.state
        one = f"/orders/{state.id}"
        asked = {
            "read": await self.client.get(one),
            "by number": await self.client.get(f"/orders/by-number/{state.number}"),
            "by reference": await self.client.get(
                f"/orders/by-reference/{state.external_reference}"
            ),
            "list": await self.client.get("/orders"),
            "edit": await self.client.patch(
                f"{one}?dry_run=true", json={"note": "New"}, headers={"If-Match": "*"}
            ),
            "note": await self.client.post(f"{one}/notes?dry_run=true", json={"text": "New"}),
            "unpack": await self.client.post(f"{one}/shipments/3/cancel?dry_run=true"),
            "graphql": await self.graphql(f'{{order(id: "{state.id}") {{{GRAPHQL}}}}}'),
            "graphql list": await self.graphql(f"{{orders {{edges {{node {{{GRAPHQL}}}}}}}}}"),
        }
        return {way: answer for way, answer in asked.items() if self.has_the_order(answer)}

    async def graphql(self, query: str) -> httpx.Response:
        return await self.client.post("/graphql", json={"query": query})

    def has_the_order(self, answer: httpx.Response) -> bool:
        assert answer.status_code in {200, 403, 404, 409}, answer.text
        return str(self.order.id) in answer.text and answer.status_code == 200


async def test_every_cell_whichever_way_the_order_is_asked_for(app: Litestar, order: Order) -> None:
    wrong = []
    for who, (_, cells) in CALLERS.items():
        answers = await Client(app, who, order).answers()
        wanted = expected(who, order)
        wrong += [
            (who, way, shown(answer.text), wanted)
            for way, answer in answers.items()
            if shown(answer.text) != wanted
        ]
        if "all" in cells.values() or (cells and order.state.owner == "me"):
            assert answers.keys() >= {"read", "by number", "by reference", "list", "graphql"}, who
    assert wrong == []


async def test_no_other_answer_says_anything_of_them(
    app: Litestar, shop: Shop, order: Order
) -> None:
    await shop.relay()
    parts = ("events", "notes", "payments", "shipments", "returns", "holds", "actions", "credits")
    paths = (*(f"/orders/{order.id}/{part}" for part in parts), "/events")
    said: dict[tuple[str, str], set[str]] = {}
    for who in CALLERS:
        client = Client(app, who, order).client
        said |= {(who, path): shown((await client.get(path)).text) for path in paths}
    assert {where for where, details in said.items() if details} == set()


async def test_the_metadata_of_lines_to_be_added_is_shown_as_that_of_lines(
    app: Litestar, shop: Shop
) -> None:
    order = restored(an_order_with_every_part(), changes=())
    added = DraftLine(
        sku="NUT", name="Nut", quantity=1, unit_price=100, metadata={"engrave": "To Bea"}
    )
    order.propose_change(removed={}, added=(added,), reason="other", by=STAFF, now=NOW)
    await shop.stored.add(order)

    for who in ("fulfillment", "finance", "auditor", "support"):
        answer = await Client(app, who, order).client.get(f"/orders/{order.id}/changes")
        assert answer.status_code == 200
        assert ("To Bea" in answer.text) is (who in {"fulfillment", "support"}), who


async def test_what_is_not_shown_is_left_out_and_what_is_not_stated_is_null(
    app: Litestar, shop: Shop
) -> None:
    bare = restored(an_order_with_every_part(), contact=None, billing=None, gift_message=None)
    await shop.stored.add(bare)

    async def members(who: str) -> dict[str, Any]:
        order = (await Client(app, who, bare).client.get(f"/orders/{bare.id}")).json()
        return {
            name: order[name] for name in order if name in {"contact", "billing", "gift_message"}
        }

    assert await members("support") == {"contact": None, "billing": None, "gift_message": None}
    assert await members("fulfillment") == {"contact": None, "gift_message": None}
    assert await members("auditor") == {"billing": None}


async def test_a_warehouse_is_shown_the_phone_alone_of_the_contact(
    app: Litestar, order: Order
) -> None:
    answer = await Client(app, "fulfillment", order).client.get(f"/orders/{order.id}")
    assert answer.json()["contact"] == {"phone": "+353 21 555 0100"}


async def test_views_of_one_version_are_never_mixed(app: Litestar, order: Order) -> None:
    """All views have one ETag, so nothing on the way may keep an answer for somebody else."""
    people = ["support", "fulfillment", "support", "auditor", "fulfillment", "finance"]
    for who in people:
        client = Client(app, who, order).client
        answer = await client.get(f"/orders/{order.id}")
        again = await client.get(
            f"/orders/{order.id}", headers={"If-None-Match": answer.headers["etag"]}
        )
        assert shown(answer.text) == expected(who, order), who
        assert "no-store" in answer.headers["cache-control"]
        assert (again.status_code, again.content) == (304, b"")
        assert "no-store" in again.headers["cache-control"]


def test_every_word_is_of_the_order() -> None:
    text = json.dumps([repr(an_order_with_every_part().state)])
    assert shown(text) == {*WORDS}
