"""Which details of an order about people a caller sees, by the access table."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from orders.application.access import (
    Caller,
    Operation,
    View,
    can_access_all,
    is_allowed,
    view_of,
)
from orders.domain.state import OrderState

DETAILS: Final = frozenset(
    {Operation.SEE_PACKING, Operation.SEE_PHONE, Operation.SEE_EMAIL, Operation.SEE_BILLING}
)
"""What shows something of an order that many of those who may read it have no use for."""
Details = frozenset[Operation]


def shown_of(caller: Caller, state: OrderState) -> tuple[View, Details]:
    """How much the caller sees of an order that they may read, and which of `DETAILS`."""
    view, of_every_order, of_their_own = _shown_to(caller.roles, caller.scopes)
    return view, of_their_own if state.owner == caller.subject else of_every_order


# A list shows many orders to one caller, and tokens differ little in roles and scopes.
@lru_cache(maxsize=256)
def _shown_to(
    roles: frozenset[str], scopes: frozenset[str] | None
) -> tuple[View, Details, Details]:
    caller = Caller(subject="", tenant="", roles=roles, scopes=scopes)
    return (
        view_of(caller),
        frozenset(each for each in DETAILS if can_access_all(caller, each)),
        frozenset(each for each in DETAILS if is_allowed(caller, each)),
    )
