"""A bar chart as SVG."""

from __future__ import annotations

from html import escape
from typing import Final

_ROW: Final = 46
_LEFT: Final = 170
_WIDE: Final = 420
_COLOURS: Final = ("#2563eb", "#9ca3af")


def bars(title: str, labels: list[str], series: dict[str, list[float]], notes: list[str]) -> str:
    """Horizontal bars, one of each series per label, with a note at the right."""
    most = max(max(values) for values in series.values())
    height = 60 + _ROW * len(labels)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 700 {height}"',
        ' font-family="sans-serif" font-size="13">',
        f'<rect width="700" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="24" font-size="15" font-weight="bold">{escape(title)}</text>',
    ]
    for place, (name, colour) in enumerate(zip(series, _COLOURS, strict=True)):
        x = 430 + 110 * place
        parts.append(f'<rect x="{x}" y="13" width="12" height="12" fill="{colour}"/>')
        parts.append(f'<text x="{x + 18}" y="24">{escape(name)}</text>')
    for row, label in enumerate(labels):
        y = 48 + _ROW * row
        parts.append(f'<text x="12" y="{y + 21}">{escape(label)}</text>')
        for place, (values, colour) in enumerate(zip(series.values(), _COLOURS, strict=True)):
            wide = values[row] / most * _WIDE
            top = y + 17 * place
            parts.append(
                f'<rect x="{_LEFT}" y="{top}" width="{wide:.1f}" height="15" fill="{colour}"/>'
                f'<text x="{_LEFT + wide + 5:.1f}" y="{top + 12}" font-size="11">'
                f"{values[row]:,.0f}</text>"
            )
        parts.append(f'<text x="650" y="{y + 21}" font-weight="bold">{escape(notes[row])}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"
