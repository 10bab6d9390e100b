"""Amending: the commands that change what was ordered, in two steps: proposed, then applied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from orders.domain import events
from orders.domain.actions import Action
from orders.domain.errors import (
    ChangeOutdated,
    IllegalStep,
    InvalidValue,
    TotalChanged,
    WouldCancelWholeOrder,
)
from orders.domain.identifiers import Actor, PartId
from orders.domain.lines import DraftLine, Items, Line, lines_of, move_units, require_units
from orders.domain.order._core import Changing
from orders.domain.order_changes import Change, ChangeStatus
from orders.domain.parts import next_id, part, replaced
from orders.domain.rules import cancellable_units
from orders.domain.totals import LineTotals, totals_of
from orders.domain.validation import OrderLimits, validate_code


class Amending(Changing):
    """What support and customers agree to change."""

    __slots__ = ()

    def propose_change(
        self,
        *,
        removed: Items,
        added: Sequence[DraftLine],
        reason: str,
        expected_total: int | None = None,
        by: Actor,
        now: datetime,
        limits: OrderLimits = OrderLimits(),  # noqa: B008 - frozen
    ) -> None:
        """Work out what the order would cost with units taken off and lines added.

        Nothing else changes until the change is applied.

        Raises:
            TotalChanged: If the order would not cost what the caller expects.
            WouldCancelWholeOrder: If nothing would be left of the order.
        """
        self._require(Action.PROPOSE_CHANGE, now)
        if not removed and not added:
            raise InvalidValue("items", "must take units off or add a line")
        lines = self._numbered(added, limits)
        gross = self._gross_of(self._lines_with(removed, lines))
        if expected_total not in (None, gross):
            raise TotalChanged(stated=expected_total or 0, actual=gross)
        change = Change(
            id=next_id(self._state.changes),
            removed=dict(removed),
            added=lines,
            reason=validate_code(reason, "reason"),
            base_version=self.version,
            gross=gross,
            created_at=now,
        )
        proposed = events.OrderChangeProposed(
            change_id=change.id, removed=change.removed, added=len(lines), gross=gross
        )
        self._change(by, now, proposed, changes=(*self._state.changes, change))

    def apply_change(self, change_id: str, *, by: Actor, now: datetime) -> None:
        """Let a proposed change count, at the price it was proposed at.

        Raises:
            ChangeOutdated: If the order has changed since, so that it would cost something else.
            QuantityExceedsAvailable: If units it takes off have been packed or cancelled since.
        """
        change = self._open_change(Action.APPLY_CHANGE, change_id, now)
        lines = self._lines_with(change.removed, change.added)
        gross = self._gross_of(lines)
        if gross != change.gross:
            raise ChangeOutdated(change_id, agreed=change.gross, actual=gross)
        applied = replace(change, status=ChangeStatus.APPLIED)
        changed = events.OrderChanged(
            change_id=change.id, removed=change.removed, added=len(change.added), gross=gross
        )
        changes = replaced(self._state.changes, applied)
        self._change(by, now, changed, changes=changes, lines=lines)

    def decline_change(self, change_id: str, *, by: Actor, now: datetime) -> None:
        """Drop a proposed change."""
        change = self._open_change(Action.DECLINE_CHANGE, change_id, now)
        declined = replace(change, status=ChangeStatus.DECLINED)
        new_events = events.OrderChangeDeclined(change_id=change.id)
        self._change(by, now, new_events, changes=replaced(self._state.changes, declined))

    def _open_change(self, action: Action, change_id: str, now: datetime) -> Change:
        self._require(action, now)
        change = part(self._state.changes, "change", change_id)
        if change.status is not ChangeStatus.PROPOSED:
            raise IllegalStep("change", change_id, change.status)
        return change

    def _lines_with(self, removed: Items, added: tuple[Line, ...]) -> tuple[Line, ...]:
        lines = self._state.lines
        if removed:
            require_units(lines, removed, cancellable_units(self._state))
            lines = move_units(lines, removed, cancelled=1)
        lines = (*lines, *added)
        if not any(line.live for line in lines):
            raise WouldCancelWholeOrder
        return lines

    def _gross_of(self, lines: tuple[Line, ...]) -> int:
        shipping = self._state.shipping
        return totals_of(LineTotals.of(lines), shipping=shipping.price if shipping else 0).gross

    def _numbered(self, added: Sequence[DraftLine], limits: OrderLimits) -> tuple[Line, ...]:
        """The added lines, checked, with the numbers that follow those there are."""
        if not added:
            return ()
        after = len(self._state.lines)
        # What was declined is kept, too, and could otherwise be proposed again without end.
        declined = sum(len(each.added) for each in self._state.changes if not each.is_applied)
        if after + declined + len(added) > limits.lines:
            raise InvalidValue(
                "lines", f"an order has at most {limits.lines} lines, declined ones included"
            )
        lines = lines_of(added, order_discount=0, limits=limits)
        numbered = enumerate(lines, start=after + 1)
        return tuple(replace(line, id=PartId(str(number))) for number, line in numbered)
