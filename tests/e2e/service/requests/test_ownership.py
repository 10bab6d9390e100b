"""Group E: nobody does what they may not, nor to what is not theirs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest

from tests.support.processes.service import Caller, Running, body, key, line, paid, without_trace

ROLES: Final = (
    "customer", "support", "fulfillment", "finance", "risk", "auditor", "integrator", "admin",
    "operator",
)  # fmt: skip
CALLS: Final[Mapping[str, tuple[str, str, Any]]] = {
    "place": ("POST", "/v1/orders?dry_run=true", body()),
    "place_for_others": ("POST", "/v1/orders?dry_run=true", body(customer_id="someone-else")),
    "quote": ("POST", "/v1/orders/quote", body()),
    "read": ("GET", "/v1/orders/{id}", None),
    "list": ("GET", "/v1/orders", None),
    "see_actions": ("GET", "/v1/orders/{id}/actions", None),
    "see_timeline": ("GET", "/v1/orders/{id}/events", None),
    "see_feed": ("GET", "/v1/events", None),
    "see_notes": ("GET", "/v1/orders/{id}/notes", None),
    "edit": ("PATCH", "/v1/orders/{id}?dry_run=true", {"note": "x"}),
    "assign_customer": (
        "POST",
        "/v1/orders/{id}/customer?dry_run=true",
        {"customer_id": "someone-else"},
    ),
    "add_note": ("POST", "/v1/orders/{id}/notes?dry_run=true", {"text": "x"}),
    "confirm": ("POST", "/v1/orders/{id}/confirm?dry_run=true", {}),
    "complete": ("POST", "/v1/orders/{id}/complete?dry_run=true", {}),
    "cancel": ("POST", "/v1/orders/{id}/cancel?dry_run=true", {}),
    "cancel_items": (
        "POST",
        "/v1/orders/{id}/cancellations?dry_run=true",
        {"items": [{"line_id": "1", "quantity": 1}]},
    ),
    "propose_change": (
        "POST",
        "/v1/orders/{id}/changes?dry_run=true",
        {"lines": [{"sku": "MUG-RED", "name": "Red mug", "quantity": 1}], "reason": "customer"},
    ),
    "apply_change": ("POST", "/v1/orders/{id}/changes/1/apply?dry_run=true", {}),
    "decline_change": ("POST", "/v1/orders/{id}/changes/1/decline?dry_run=true", {}),
    "hold": ("POST", "/v1/orders/{id}/holds?dry_run=true", {"reason": "fraud"}),
    "release": ("POST", "/v1/orders/{id}/holds/1/release?dry_run=true", {}),
    "pay": ("POST", "/v1/orders/{id}/payments?dry_run=true", {"method": "tok_ok"}),
    "capture": ("POST", "/v1/orders/{id}/payments/1/capture?dry_run=true", {}),
    "void": ("POST", "/v1/orders/{id}/payments/1/void?dry_run=true", {}),
    "dismiss_payment": ("POST", "/v1/orders/{id}/payments/1/dismiss?dry_run=true", {}),
    "refund": ("POST", "/v1/orders/{id}/refunds?dry_run=true", {}),
    "grant_credit": (
        "POST",
        "/v1/orders/{id}/credits?dry_run=true",
        {"amount": 1, "reason": "goodwill"},
    ),
    "revoke_credit": ("POST", "/v1/orders/{id}/credits/1/revoke?dry_run=true", {}),
    "create_shipment": (
        "POST",
        "/v1/orders/{id}/shipments?dry_run=true",
        {"items": [{"line_id": "1", "quantity": 1}]},
    ),
    "record_late_shipment": (
        "POST",
        "/v1/orders/{id}/late-shipments?dry_run=true",
        {"items": [{"line_id": "1", "quantity": 1}]},
    ),
    "correct_shipment": (
        "PATCH",
        "/v1/orders/{id}/shipments/1?dry_run=true",
        {"tracking": "RM123456785GB"},
    ),
    "dispatch": ("POST", "/v1/orders/{id}/shipments/1/dispatch?dry_run=true", {}),
    "deliver": ("POST", "/v1/orders/{id}/shipments/1/deliver?dry_run=true", {}),
    "fail_delivery": (
        "POST",
        "/v1/orders/{id}/shipments/1/fail?dry_run=true",
        {"reason": "lost"},
    ),
    "cancel_shipment": ("POST", "/v1/orders/{id}/shipments/1/cancel?dry_run=true", {}),
    "request_return": (
        "POST",
        "/v1/orders/{id}/returns?dry_run=true",
        {"items": [{"line_id": "1", "quantity": 1}]},
    ),
    "approve_return": ("POST", "/v1/orders/{id}/returns/1/approve?dry_run=true", {}),
    "decline_return": ("POST", "/v1/orders/{id}/returns/1/decline?dry_run=true", {}),
    "receive_return": ("POST", "/v1/orders/{id}/returns/1/receive?dry_run=true", {}),
    "close_return": ("POST", "/v1/orders/{id}/returns/1/close?dry_run=true", {}),
}
"""How each operation of the published table is asked for; trial runs, where it would change."""


def published_table() -> dict[str, tuple[str, dict[str, str]]]:
    """The scope, and each role's cell, by operation, as docs/access.md has them."""
    text = (Path(__file__).parents[4] / "docs" / "access.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| `([\w:]+)` \|(.*)\|$", text, re.MULTILINE)
    return {
        operation: (
            scope,
            dict(zip(ROLES, (cell.strip() for cell in cells.split("|")), strict=True)),
        )
        for operation, scope, cells in rows
    }


def ask(caller: Caller, operation: str, order_id: str) -> int:
    """Ask for an operation; the answer's status."""
    method, path, content = CALLS[operation]
    path = path.replace("{id}", order_id)
    if method == "GET":
        return caller.get(path).status_code
    return caller(method, path, json=content).status_code


def test_az_matrix_covers_the_table() -> None:
    not_asked_for_over_http = {"see_outbox", "resend_events", "drop_events", "replay_events"}
    details = {"see_packing", "see_phone", "see_email", "see_billing"}
    # Asked for by a member of the body of placing, paying, refunding and crediting.
    by_member = {"set_terms", "record_payment", "record_refund", "write_off"}
    assert set(published_table()) - set(CALLS) == {
        *("state_prices", *details, *by_member, *not_asked_for_over_http)
    }


@pytest.mark.parametrize("role", ROLES)
def test_az_matrix(running: Running, ada: Caller, role: str) -> None:
    theirs = ada.placed()["id"]
    # An integrator has nothing but what its scopes name.
    caller = running.someone(role, **({"scope": None} if role == "integrator" else {}))
    own = running.someone("admin").placed(body(customer_id=caller.subject))["id"]
    narrowed_to = cache(lambda scope: running.someone(role, scope=scope, sub=caller.subject))
    for operation, (scope, cells) in published_table().items():
        if operation not in CALLS:
            continue
        cell = cells[role]
        got_own, got_theirs = (ask(caller, operation, order) for order in (own, theirs))
        said = f"{role} {operation} ({cell or 'no'}): {got_own}, {got_theirs}"
        if cell in {"", "scope"}:
            assert (got_own, got_theirs) == (403, 403), said
            continue
        assert got_own not in {401, 403}, said
        needs_order = "{id}" in CALLS[operation][1]
        part_missing = got_own == 404
        if cell == "own" and needs_order:
            assert got_theirs == 404, said
        elif not part_missing:
            assert got_theirs not in {401, 403, 404}, said
        another = "orders:hold" if scope != "orders:hold" else "orders:fulfill"
        assert ask(narrowed_to(scope), operation, own) == got_own, f"{said} with {scope}"
        assert ask(narrowed_to(another), operation, own) == 403, f"{said} without {scope}"


def test_az_matrix_of_an_integrator_with_a_scope(running: Running, ada: Caller) -> None:
    order_id = ada.placed()["id"]
    table = published_table()
    for scope in sorted({row[0] for row in table.values()}):
        integrator = running.someone("integrator", scope=scope)
        for operation in CALLS:
            refused = ask(integrator, operation, order_id) == 403
            assert refused == (table[operation][0] != scope), f"{scope} {operation}"


@pytest.mark.parametrize(
    "roles",
    [
        [], ["Customer"], ["customer "], ["superuser"], ["admins"], "customer support", "operator",
        7, True, {}, {"admin": True}, {"admin": {}}, [["admin"]], [{"admin": {"1": "a"}}], [None],
    ],
    ids=str,
)  # fmt: skip
def test_az_matrix_of_unknown_roles(running: Running, ada: Caller, roles: object) -> None:
    order_id = ada.placed()["id"]
    nobody = running.bearing(running.sign(running.claims(sub=ada.subject, roles=roles)))
    got = {operation: ask(nobody, operation, order_id) for operation in CALLS}
    assert set(got.values()) == {403}, got


@pytest.mark.parametrize(
    "roles",
    ["auditor", {"auditor": {"1": "shop.example"}}, ["Lager Süd", 7, None, ["admin"], "auditor"]],
    ids=str,
)
def test_foreign_roles_of_any_form_take_nothing_and_give_nothing(
    running: Running, ada: Caller, roles: object
) -> None:
    order_id = ada.placed()["id"]
    auditor = running.bearing(running.sign(running.claims(roles=roles)))
    got = {operation for operation in CALLS if ask(auditor, operation, order_id) != 403}
    permitted = {name for name, (_, cells) in published_table().items() if cells["auditor"]}
    assert got == permitted & set(CALLS)


def everything_on(order: Mapping[str, Any]) -> list[tuple[str, str, Any]]:
    """Every way to name somebody's order."""
    on_it = [call for call in CALLS.values() if "{id}" in call[1]]
    return [
        *[(method, path.replace("{id}", order["id"]), content) for method, path, content in on_it],
        ("GET", f"/v1/orders/by-number/{order['number']}", None),
        ("GET", f"/v1/orders/by-number/{order['number'].lower().replace('-', '')}", None),
        ("GET", f"/v1/orders/by-reference/{order['external_reference']}", None),
        ("GET", f"/v1/orders/{order['id'].upper()}", None),
        ("GET", f"/v1/orders/{order['id']}/payments", None),
        ("GET", f"/v1/orders/{order['id']}/refunds", None),
        ("GET", f"/v1/orders/{order['id']}/shipments", None),
    ]


@pytest.mark.parametrize("tenant", ["main", "t2"])
def test_az_get(running: Running, ada: Caller, tenant: str) -> None:
    order = ada.placed(paid(external_reference=f"ref-{key()}", note="a secret"))
    stranger = running.someone(tenant=tenant)
    none = stranger.get(f"/v1/orders/{uuid4()}").json()
    for method, path, content in everything_on(order):
        wants = {"If-Match": f'"{order["version"]}"', "Idempotency-Key": key()}
        kwargs = {} if content is None else {"json": content}
        answer = stranger(method, path, headers=wants, **kwargs)
        assert answer.status_code in {403, 404}, f"{method} {path}"
        if answer.status_code == 404:
            shape = without_trace(answer.json())
            assert set(shape) == set(without_trace(none))
            assert shape["code"] == none["code"]
            told = {"a secret", ada.subject, order["number"], order["id"], "1250"}
            # The detail may repeat the number or id that was asked for.
            known = order["number"] if "by-number" in path else order["id"]
            # Ids are random, and may spell an amount.
            said = str(shape).replace(known, "")
            assert not any(secret in said for secret in told - {known})
    assert ada.order(order["id"]) == order


@pytest.mark.parametrize("tenant", ["main", "t2"])
def test_az_cancel(running: Running, ada: Caller, tenant: str) -> None:
    order = ada.placed(paid(capture=True))
    before = [event["id"] for event in ada.events(order["id"])]
    stranger = running.someone(tenant=tenant)
    for query in ("", "?dry_run=true"):
        for headers in ({}, {"If-Match": '"1"'}, {"If-Match": f'"{order["version"]}"'}):
            answer = stranger.post(f"/v1/orders/{order['id']}/cancel{query}", {}, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (404, "order-not-found")
    patched = stranger(
        "PATCH", f"/v1/orders/{order['id']}", json={"note": "mine"}, headers={"If-Match": "*"}
    )
    assert patched.status_code == 404
    assert ada.order(order["id"]) == order
    assert [event["id"] for event in ada.events(order["id"])] == before
    (charge,) = running.charges(order["id"])
    assert (charge["captured"], charge["refunded"]) == (1250, 0)


def test_az_cancel_in_another_tenant_of_even_an_admin(running: Running, ada: Caller) -> None:
    order = ada.placed()
    foreign = running.someone("admin", tenant="t2")
    assert foreign.post(f"/v1/orders/{order['id']}/cancel").status_code == 404
    assert foreign.get(f"/v1/orders/{order['id']}").status_code == 404
    assert foreign.get(f"/v1/orders/by-number/{order['number']}").status_code == 404
    assert foreign.orders(f"&customer_id={ada.subject}") == []
    assert order["id"] not in foreign.get("/v1/events?limit=100").text
    namesake = running.someone(sub=ada.subject, tenant="t2")
    assert namesake.orders() == []


@pytest.mark.parametrize(
    "query", ["customer_id={sub}", "number={number}", "external_reference={ref}"]
)
def test_az_list(ada: Caller, bob: Caller, query: str) -> None:
    order = ada.placed(body(external_reference=f"ref-{key()}"))
    bob.placed()
    asked = query.format(sub=ada.subject, number=order["number"], ref=order["external_reference"])
    answer = bob.get(f"/v1/orders?{asked}")
    assert answer.status_code in {200, 400, 403}
    assert order["id"] not in answer.text


def test_az_list_by_somebody_elses_cursor(ada: Caller, bob: Caller) -> None:
    for _ in range(2):
        ada.placed()
    cursor = ada.get("/v1/orders?limit=1").json()["next_cursor"]
    for query in ("", f"&customer_id={ada.subject}"):
        answer = bob.get(f"/v1/orders?limit=1&cursor={cursor}{query}")
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid-cursor")


@pytest.mark.parametrize("owner", ["someone-else", "", "ada\n", "*", {"$ne": ""}, ["ada"]])
def test_az_bodyowner(ada: Caller, owner: object) -> None:
    assert ada.place(body(customer_id=owner)).status_code in {403, 422}
    assert ada.orders() == []
    assert ada.placed(body(customer_id=ada.subject))["customer_id"] == ada.subject


@pytest.mark.parametrize(
    "member",
    [
        "status", "payment_status", "fulfillment_status", "return_status", "id", "number", "tenant",
        "version", "totals", "payments", "captured", "credits", "events", "outbox", "_id",
        "__class__", "placed_by", "expires_at", "created_at", "$set", "lines.0.unit_price",
    ],
)  # fmt: skip
def test_az_mass(ada: Caller, member: str) -> None:
    for content in (body(**{member: "paid"}), line(**{member: 1}), {**paid(), member: []}):
        assert ada.place(content).status_code == 422
    order = ada.placed()
    patched = ada(
        "PATCH", f"/v1/orders/{order['id']}", json={member: "paid"}, headers={"If-Match": "*"}
    )
    assert patched.status_code == 422
    assert ada.orders() == [order]


def test_az_mass_by_merge_patch(ada: Caller) -> None:
    order = ada.placed(body(metadata={"a": "1"}))
    for content in (
        {"shipping": {"price": 0}},
        {"shipping": {"method": "express"}},
        {"metadata": {"__proto__": {"x": "y"}}},
        {"metadata": {"$where": "1"}},
        {"metadata": {"a.b": "1"}},
        {"customer_id": None},
    ):
        answer = ada(
            "PATCH",
            f"/v1/orders/{order['id']}",
            json=content,
            headers={"If-Match": "*", "Content-Type": "application/merge-patch+json"},
        )
        assert answer.status_code == 422, content
    assert ada.order(order["id"]) == order


def test_az_scope(running: Running, ada: Caller) -> None:
    reader = running.someone(scope="orders:read", sub=ada.subject)
    assert reader.place().status_code == 403
    assert reader.get("/v1/orders").status_code == 200
    for scope in (None, "", "openid profile", "orders:READ", "orders", "orders:*", "orders:read2"):
        narrowed = running.someone(scope=scope, sub=ada.subject)
        assert narrowed.get("/v1/orders").status_code == 403, scope
        assert narrowed.place().status_code == 403, scope
    assert ada.orders() == []


@pytest.mark.parametrize("role", ROLES)
def test_l_less(running: Running, ada: Caller, role: str) -> None:
    order_id = ada.placed()["id"]
    without = running.someone(role, scope=None, sub=ada.subject)
    assert {ask(without, operation, order_id) for operation in CALLS} == {403}


def test_l_scp(running: Running, ada: Caller) -> None:
    order = ada.placed(paid())
    capture = f"/v1/orders/{order['id']}/payments/1/capture"
    for scp in ("orders:read", ["orders:read"]):
        reader = running.someone("finance", scope=None, scp=scp)
        assert reader.post(capture).status_code == 403
        assert reader.get(f"/v1/orders/{order['id']}").status_code == 200
    assert ada.order(order["id"])["totals"]["captured"] == 0
    payer = running.someone("finance", scope=None, scp=["orders:read", "orders:pay"])
    assert payer.post(capture).json()["totals"]["captured"] == order["totals"]["due"]


def test_az_behalf(running: Running, ada: Caller) -> None:
    order = ada.placed(paid())
    staff = running.someone("admin")
    answer = staff.post(f"/v1/orders/{order['id']}/cancel", {"reason": "staff"})
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    seen = ada.get(f"/v1/orders/{order['id']}/events").text
    assert staff.subject not in seen
    assert "OrderCancelled" in seen


def test_az_fields(running: Running, ada: Caller, admin: Caller) -> None:
    order = ada.placed(paid("tok_ok"))
    admin.post(f"/v1/orders/{order['id']}/notes", {"text": "looks like trouble"})
    admin.post(f"/v1/orders/{order['id']}/holds", {"reason": "suspected-fraud"})
    for path in ("", "/events", "/actions", "/payments"):
        seen = ada.get(f"/v1/orders/{order['id']}{path}").text
        for hidden in ("trouble", "suspected-fraud", admin.subject, "tok_ok", "pay_", "tenant"):
            assert hidden not in seen, f"{path}: {hidden}"


def test_az_fields_of_the_warehouse(running: Running, ada: Caller) -> None:
    address = {"name": "Ada", "line1": "1 Road", "city": "London", "country": "GB"}
    order = ada.placed(paid(shipping={"address": address}, note="private"))
    seen = running.someone("fulfillment").get(f"/v1/orders/{order['id']}").text
    for hidden in (ada.subject, "private", "unit_price", "captured", "totals"):
        assert hidden not in seen, hidden
    assert "1 Road" in seen
