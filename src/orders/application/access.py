"""Who may do what: one table for REST, GraphQL and the command line. What is not in it is refused.

An operation needs one of its roles *and* its scope in the token. So a token with fewer scopes never
gives more, and one without scopes gives nothing. Only `orders:price` and `orders:terms` need no
role: any caller with the scope may state prices, or set terms of payment. With
`ORDERS_JWT_SCOPES=ignored` roles alone decide; an integrator, whose rights are its scopes, then has
none.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from orders.application.errors import Forbidden
from orders.domain.identifiers import Actor, ActorKind
from orders.domain.state import OrderState


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The sender of a request, as a verified token names it, or an operator.

    `scopes` is None only if the installation lets roles alone decide. A token that names no scope
    has the empty set, and no right.
    """

    subject: str
    tenant: str
    roles: frozenset[str]
    scopes: frozenset[str] | None


class Operation(StrEnum):
    """Everything that a caller can ask the service to do."""

    PLACE = "place"
    PLACE_FOR_OTHERS = "place_for_others"
    STATE_PRICES = "state_prices"
    SET_TERMS = "set_terms"
    QUOTE = "quote"
    READ = "read"
    LIST = "list"
    SEE_ACTIONS = "see_actions"
    SEE_TIMELINE = "see_timeline"
    SEE_FEED = "see_feed"
    SEE_NOTES = "see_notes"
    SEE_PACKING = "see_packing"
    SEE_PHONE = "see_phone"
    SEE_EMAIL = "see_email"
    SEE_BILLING = "see_billing"
    EDIT = "edit"
    ASSIGN_CUSTOMER = "assign_customer"
    ADD_NOTE = "add_note"
    CONFIRM = "confirm"
    COMPLETE = "complete"
    CANCEL = "cancel"
    CANCEL_ITEMS = "cancel_items"
    PROPOSE_CHANGE = "propose_change"
    APPLY_CHANGE = "apply_change"
    DECLINE_CHANGE = "decline_change"
    HOLD = "hold"
    RELEASE = "release"
    PAY = "pay"
    RECORD_PAYMENT = "record_payment"
    CAPTURE = "capture"
    VOID = "void"
    DISMISS_PAYMENT = "dismiss_payment"
    REFUND = "refund"
    RECORD_REFUND = "record_refund"
    GRANT_CREDIT = "grant_credit"
    WRITE_OFF = "write_off"
    REVOKE_CREDIT = "revoke_credit"
    CREATE_SHIPMENT = "create_shipment"
    RECORD_LATE_SHIPMENT = "record_late_shipment"
    CORRECT_SHIPMENT = "correct_shipment"
    DISPATCH = "dispatch"
    DELIVER = "deliver"
    FAIL_DELIVERY = "fail_delivery"
    CANCEL_SHIPMENT = "cancel_shipment"
    REQUEST_RETURN = "request_return"
    APPROVE_RETURN = "approve_return"
    DECLINE_RETURN = "decline_return"
    RECEIVE_RETURN = "receive_return"
    CLOSE_RETURN = "close_return"
    SEE_OUTBOX = "see_outbox"
    RESEND_EVENTS = "resend_events"
    DROP_EVENTS = "drop_events"
    REPLAY_EVENTS = "replay_events"


class Scope(StrEnum):
    """What a token may be used for."""

    READ = "orders:read"
    WRITE = "orders:write"
    PAY = "orders:pay"
    REFUND = "orders:refund"
    FULFILL = "orders:fulfill"
    HOLD = "orders:hold"
    EVENTS = "events:read"
    PRICE = "orders:price"
    TERMS = "orders:terms"
    OPERATE = "orders:operate"


class Role(StrEnum):
    """What a caller does for the shop. An operator runs the service, for all tenants."""

    CUSTOMER = "customer"
    SUPPORT = "support"
    FULFILLMENT = "fulfillment"
    FINANCE = "finance"
    RISK = "risk"
    AUDITOR = "auditor"
    INTEGRATOR = "integrator"
    ADMIN = "admin"
    OPERATOR = "operator"


TOKEN_ROLES: Final[frozenset[str]] = frozenset(role.value for role in Role) - {Role.OPERATOR}
TOKEN_SCOPES: Final[frozenset[str]] = frozenset(scope.value for scope in Scope) - {Scope.OPERATE}
"""What a token can give. The rest belongs to the person who runs the service, see `operator`."""

_CU, _SU, _FU, _FI, _RI, _AU, _IN, _AD, _OP = Role
_ALL = frozenset(Role) - {_OP}
_OPERATORS = frozenset({_OP})
_STAFF = frozenset({_SU, _FU, _FI, _RI, _AU, _IN, _AD})
_READERS = _STAFF - {_FU}


def _roles(*roles: Role) -> frozenset[Role]:
    return frozenset({*roles, _IN, _AD})


ACCESS: Mapping[Operation, tuple[Scope, frozenset[Role]]] = MappingProxyType(
    {
        Operation.PLACE: (Scope.WRITE, _roles(_CU, _SU)),
        Operation.PLACE_FOR_OTHERS: (Scope.WRITE, _roles(_SU)),
        Operation.STATE_PRICES: (Scope.PRICE, _roles(_SU)),
        Operation.SET_TERMS: (Scope.TERMS, _roles(_SU)),
        Operation.QUOTE: (Scope.READ, _roles(_CU, _SU)),
        Operation.READ: (Scope.READ, _ALL),
        Operation.LIST: (Scope.READ, _ALL),
        Operation.SEE_ACTIONS: (Scope.READ, _ALL),
        Operation.SEE_TIMELINE: (Scope.READ, _READERS | {_CU}),
        Operation.SEE_FEED: (Scope.EVENTS, _roles(_FI, _AU)),
        Operation.SEE_NOTES: (Scope.READ, _READERS),
        Operation.SEE_PACKING: (Scope.READ, _roles(_CU, _SU, _FU)),
        Operation.SEE_PHONE: (Scope.READ, _roles(_CU, _SU, _FU, _RI)),
        Operation.SEE_EMAIL: (Scope.READ, _roles(_CU, _SU, _FI, _RI)),
        Operation.SEE_BILLING: (Scope.READ, _roles(_CU, _SU, _FI, _RI, _AU)),
        Operation.EDIT: (Scope.WRITE, _roles(_CU, _SU)),
        Operation.ASSIGN_CUSTOMER: (Scope.WRITE, _roles(_SU)),
        Operation.ADD_NOTE: (Scope.WRITE, _roles(_SU, _FI, _RI)),
        Operation.CONFIRM: (Scope.WRITE, _roles(_SU, _FI)),
        Operation.COMPLETE: (Scope.WRITE, _roles(_SU, _FI)),
        Operation.CANCEL: (Scope.WRITE, _roles(_CU, _SU, _RI)),
        Operation.CANCEL_ITEMS: (Scope.WRITE, _roles(_CU, _SU)),
        Operation.PROPOSE_CHANGE: (Scope.WRITE, _roles(_CU, _SU)),
        Operation.APPLY_CHANGE: (Scope.WRITE, _roles(_SU)),
        Operation.DECLINE_CHANGE: (Scope.WRITE, _roles(_CU, _SU)),
        Operation.HOLD: (Scope.HOLD, _roles(_SU, _RI)),
        Operation.RELEASE: (Scope.HOLD, _roles(_SU, _RI)),
        Operation.PAY: (Scope.WRITE, _roles(_CU, _SU)),
        Operation.RECORD_PAYMENT: (Scope.PAY, _roles(_FI)),
        Operation.CAPTURE: (Scope.PAY, _roles(_FI)),
        Operation.VOID: (Scope.PAY, _roles(_FI)),
        Operation.DISMISS_PAYMENT: (Scope.PAY, _roles(_FI)),
        Operation.REFUND: (Scope.REFUND, _roles(_FI)),
        Operation.RECORD_REFUND: (Scope.REFUND, _roles(_FI)),
        Operation.GRANT_CREDIT: (Scope.REFUND, _roles(_SU, _FI)),
        Operation.WRITE_OFF: (Scope.REFUND, _roles(_FI)),
        Operation.REVOKE_CREDIT: (Scope.REFUND, _roles(_SU, _FI)),
        Operation.CREATE_SHIPMENT: (Scope.FULFILL, _roles(_FU)),
        Operation.RECORD_LATE_SHIPMENT: (Scope.FULFILL, _roles(_FU)),
        Operation.CORRECT_SHIPMENT: (Scope.FULFILL, _roles(_FU)),
        Operation.DISPATCH: (Scope.FULFILL, _roles(_FU)),
        Operation.DELIVER: (Scope.FULFILL, _roles(_FU)),
        Operation.FAIL_DELIVERY: (Scope.FULFILL, _roles(_FU)),
        Operation.CANCEL_SHIPMENT: (Scope.FULFILL, _roles(_FU)),
        Operation.REQUEST_RETURN: (Scope.WRITE, _roles(_CU, _SU)),
        Operation.APPROVE_RETURN: (Scope.WRITE, _roles(_SU)),
        Operation.DECLINE_RETURN: (Scope.WRITE, _roles(_SU)),
        Operation.RECEIVE_RETURN: (Scope.FULFILL, _roles(_FU)),
        Operation.CLOSE_RETURN: (Scope.WRITE, _roles(_SU, _FU)),
        Operation.SEE_OUTBOX: (Scope.OPERATE, _OPERATORS),
        Operation.RESEND_EVENTS: (Scope.OPERATE, _OPERATORS),
        Operation.DROP_EVENTS: (Scope.OPERATE, _OPERATORS),
        Operation.REPLAY_EVENTS: (Scope.OPERATE, _OPERATORS),
    }
)
"""The scope and the roles of every operation. A customer reaches only their own orders."""

_NO_ROLE: Final[frozenset[str]] = frozenset()
_WITHOUT_ROLE: Final = frozenset({Scope.PRICE, Scope.TERMS})
_SHOWING_MONEY: Final = frozenset({Scope.READ, Scope.WRITE, Scope.PAY, Scope.REFUND})


def is_allowed(caller: Caller, operation: Operation) -> bool:
    """Whether the caller may do this to some order at all."""
    if _roles_giving(caller, operation):
        return True
    return ACCESS[operation][0] in _WITHOUT_ROLE and ACCESS[operation][0] in (caller.scopes or ())


def _roles_giving(caller: Caller, operation: Operation) -> frozenset[str]:
    """Those of the caller's roles that give the operation, if a scope of theirs gives it too."""
    scope, roles = ACCESS[operation]
    if caller.scopes is None:
        return caller.roles & (roles - {Role.INTEGRATOR})
    return caller.roles & roles if scope in caller.scopes else _NO_ROLE


def scopes_for(roles: Collection[str]) -> frozenset[Scope]:
    """All scopes that a token of these roles can use. An integrator's must be named instead."""
    held = frozenset(roles) - {Role.INTEGRATOR}
    return frozenset(scope for scope, giving in ACCESS.values() if held & giving)


def require(caller: Caller, operation: Operation) -> None:
    """Check that the caller may do this to some order.

    Raises:
        Forbidden: If roles and scopes do not give the operation.
    """
    if not is_allowed(caller, operation):
        raise Forbidden(operation)


def can_access_all(caller: Caller, operation: Operation) -> bool:
    """Whether the caller may do this to every order of the tenant, not only to their own."""
    return bool(_roles_giving(caller, operation) - {Role.CUSTOMER})


def can_access(caller: Caller, operation: Operation, state: OrderState) -> bool:
    """Whether the caller may do this to this order. If not, the order does not exist for them."""
    if state.tenant != caller.tenant or not is_allowed(caller, operation):
        return False
    if can_access_all(caller, operation):
        return True
    return state.owner == caller.subject


class View(StrEnum):
    """How much of an order a caller sees."""

    CUSTOMER = "customer"
    FULFILLMENT = "fulfillment"
    STAFF = "staff"


def view_of(caller: Caller) -> View:
    """How much the caller sees of an order; the role that shows most decides.

    The response to a command shows the order. So a token shows what only staff may see only if it
    may read notes, and no money if its scopes neither read orders nor move money.
    """
    if is_allowed(caller, Operation.SEE_NOTES):
        return View.STAFF
    hides_money = caller.scopes is not None and _SHOWING_MONEY.isdisjoint(caller.scopes)
    return View.FULFILLMENT if hides_money or Role.FULFILLMENT in caller.roles else View.CUSTOMER


def actor_of(caller: Caller) -> Actor:
    """The caller as an order records them."""
    kind = ActorKind.STAFF if caller.roles & _STAFF else ActorKind.CUSTOMER
    return Actor(kind, caller.subject)


def operator(name: str) -> Caller:
    """A person who runs the service and can reach its database. They reach no order."""
    return Caller(
        subject=name,
        tenant="",
        roles=frozenset({Role.OPERATOR}),
        scopes=frozenset({Scope.OPERATE}),
    )
