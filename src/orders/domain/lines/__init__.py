"""The lines of an order: what was ordered, its tax, and how many units were packed, sent and
returned.
"""

from orders.domain.lines.drafts import DraftLine, lines_of, require_line_count, taxed_at
from orders.domain.lines.line import (
    MAX_LINE_METADATA,
    Items,
    Line,
    move_units,
    read_only_items,
    read_only_metadata,
    require_metadata_room,
    require_units,
)
from orders.domain.lines.tax import (
    EXCLUDED_BY_LINE,
    RATE,
    TaxedPart,
    TaxLine,
    TaxPolicy,
    TaxRounding,
    TaxRule,
    rule_for,
    stated_rate,
    tax_lines,
    validate_rate,
)

__all__ = [
    "EXCLUDED_BY_LINE",
    "MAX_LINE_METADATA",
    "RATE",
    "DraftLine",
    "Items",
    "Line",
    "TaxLine",
    "TaxPolicy",
    "TaxRounding",
    "TaxRule",
    "TaxedPart",
    "lines_of",
    "move_units",
    "read_only_items",
    "read_only_metadata",
    "require_line_count",
    "require_metadata_room",
    "require_units",
    "rule_for",
    "stated_rate",
    "tax_lines",
    "taxed_at",
    "validate_rate",
]
