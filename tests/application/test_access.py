"""Who may do what, cell by cell: the published table written a second time, by hand."""

from __future__ import annotations

from collections.abc import Collection
from itertools import combinations
from typing import Final

import pytest

from orders.application.access import (
    Caller,
    Operation,
    Role,
    Scope,
    View,
    actor_of,
    can_access,
    can_access_all,
    is_allowed,
    operator,
    require,
    scopes_for,
    view_of,
)
from orders.application.errors import Forbidden
from orders.domain.identifiers import ActorKind
from tests.support.orders import CUSTOMER, STAFF, TENANT, a_placed_order, restored

# own: their own orders only. all: every order of the tenant. scope: all, if the scope is named.
TABLE: Final = """
                 scope          customer support fulfillment finance risk auditor integrator admin operator
place            orders:write   own      all     .           .       .    .       scope      all   .
place_for_others orders:write   .        all     .           .       .    .       scope      all   .
state_prices     orders:price   .        all     .           .       .    .       scope      all   .
set_terms        orders:terms   .        all     .           .       .    .       scope      all   .
quote            orders:read    own      all     .           .       .    .       scope      all   .
read             orders:read    own      all     all         all     all  all     scope      all   .
list             orders:read    own      all     all         all     all  all     scope      all   .
see_actions      orders:read    own      all     all         all     all  all     scope      all   .
see_timeline     orders:read    own      all     .           all     all  all     scope      all   .
see_feed         events:read    .        .       .           all     .    all     scope      all   .
see_notes        orders:read    .        all     .           all     all  all     scope      all   .
see_packing      orders:read    own      all     all         .       .    .       scope      all   .
see_phone        orders:read    own      all     all         .       all  .       scope      all   .
see_email        orders:read    own      all     .           all     all  .       scope      all   .
see_billing      orders:read    own      all     .           all     all  all     scope      all   .
edit             orders:write   own      all     .           .       .    .       scope      all   .
assign_customer  orders:write   .        all     .           .       .    .       scope      all   .
add_note         orders:write   .        all     .           all     all  .       scope      all   .
confirm          orders:write   .        all     .           all     .    .       scope      all   .
complete         orders:write   .        all     .           all     .    .       scope      all   .
cancel           orders:write   own      all     .           .       all  .       scope      all   .
cancel_items     orders:write   own      all     .           .       .    .       scope      all   .
propose_change   orders:write   own      all     .           .       .    .       scope      all   .
apply_change     orders:write   .        all     .           .       .    .       scope      all   .
decline_change   orders:write   own      all     .           .       .    .       scope      all   .
hold             orders:hold    .        all     .           .       all  .       scope      all   .
release          orders:hold    .        all     .           .       all  .       scope      all   .
pay              orders:write   own      all     .           .       .    .       scope      all   .
record_payment   orders:pay     .        .       .           all     .    .       scope      all   .
capture          orders:pay     .        .       .           all     .    .       scope      all   .
void             orders:pay     .        .       .           all     .    .       scope      all   .
dismiss_payment  orders:pay     .        .       .           all     .    .       scope      all   .
refund           orders:refund  .        .       .           all     .    .       scope      all   .
record_refund    orders:refund  .        .       .           all     .    .       scope      all   .
write_off        orders:refund  .        .       .           all     .    .       scope      all   .
grant_credit     orders:refund  .        all     .           all     .    .       scope      all   .
revoke_credit    orders:refund  .        all     .           all     .    .       scope      all   .
create_shipment  orders:fulfill .        .       all         .       .    .       scope      all   .
record_late_shipment orders:fulfill .    .       all         .       .    .       scope      all   .
correct_shipment orders:fulfill .        .       all         .       .    .       scope      all   .
dispatch         orders:fulfill .        .       all         .       .    .       scope      all   .
deliver          orders:fulfill .        .       all         .       .    .       scope      all   .
fail_delivery    orders:fulfill .        .       all         .       .    .       scope      all   .
cancel_shipment  orders:fulfill .        .       all         .       .    .       scope      all   .
request_return   orders:write   own      all     .           .       .    .       scope      all   .
approve_return   orders:write   .        all     .           .       .    .       scope      all   .
decline_return   orders:write   .        all     .           .       .    .       scope      all   .
receive_return   orders:fulfill .        .       all         .       .    .       scope      all   .
close_return     orders:write   .        all     all         .       .    .       scope      all   .
see_outbox       orders:operate .        .       .           .       .    .       .          .     all
resend_events    orders:operate .        .       .           .       .    .       .          .     all
drop_events      orders:operate .        .       .           .       .    .       .          .     all
replay_events    orders:operate .        .       .           .       .    .       .          .     all
"""  # noqa: E501


def rows() -> dict[str, tuple[str, dict[str, str]]]:
    head, *lines = [line.split() for line in TABLE.strip().splitlines()]
    return {line[0]: (line[1], dict(zip(head[1:], line[2:], strict=True))) for line in lines}


ROWS: Final = rows()
by_row = pytest.mark.parametrize(
    ("operation", "scope", "row"),
    [(Operation(name), Scope(scope), row) for name, (scope, row) in ROWS.items()],
    ids=ROWS,
)

OWN: Final = a_placed_order()
STRANGERS: Final = restored(OWN, customer_id="customer-2", placed_by="customer-2")
ELSEWHERE: Final = restored(OWN, tenant="another")


def a_caller(
    *roles: str,
    scopes: Collection[str] | None = None,
    subject: str = CUSTOMER.subject,
    tenant: str = TENANT,
) -> Caller:
    return Caller(
        subject=subject,
        tenant=tenant,
        roles=frozenset(roles),
        scopes=None if scopes is None else frozenset(scopes),
    )


def reached(caller: Caller, operation: Operation) -> str:
    """What the caller may do this to, in the words of the table."""
    assert not can_access(caller, operation, ELSEWHERE.state), "another tenant's order"
    if not is_allowed(caller, operation):
        with pytest.raises(Forbidden) as refused:
            require(caller, operation)
        assert refused.value.operation == operation
        assert not can_access(caller, operation, OWN.state)
        return "."
    require(caller, operation)
    assert can_access(caller, operation, OWN.state)
    everyones = can_access(caller, operation, STRANGERS.state)
    assert everyones == can_access_all(caller, operation)
    return "all" if everyones else "own"


def test_every_operation_has_a_row_and_every_role_a_column() -> None:
    assert ROWS.keys() == {operation.value for operation in Operation}
    assert all(row.keys() == {role.value for role in Role} for _, row in ROWS.values())


@by_row
def test_a_role_alone_gives_what_the_table_says_where_scopes_do_not_count(
    operation: Operation, scope: Scope, row: dict[str, str]
) -> None:
    # An integrator's rights are its scopes.
    wanted = {role: reach.replace("scope", ".") for role, reach in row.items()}
    assert {role: reached(a_caller(role), operation) for role in row} == wanted


@by_row
def test_a_role_and_the_scope_give_what_the_table_says(
    operation: Operation, scope: Scope, row: dict[str, str]
) -> None:
    wanted = {role: reach.replace("scope", "all") for role, reach in row.items()}
    if scope in {Scope.PRICE, Scope.TERMS}:
        wanted = {role: reach.replace(".", "own") for role, reach in wanted.items()}
    assert {role: reached(a_caller(role, scopes={scope}), operation) for role in row} == wanted


@by_row
def test_without_its_scope_no_role_gives_an_operation(
    operation: Operation, scope: Scope, row: dict[str, str]
) -> None:
    others = {other.value for other in Scope} - {scope}
    given = {role: reached(a_caller(role, scopes=others), operation) for role in row}
    assert given == dict.fromkeys(row, ".")


@pytest.mark.parametrize(
    "scopes", [set(), {"email"}, {"Orders:read", "orders:reading", "orders:*"}]
)
@pytest.mark.parametrize("role", Role)
def test_a_token_for_other_services_gives_nothing_here(scopes: set[str], role: Role) -> None:
    caller = a_caller(role, scopes=scopes)
    assert {each: reached(caller, each) for each in Operation} == dict.fromkeys(Operation, ".")


@pytest.mark.parametrize("roles", [(), ("root",), ("Admin",), ("admin ",), ("administrator",)])
def test_no_role_of_ours_is_no_right(roles: tuple[str, ...]) -> None:
    every = {scope.value for scope in Scope} - {Scope.PRICE, Scope.TERMS}
    for caller in (a_caller(*roles), a_caller(*roles, scopes=every)):
        assert {each: reached(caller, each) for each in Operation} == dict.fromkeys(Operation, ".")


def test_stating_prices_is_the_one_right_that_a_scope_alone_gives() -> None:
    checkout = a_caller(Role.CUSTOMER, scopes={Scope.WRITE, Scope.PRICE})
    assert is_allowed(checkout, Operation.STATE_PRICES)
    assert reached(checkout, Operation.PLACE) == "own"
    assert not is_allowed(a_caller(Role.CUSTOMER, scopes={Scope.WRITE}), Operation.STATE_PRICES)
    assert not is_allowed(a_caller(Role.CUSTOMER), Operation.STATE_PRICES)
    for roles in ((), *((role,) for role in Role)):
        alone = a_caller(*roles, scopes={Scope.PRICE})
        assert [operation for operation in Operation if is_allowed(alone, operation)] == [
            "state_prices"
        ]


# An operator shares no operation with anybody else: `test_an_operator_...` says so.
ROLES: Final = [role for role in Role if role is not Role.OPERATOR]
SCOPES: Final = [scope for scope in Scope if scope is not Scope.OPERATE]
ROLE_SETS: Final = [
    frozenset(roles) for size in range(len(ROLES) + 1) for roles in combinations(ROLES, size)
]
SCOPE_SETS: Final = [
    frozenset(scopes) for size in range(len(SCOPES) + 1) for scopes in combinations(SCOPES, size)
]
SHOWS_MORE: Final = [View.FULFILLMENT, View.CUSTOMER, View.STAFF]


def rights(caller: Caller) -> tuple[set[str], int]:
    """All that the caller may do, to some orders or to all, and how much they are shown of them."""
    some = {operation.value for operation in Operation if is_allowed(caller, operation)}
    everyones = {f"{op} to all" for op in Operation if can_access(caller, op, STRANGERS.state)}
    return some | everyones, SHOWS_MORE.index(view_of(caller))


@pytest.mark.parametrize("size", range(len(Role) + 1))
def test_asking_for_less_never_gives_more(size: int) -> None:
    """Every set of scopes against each that has one less; so against all that it holds."""
    for roles in map(frozenset, combinations(Role, size)):
        given = {scopes: rights(a_caller(*roles, scopes=scopes)) for scopes in SCOPE_SETS}
        assert given[frozenset()] == (set(), 0), roles
        for scopes, (allowed, shown) in given.items():
            for fewer in (scopes - {scope} for scope in scopes):
                assert given[fewer][0] <= allowed, roles
                assert given[fewer][1] <= shown, roles


def test_scopes_of_ours_and_theirs_give_what_ours_give() -> None:
    for roles in ROLE_SETS:
        for scopes in (frozenset(), frozenset({Scope.READ}), frozenset(Scope)):
            ours = rights(a_caller(*roles, scopes=scopes))
            assert rights(a_caller(*roles, scopes=scopes | {"openid", "email"})) == ours, roles


def test_all_scopes_that_roles_can_use_give_just_what_the_roles_give() -> None:
    for roles in (roles for roles in ROLE_SETS if Role.INTEGRATOR not in roles):
        caller = a_caller(*roles, scopes=scopes_for(roles))
        by_roles = rights(a_caller(*roles))
        assert rights(caller) == (by_roles if roles else (set(), 0)), roles


def test_an_integrators_scopes_are_named_and_not_its_roles() -> None:
    assert scopes_for([Role.INTEGRATOR]) == frozenset()
    assert scopes_for([Role.INTEGRATOR, Role.CUSTOMER]) == {Scope.READ, Scope.WRITE}
    assert scopes_for([Role.SUPPORT]) == {*SCOPES} - {Scope.PAY, Scope.FULFILL, Scope.EVENTS}
    assert scopes_for([Role.ADMIN]) == {*SCOPES}
    assert scopes_for(["root"]) == frozenset()


def test_an_operator_may_do_nothing_but_look_after_the_outbox_and_nobody_else_may() -> None:
    outbox = {
        Operation.SEE_OUTBOX,
        Operation.RESEND_EVENTS,
        Operation.DROP_EVENTS,
        Operation.REPLAY_EVENTS,
    }
    everything = a_caller(Role.OPERATOR, scopes=[*Scope])
    assert {each for each in Operation if is_allowed(everything, each)} == {
        *outbox,
        # as the scope alone gives it to anybody
        Operation.STATE_PRICES,
        Operation.SET_TERMS,
    }
    assert {each for each in Operation if is_allowed(operator("ops"), each)} == outbox
    assert not any(can_access(operator("ops"), each, OWN.state) for each in Operation)
    for scopes in (None, [*Scope]):
        others = a_caller(*ROLES, scopes=scopes)
        assert not any(is_allowed(others, each) for each in outbox)


WIDER: Final = {".": 0, "own": 1, "all": 2}


@by_row
def test_two_roles_give_what_either_gives_and_no_more(
    operation: Operation, scope: Scope, row: dict[str, str]
) -> None:
    for pair in combinations(Role, 2):
        for scopes, integrator in ((None, "."), ({scope}, "all")):
            cells = [row[role].replace("scope", integrator) for role in pair]
            if scopes in ({Scope.PRICE}, {Scope.TERMS}):
                cells.append("own")
            widest = max(cells, key=WIDER.__getitem__)
            assert reached(a_caller(*pair, scopes=scopes), operation) == widest, pair


def test_a_guests_order_is_whose_token_placed_it() -> None:
    guests = restored(OWN, customer_id=None)
    assert can_access(a_caller(Role.CUSTOMER), Operation.READ, guests.state)
    stranger = a_caller(Role.CUSTOMER, subject="customer-2")
    assert not can_access(stranger, Operation.READ, guests.state)


def test_an_order_is_its_customers_and_not_whose_who_typed_it_in() -> None:
    typed = restored(OWN, placed_by="customer-2")
    assert can_access(a_caller(Role.CUSTOMER), Operation.READ, typed.state)
    assert not can_access(
        a_caller(Role.CUSTOMER, subject="customer-2"), Operation.READ, typed.state
    )


def test_the_same_name_in_another_tenant_is_somebody_else() -> None:
    for role in Role:
        caller = a_caller(role, scopes={scope.value for scope in Scope}, tenant="another")
        assert not any(can_access(caller, operation, OWN.state) for operation in Operation)


@pytest.mark.parametrize(
    ("roles", "view"),
    [
        (("customer",), View.CUSTOMER),
        ((), View.CUSTOMER),
        (("fulfillment",), View.FULFILLMENT),
        (("customer", "fulfillment"), View.FULFILLMENT),
        (("support",), View.STAFF),
        (("finance",), View.STAFF),
        (("risk",), View.STAFF),
        (("auditor",), View.STAFF),
        (("integrator",), View.CUSTOMER),
        (("admin",), View.STAFF),
        (("fulfillment", "support"), View.STAFF),
    ],
)
def test_what_is_shown_follows_from_the_widest_role(roles: tuple[str, ...], view: View) -> None:
    assert view_of(a_caller(*roles)) is view


@pytest.mark.parametrize(
    "role", [Role.CUSTOMER, Role.INTEGRATOR, Role.FULFILLMENT, Role.SUPPORT, Role.ADMIN]
)
@pytest.mark.parametrize("scope", Scope)
def test_money_is_shown_for_scopes_that_read_or_move_it(role: Role, scope: Scope) -> None:
    """A scanner's token that was narrowed to its work tells its thief no more than that."""
    shown = view_of(a_caller(role, scopes={scope})) is not View.FULFILLMENT
    worth = {Scope.READ, Scope.WRITE, Scope.PAY, Scope.REFUND}
    assert shown == (scope in worth and role is not Role.FULFILLMENT)


@pytest.mark.parametrize("scope", Scope)
def test_what_is_the_staffs_is_shown_to_tokens_that_may_read_it(scope: Scope) -> None:
    for role in Role:
        to_staff = view_of(a_caller(role, scopes={scope})) is View.STAFF
        a_reader = role not in {Role.CUSTOMER, Role.FULFILLMENT, Role.OPERATOR}
        assert to_staff == (a_reader and scope is Scope.READ)


@pytest.mark.parametrize("role", ROLES)
def test_orders_remember_customers_as_customers_and_all_others_as_staff(role: Role) -> None:
    actor = actor_of(a_caller(role, subject=STAFF.subject))
    assert actor.subject == STAFF.subject
    assert actor.kind is (ActorKind.CUSTOMER if role is Role.CUSTOMER else ActorKind.STAFF)
