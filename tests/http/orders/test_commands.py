"""Every command: taken where it fits, refused where not, and tried without effect."""

from __future__ import annotations

from typing import Any

import pytest

from orders.application.access import ACCESS, Operation
from orders.domain.actions import Action
from orders.domain.lifecycle import TRANSITIONS, OrderStatus
from tests.support.api import Api, assert_problem
from tests.support.api_commands import (
    BODIES,
    BY_ACTION,
    IDS,
    ONE_PEN,
    assert_refused,
    carry_out,
)
from tests.support.orders import (
    a_placed_order,
    an_order_ready_for,
    an_order_that_is,
)

NEEDS_A_KNOWN_PAYMENT = {"capture", "void", "refund"}
"""Commands that the payment service refuses for a payment that only the test has made up."""


@pytest.mark.parametrize("action", sorted({*IDS} - NEEDS_A_KNOWN_PAYMENT))
async def test_a_command_that_fits_is_taken(api: Api, action: str) -> None:
    for status in _statuses_of(action):
        path = await api.keep(an_order_ready_for(Action(action), status))

        answer = await carry_out(api, path, action)

        assert answer.status_code == BY_ACTION[action].status, answer.text
        shown = answer.json()
        # Paying confirms a pending order by itself.
        after = "confirmed" if action == "pay" else TRANSITIONS[status, Action(action)]
        assert shown["status"] == after
        assert shown["version"] > 1
        assert answer.headers["etag"] == f'"{shown["version"]}"'
        assert (await api.get(path, who="root")).json() == shown
        api.shop.stored._kept.clear()


def _statuses_of(action: str) -> list[OrderStatus]:
    return [status for status in OrderStatus if (status, Action(action)) in TRANSITIONS]


@pytest.mark.parametrize("action", IDS)
async def test_a_command_that_the_status_forbids_is_refused(api: Api, action: str) -> None:
    for status in sorted({*OrderStatus} - {*_statuses_of(action)}):
        path = await api.keep(an_order_that_is(status))
        problem = await assert_refused(api, path, action, "illegal-transition")
        assert status in problem["detail"]
        api.shop.stored._kept.clear()


@pytest.mark.parametrize("action", IDS)
async def test_a_command_on_no_order_or_anothers_looks_the_same(api: Api, action: str) -> None:
    path = await api.keep(a_placed_order())
    unknown = "/orders/00000000-0000-8000-8000-000000000000"
    before = (await api.get(path, who="root")).json()
    strangers = ["boss", "bob"] if "customer" in ACCESS[Operation(action)][1] else ["boss"]

    for who in strangers:
        theirs = assert_problem(await carry_out(api, path, action, who=who), 404, "order-not-found")
        nobodys = assert_problem(
            await carry_out(api, unknown, action, who=who), 404, "order-not-found"
        )
        assert theirs.keys() == nobodys.keys()

    assert (await api.get(path, who="root")).json() == before


@pytest.mark.parametrize("action", IDS)
async def test_a_role_without_the_command_is_refused_before_anything_is_looked_up(
    api: Api, action: str
) -> None:
    path = await api.keep(a_placed_order())
    for who in ("nobody", "art", "reader"):
        for order in (path, "/orders/00000000-0000-8000-8000-000000000000"):
            assert_problem(await carry_out(api, order, action, who=who), 403, "forbidden")


@pytest.mark.parametrize("action", IDS)
async def test_a_command_needs_a_token(api: Api, action: str) -> None:
    path = await api.keep(a_placed_order())

    assert_problem(await carry_out(api, path, action, who=None), 401, "unauthenticated")


@pytest.mark.parametrize("action", IDS)
async def test_a_dry_run_shows_what_the_command_would_do_and_does_nothing(
    api: Api, action: str
) -> None:
    for status in _statuses_of(action):
        path = await api.keep(an_order_ready_for(Action(action), status))
        before = (await api.get(path, who="root")).json()

        answer = await carry_out(api, path, action, key=None, dry_run=True)

        assert (answer.status_code, answer.json()["version"]) == (200, 1), answer.text
        assert answer.json()["status"] == TRANSITIONS[status, Action(action)]
        assert (await api.get(path, who="root")).json() == before
        assert api.shop.provider.calls == {}
        api.shop.stored._kept.clear()


async def test_a_dry_run_shows_the_order_as_it_would_be(api: Api) -> None:
    path = await api.keep(an_order_that_is(OrderStatus.CONFIRMED))

    packed = await api.done(f"{path}/shipments", ONE_PEN, dry_run=True, key=None)

    assert packed["fulfillment_status"] == "in_progress"
    assert [shipment["id"] for shipment in packed["shipments"]] == ["1"]


@pytest.mark.parametrize(
    ("action", "status"),
    [
        ("release", "pending"),
        ("apply_change", "pending"),
        ("decline_change", "cancelled"),
        ("capture", "confirmed"),
        ("void", "confirmed"),
        ("dispatch", "confirmed"),
        ("deliver", "confirmed"),
        ("fail_delivery", "confirmed"),
        ("cancel_shipment", "confirmed"),
        ("revoke_credit", "completed"),
        ("approve_return", "confirmed"),
        ("decline_return", "confirmed"),
        ("receive_return", "confirmed"),
        ("close_return", "confirmed"),
    ],
)
@pytest.mark.parametrize("part", ["2", "0", "-1", "x", "%C3%A9", "01"])
async def test_an_unknown_part_is_not_found(api: Api, action: str, status: str, part: str) -> None:
    path = await api.keep(an_order_ready_for(Action(action), OrderStatus(status)))
    before = (await api.get(path, who="root")).json()

    assert_problem(await carry_out(api, path, action, part=part), 404, "part-not-found")
    assert (await api.get(path, who="root")).json() == before


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("cancel", {"reason": "boredom"}),
        ("cancel_items", {"items": []}),
        ("cancel_items", {"items": [{"line_id": "1", "quantity": 0}]}),
        ("cancel_items", {"items": [{"line_id": "1", "quantity": -1}]}),
        ("cancel_items", {"items": [{"line_id": "1", "quantity": 1}] * 2}),
        ("cancel_items", {**ONE_PEN, "reason": "No Code"}),
        ("hold", {"reason": "a\n"}),
        ("hold", {"reason": ""}),
        ("add_note", {"text": ""}),
        ("add_note", {"text": "n" * 2_001}),
        ("add_note", {"text": "\u0000"}),
        ("pay", {"method": "4111 1111 1111 1111"}),
        ("pay", {"method": "tok_ok", "amount": 0}),
        ("pay", {"method": "tok_ok", "amount": -1}),
        ("fail_delivery", {"reason": "eaten"}),
        ("grant_credit", {"amount": 0, "reason": "goodwill"}),
        ("grant_credit", {"amount": 1, "reason": "goodwill", "undeliverable": 1}),
        ("grant_credit", {"amount": 1, "reason": "lost", "line_id": "1", "undeliverable": -1}),
    ],
)
async def test_refuses_what_a_command_cannot_mean(
    api: Api, action: str, body: dict[str, Any]
) -> None:
    path = await api.keep(a_placed_order())
    before = (await api.get(path, who="root")).json()

    assert_problem(await carry_out(api, path, action, body=body), 422, "invalid-value")
    assert (await api.get(path, who="root")).json() == before
    assert api.shop.provider.calls == {}


@pytest.mark.parametrize("action", IDS)
async def test_refuses_members_it_does_not_know(api: Api, action: str) -> None:
    path = await api.keep(a_placed_order())
    body = {**BODIES.get(action, {}), "status": "completed"}

    assert_problem(await carry_out(api, path, action, body=body), 422, "invalid-body")
