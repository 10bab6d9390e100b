"""The lines of an order: what was ordered, and how many units were packed, sent and returned."""

from orders.domain.lines.line import (
    DraftLine,
    Items,
    Line,
    lines_of,
    move_units,
    read_only_items,
    require_line_count,
    require_units,
)

__all__ = [
    "DraftLine",
    "Items",
    "Line",
    "lines_of",
    "move_units",
    "read_only_items",
    "require_line_count",
    "require_units",
]
