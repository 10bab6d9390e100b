"""Every published operation, for every role, on every kind of order, by the published table."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from litestar import Litestar

from orders.adapters.in_memory import StaticTokens
from orders.adapters.in_memory.rate_limits import InMemoryRateLimiter
from orders.application.access import Caller, Operation, Role, Scope
from orders.domain.identifiers import order_number
from orders.domain.order.order import Order
from orders.entrypoints.http.routes.commands import COMMANDS
from tests.support.api import Front, a_body
from tests.support.api_commands import BODIES
from tests.support.observed_api import Recorded, an_app
from tests.support.orders import an_order_id, an_order_with_every_part, restored
from tests.support.shop import TENANT, Shop, a_caller

ACCESS_PAGE: Final = Path(__file__).parents[3] / "docs" / "access.md"
OF_ANOTHER_NAME: Final = {
    "read_by_number": "read",
    "read_by_reference": "read",
    "list_notes": "see_notes",
    **{f"list_{part}": "read" for part in ("payments", "refunds", "credits", "disputes")},
    **{f"list_{part}": "read" for part in ("shipments", "returns", "changes", "holds")},
}
"""Operations that the table has under another name."""
HIDDEN_FROM_WAREHOUSES: Final = {
    *("list_payments", "list_refunds", "list_credits", "list_disputes")
}
"""What is in no view of theirs is refused as a list, too."""
PUBLIC: Final = {"livez", "readyz", "receive_payment_event"}

ORDERS: Final[dict[str, dict[str, Any]]] = {
    "own": {"customer_id": "me", "placed_by": "me"},
    "own, typed in": {"customer_id": "me", "placed_by": "staff-1"},
    "own, as a guest": {"customer_id": None, "placed_by": "me"},
    "theirs": {"customer_id": "them", "placed_by": "them"},
    "typed in for them": {"customer_id": "them", "placed_by": "me"},
    "a guest's": {"customer_id": None, "placed_by": "them"},
    "elsewhere": {"customer_id": "me", "placed_by": "me", "tenant": "elsewhere"},
}
OWN: Final = {"own", "own, typed in", "own, as a guest"}

CALLERS: Final = {
    **{role.value: a_caller("me", role) for role in Role},
    **{
        f"integrator with {scope.value}": a_caller("me", "integrator", scopes={scope})
        for scope in Scope
    },
    "customer and fulfillment": a_caller("me", "customer", "fulfillment"),
    "customer and finance": a_caller("me", "customer", "finance"),
    "support narrowed to reading": a_caller("me", "support", scopes={"orders:read"}),
    "admin narrowed to nothing of ours": a_caller("me", "admin", scopes={"email"}),
    "admin without scopes": a_caller("me", "admin", scopes=()),
    "admin with all scopes but reading": a_caller("me", "admin", scopes={*Scope} - {Scope.READ}),
    "support, where scopes do not count": replace(a_caller("me", "support"), scopes=None),
    "integrator, where scopes do not count": replace(a_caller("me", "integrator"), scopes=None),
    "no role": a_caller("me"),
    "a scope and no role": a_caller("me", scopes={"orders:read", "orders:write"}),
    "an unknown role": a_caller("me", "root", "Admin"),
    "an unknown role and a known one": a_caller("me", "root", "auditor"),
}


def published_table() -> dict[str, tuple[str, dict[str, str]]]:
    """Scope and cells by operation, as the page has them."""
    rows = re.findall(r"^\| `(\w+)` \| `([\w:]+)` \|(.*)\|$", ACCESS_PAGE.read_text(), re.MULTILINE)
    return {
        name: (scope, dict(zip(Role, (cell.strip() for cell in cells.split("|")), strict=True)))
        for name, scope, cells in rows
    }


TABLE: Final = published_table()


def reach(caller: Caller, name: str) -> str:
    """What the page says of a caller: nothing, own or yes."""
    scope, cells = TABLE[OF_ANOTHER_NAME.get(name, name)]
    if caller.scopes is not None and scope not in caller.scopes:
        return ""
    found = [cells[Role(role)] for role in caller.roles if role in set(Role)]
    if caller.scopes is not None and scope in caller.scopes:
        found = ["yes" if cell == "scope" else cell for cell in found]
    return "yes" if "yes" in found else "own" if "own" in found else ""


@pytest.fixture(scope="module")
def operations(front: Front) -> dict[str, tuple[str, str]]:
    """Method and path by name, of everything that is published."""
    return {
        operation["operationId"]: (method.upper(), path)
        for path, methods in front.published.document["paths"].items()
        for method, operation in methods.items()
    }


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


@pytest.fixture
def app(shop: Shop) -> Litestar:
    return an_app(
        shop,
        InMemoryRateLimiter(),
        tokens=StaticTokens({token_of(who): caller for who, caller in CALLERS.items()}),
        rate_per_second=100_000,
        rate_burst=100_000,
        auth_failures_per_second=100_000,
    )


def test_every_published_operation_has_a_row(operations: dict[str, tuple[str, str]]) -> None:
    rows = {OF_ANOTHER_NAME.get(name, name) for name in operations.keys() - PUBLIC}
    assert rows - TABLE.keys() == set()
    assert TABLE.keys() - rows == {
        *("place_for_others", "state_prices", "set_terms"),  # of placing
        *("record_payment", "record_refund", "write_off"),  # of paying, refunding and crediting
        *("see_packing", "see_phone", "see_email", "see_billing"),  # of whatever shows an order
        *("see_outbox", "resend_events", "drop_events"),  # of `orders outbox`
        "replay_events",  # of `orders events replay`
    }
    assert TABLE.keys() == set(Operation)
    assert operations.keys() >= {command.operation.value for command in COMMANDS}


@pytest.mark.parametrize("who", CALLERS)
async def test_every_cell(
    who: str,
    app: Litestar,
    operations: dict[str, tuple[str, str]],
    orders: dict[str, Order],
    trail: Recorded,
) -> None:
    caller, wrong = CALLERS[who], []
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    headers = {"Authorization": f"Bearer {token_of(who)}", "Idempotency-Key": "k"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://orders.test", headers=headers
    ) as client:
        for name in operations.keys() - PUBLIC:
            method, path = operations[name]
            kinds = orders if "{" in path else {"none": orders["own"]}
            for kind, order in kinds.items():
                trail.records.clear()
                answer = await client.request(
                    method,
                    address(path, order),
                    params={"dry_run": "true"} if method != "GET" and name != "quote" else None,
                    json=body(name) if method != "GET" else None,
                )
                wanted = expected(caller, name, kind)
                if outcome(answer) != wanted or not is_recorded(trail, name, wanted):
                    wrong.append((name, kind, wanted, answer.status_code, trail.records))
    assert wrong == []


def token_of(who: str) -> str:
    """The token of a caller."""
    return f"caller-{list(CALLERS).index(who)}"


def expected(caller: Caller, name: str, kind: str) -> str:
    """What the table makes of a caller and an order."""
    found = reach(caller, name)
    if not found:
        return "forbidden"
    if kind == "none":
        return "allowed"
    is_out_of_reach = kind == "elsewhere" or (found == "own" and kind not in OWN)
    if is_out_of_reach:
        return "not there"
    sees_no_money = name in HIDDEN_FROM_WAREHOUSES and Role.FULFILLMENT in caller.roles
    return "forbidden" if sees_no_money else "allowed"


def outcome(answer: httpx.Response) -> str:
    """What an answer says of access: a rule of the order may still say no."""
    code = answer.json().get("code") if answer.status_code >= 400 else None
    if answer.status_code == 403:
        return "forbidden"
    if code == "order-not-found":
        return "not there"
    assert answer.status_code in {200, 201, 409} or code == "invalid-value", answer.text
    return "allowed"


def is_recorded(trail: Recorded, name: str, wanted: str) -> bool:
    """Whether the audit trail has what was refused, once, and nothing of a trial that was not."""
    if wanted == "allowed":
        return trail.records == []
    (record,) = trail.records
    return (record["event"], record["action"], record["actor"], record["tenant"]) == (
        "refused",
        name,
        "me",
        TENANT,
    )


def address(path: str, order: Order) -> str:
    """The path of an operation, for an order and its first parts."""
    state = order.state
    return (
        path.replace("{order_id}", str(state.id))
        .replace("{part_id}", "1")
        .replace("{number}", state.number)
        .replace("{external_reference}", str(state.external_reference))
    )


def body(name: str) -> Any:
    """The plainest body of an operation."""
    if name in {"place", "quote"}:
        return a_body()
    return BODIES.get(name, {})
