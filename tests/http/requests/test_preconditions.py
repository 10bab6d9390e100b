"""Versions: what was decided on an old one is refused, what is known is not sent again."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api import Api, assert_problem, id_of
from tests.support.shop import Shop

ADDRESS = {"name": "Ada", "line1": "1 Mill Lane", "city": "Cork", "country": "IE"}
MERGE_PATCH = "application/merge-patch+json"


async def _patch(
    api: Api, order: dict[str, Any], body: Any, if_match: str | None = "*", **options: Any
) -> Any:
    headers = {"If-Match": if_match} if if_match is not None else {}
    return await api.call(
        "PATCH",
        f"/orders/{order['id']}",
        body,
        headers={**headers, **options.pop("headers", {})},
        **options,
    )


# -- If-Match -----------------------------------------------------------------------------------


FORMS = [
    '"1"',
    'W/"1"',  # nginx, HAProxy, Varnish, Envoy if told to
    '"1-gzip"',  # Caddy, Apache
    '"1-br"',
    '"1-zstd"',
    '"1-deflate"',
    'W/"1-gzip"',
    '"1--gzip"',  # Jetty
    '"1;gzip"',  # older Django
    '"1-x-gzip"',
]
"""What gateways that compress make of the tag of version 1."""


@pytest.mark.parametrize("if_match", [*FORMS, "*", '"7", "1"', '"7","1"', '"7-br", W/"1-br"'])
async def test_takes_a_command_decided_on_the_version_there_is(api: Api, if_match: str) -> None:
    order = await api.placed()

    answer = await api.post(f"/orders/{order['id']}/cancel", {}, headers={"If-Match": if_match})

    assert answer.status_code == 200
    assert answer.headers["etag"] == '"2"'


@pytest.mark.parametrize("if_match", ['"0"', '"2"', 'W/"2"', '"2-gzip"', '"other"', '"2", "3"'])
@pytest.mark.parametrize("path", ["cancel", "cancellations", "payments"])
async def test_refuses_a_command_decided_on_another_version(
    api: Api, shop: Shop, if_match: str, path: str
) -> None:
    order = await api.placed()
    bodies = {
        "cancellations": {"items": [{"line_id": "1", "quantity": 1}]},
        "payments": {"method": "tok_ok"},
    }

    answer = await api.post(
        f"/orders/{order['id']}/{path}", bodies.get(path, {}), headers={"If-Match": if_match}
    )

    assert "version 1" in assert_problem(answer, 412, "stale-version")["detail"]
    assert (await api.get(f"/orders/{order['id']}")).json() == order
    assert await shop.history(id_of(order)) == ["OrderCreated"]
    assert shop.provider.calls == {}


@pytest.mark.parametrize("if_match", ["1", '"1', "", "W/1", '"1" "2"', ",", "*, *"])
async def test_refuses_what_is_no_entity_tag(api: Api, if_match: str) -> None:
    order = await api.placed()

    for answer in (
        await api.post(f"/orders/{order['id']}/cancel", {}, headers={"If-Match": if_match}),
        await _patch(api, order, {"note": "x"}, if_match),
    ):
        assert_problem(answer, 400, "invalid-etag")
    assert (await api.get(f"/orders/{order['id']}")).json() == order


@pytest.mark.parametrize("if_match", ['"1",', ', "1"', '"a,b", "1"', '"7",,\t"1"', '"*","1"'])
async def test_a_list_may_have_empty_elements_and_a_tag_commas(api: Api, if_match: str) -> None:
    order = await api.placed()

    answer = await _patch(api, order, {"note": "x"}, if_match)

    assert answer.status_code == 200
    assert answer.json()["note"] == "x"


LOOKALIKES = [
    '"aW/1"', '"1,2"', '"01"', '"1!"', '"1-"', '"1-x"', '"1gzip"', '"1---gzip"', '"1-gzip-gzip"',
    '"1-gzipped"', '"-gzip"', '"1;"', '"1-2"', '"gzip-1"', '"10000000000000000"',
]  # fmt: skip


@pytest.mark.parametrize("if_match", LOOKALIKES)
async def test_what_looks_like_the_version_is_not_it(api: Api, if_match: str) -> None:
    order = await api.placed()

    answer = await _patch(api, order, {"note": "x"}, if_match)

    assert_problem(answer, 412, "stale-version")


async def test_a_stale_command_of_a_stranger_is_not_found(api: Api) -> None:
    order = await api.placed()

    answer = await api.post(
        f"/orders/{order['id']}/cancel", {}, who="bob", headers={"If-Match": '"9"'}
    )

    assert_problem(answer, 404, "order-not-found")


async def test_a_repetition_is_answered_though_its_version_is_old_by_now(api: Api) -> None:
    order = await api.placed()
    path, headers = f"/orders/{order['id']}/cancel", {"If-Match": '"1"'}

    first = await api.post(path, {}, key="k", headers=headers)
    again = await api.post(path, {}, key="k", headers=headers)

    assert first.status_code == again.status_code == 200
    assert again.content == first.content


# -- If-None-Match ------------------------------------------------------------------------------


@pytest.mark.parametrize("if_none_match", [*FORMS, "*", '"7", W/"1"'])
@pytest.mark.parametrize("path", ["{id}", "by-number/{number}", "by-reference/cart-7"])
async def test_does_not_send_what_the_caller_has(api: Api, if_none_match: str, path: str) -> None:
    order = await api.placed(external_reference="cart-7")

    answer = await api.get(
        f"/orders/{path.format_map(order)}", headers={"If-None-Match": if_none_match}
    )

    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == '"1"'
    assert answer.headers["cache-control"] == "no-store, no-transform"


@pytest.mark.parametrize("if_none_match", ['"0"', '"2"', 'W/"2"', *LOOKALIKES])
async def test_sends_what_the_caller_does_not_have(api: Api, if_none_match: str) -> None:
    order = await api.placed()

    answer = await api.get(f"/orders/{order['id']}", headers={"If-None-Match": if_none_match})

    assert answer.json() == order


async def test_does_not_tell_a_stranger_that_they_have_the_version(api: Api) -> None:
    order = await api.placed()

    answer = await api.get(f"/orders/{order['id']}", who="bob", headers={"If-None-Match": "*"})

    assert_problem(answer, 404, "order-not-found")


# -- PATCH --------------------------------------------------------------------------------------


async def test_editing_needs_the_version_it_was_decided_on(api: Api) -> None:
    order = await api.placed()

    assert_problem(await _patch(api, order, {"note": "x"}, None), 428, "version-required")
    assert_problem(await _patch(api, order, {"note": "x"}, '"9"'), 412, "stale-version")
    assert (await api.get(f"/orders/{order['id']}")).json() == order


@pytest.mark.parametrize("media_type", ["application/json", MERGE_PATCH])
@pytest.mark.parametrize("if_match", ['"1"', "*"])
async def test_changes_the_named_members_only(api: Api, media_type: str, if_match: str) -> None:
    order = await api.placed(
        note="Ring twice",
        external_reference="cart-7",
        metadata={"kept": "1", "changed": "1", "removed": "1"},
        shipping={"method": "standard"},
    )

    answer = await _patch(
        api,
        order,
        {
            "note": "Ring once",
            "metadata": {"changed": "2", "removed": None, "added": "3", "absent": None},
            "shipping": {"address": ADDRESS},
        },
        if_match,
        headers={"Content-Type": media_type},
    )

    edited = answer.json()
    assert answer.status_code == 200
    assert answer.headers["etag"] == '"2"'
    assert edited == {
        **order,
        "note": "Ring once",
        "metadata": {"kept": "1", "changed": "2", "added": "3"},
        "shipping": {**order["shipping"], "address": ADDRESS},
        "version": 2,
        "updated_at": edited["updated_at"],
    }
    assert (await api.get(f"/orders/{order['id']}")).json() == edited


async def test_null_removes(api: Api) -> None:
    order = await api.placed(
        note="Ring twice",
        external_reference="cart-7",
        metadata={"basket": "b-1"},
        shipping={"method": "standard", "address": ADDRESS},
    )

    answer = await _patch(
        api,
        order,
        {
            "note": None,
            "external_reference": None,
            "metadata": None,
            "shipping": {"address": None},
        },
    )

    edited = answer.json()
    assert (edited["note"], edited["external_reference"], edited["metadata"]) == (None, None, {})
    assert edited["shipping"] == {**order["shipping"], "address": None}
    assert edited["totals"] == order["totals"]


@pytest.mark.parametrize("body", [{}, {"note": "same"}, {"metadata": {"absent": None}}])
async def test_what_changes_nothing_makes_no_version_and_no_event(
    api: Api, shop: Shop, body: dict[str, Any]
) -> None:
    order = await api.placed(note="same")

    answer = await _patch(api, order, body)

    assert (answer.status_code, answer.json()) == (200, order)
    assert await shop.history(id_of(order)) == ["OrderCreated"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"status": "completed"}, "invalid-body"),
        ({"lines": []}, "invalid-body"),
        ({"totals": {"due": 0}}, "invalid-body"),
        ({"shipping": {"price": 0}}, "invalid-body"),
        ({"shipping": None}, "invalid-body"),
        ({"note": 1}, "invalid-body"),
        ({"note": ""}, "invalid-value"),
        ({"note": "n" * 2_001}, "invalid-value"),
        ({"external_reference": "a b"}, "invalid-value"),
        ({"metadata": {"a b": "c"}}, "invalid-value"),
        ({"metadata": {f"n{i}": "v" for i in range(51)}}, "invalid-value"),
        ({"shipping": {"address": {**ADDRESS, "country": "Ireland"}}}, "invalid-value"),
    ],
)
async def test_refuses_an_edit_that_means_nothing(
    api: Api, body: dict[str, Any], code: str
) -> None:
    order = await api.placed()

    assert_problem(await _patch(api, order, body), 422, code)
    assert (await api.get(f"/orders/{order['id']}")).json() == order


async def test_refuses_a_patch_of_another_kind(api: Api) -> None:
    order = await api.placed()

    answer = await _patch(
        api, order, [{"op": "add"}], headers={"Content-Type": "application/json-patch+json"}
    )

    assert_problem(answer, 415, "unsupported-media-type")


async def test_a_dry_run_of_an_edit_shows_it_and_stores_nothing(api: Api) -> None:
    order = await api.placed()

    answer = await _patch(api, order, {"note": "New"}, None, dry_run=True)

    assert (answer.status_code, answer.json()["note"]) == (200, "New")
    assert (await api.get(f"/orders/{order['id']}")).json() == order


async def test_an_ended_order_cannot_be_edited(api: Api) -> None:
    order = await api.placed()
    cancelled = await api.done(f"/orders/{order['id']}/cancel", {})

    problem = assert_problem(await _patch(api, order, {"note": "x"}), 409, "illegal-transition")

    assert problem["blocked_by"] == ["illegal-transition"]
    assert (await api.get(f"/orders/{order['id']}")).json() == cancelled
