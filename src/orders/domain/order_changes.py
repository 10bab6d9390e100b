"""Changes of what was ordered: units to take off and lines to add, agreed on before they count."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from orders.domain.identifiers import PartId
from orders.domain.lines import Items, Line


class ChangeStatus(StrEnum):
    """A proposed change has altered nothing yet; at most one is open per order."""

    PROPOSED = "proposed"
    APPLIED = "applied"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is to become of an order's lines, and what the order then costs.

    More of a line is a new line: what is there keeps its price, its tax and its discounts.
    """

    id: PartId
    removed: Items
    added: tuple[Line, ...]
    """They have their numbers: while the change is open, nobody else adds lines."""
    reason: str
    base_version: int
    """The version of the order that it was worked out on; 0 for one not stored yet."""
    gross: int
    """What the order costs with it. Applied at this price or not at all."""
    created_at: datetime
    status: ChangeStatus = ChangeStatus.PROPOSED

    @property
    def is_applied(self) -> bool:
        """Whether its lines are the order's."""
        return self.status is ChangeStatus.APPLIED
