"""Panels and dashboards in Grafana's JSON, laid out row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

Json = dict[str, Any]

_COLUMNS: Final = 24
_SOURCE: Final = {"type": "prometheus", "uid": "${source}"}
_NAMESPACE: Final = 'namespace=~"$namespace"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel. `queries` are keyed by legend; `NS` stands for the selected namespace."""

    title: str
    says: str
    queries: dict[str, str]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    height: int = 8
    limit: float | None = None
    """The value from which it is red."""

    def expressions(self) -> list[str]:
        """The queries to Prometheus."""
        return [each.replace("NS", _NAMESPACE) for each in self.queries.values()]

    def json(self, number: int, x: int, y: int) -> Json:
        """The panel at a position of its dashboard."""
        targets = [
            {
                "refId": chr(ord("A") + place),
                "datasource": _SOURCE,
                "expr": expression,
                "legendFormat": legend,
                "instant": self.kind == "stat",
                "range": self.kind != "stat",
            }
            for place, (legend, expression) in enumerate(
                zip(self.queries, self.expressions(), strict=True)
            )
        ]
        return {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.says,
            "datasource": _SOURCE,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "targets": targets,
            "fieldConfig": {"defaults": self._defaults(), "overrides": []},
            "options": self._options(),
        }

    def _defaults(self) -> Json:
        steps: list[Json] = [{"color": "green", "value": None}]
        if self.limit is not None:
            steps.append({"color": "red", "value": self.limit})
        defaults: Json = {"unit": self.unit, "thresholds": {"mode": "absolute", "steps": steps}}
        if self.kind == "timeseries":
            style = "off" if self.limit is None else "line"
            defaults["min"] = 0
            defaults["custom"] = {"fillOpacity": 8, "thresholdsStyle": {"mode": style}}
        return defaults

    def _options(self) -> Json:
        if self.kind == "stat":
            return {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value"}
        return {
            "legend": {"displayMode": "list", "placement": "bottom"},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }


def dashboard(name: str, title: str, panels: Sequence[Panel]) -> Json:
    """A dashboard; its panels flow from left to right."""
    placed, x, y, tallest = [], 0, 0, 0
    for number, panel in enumerate(panels, start=1):
        if x + panel.width > _COLUMNS:
            x, y, tallest = 0, y + tallest, 0
        placed.append(panel.json(number, x, y))
        x, tallest = x + panel.width, max(tallest, panel.height)
    return {
        "uid": f"orders-{name}",
        "title": f"Orders / {title}",
        "tags": ["orders"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "links": [
            {
                "type": "dashboards",
                "title": "Orders",
                "tags": ["orders"],
                "asDropdown": True,
                "includeVars": True,
                "keepTime": True,
            }
        ],
        "annotations": {"list": [_alerts()]},
        "templating": {"list": _variables()},
        "panels": placed,
    }


def _alerts() -> Json:
    """Pages are marks on the time axis of every panel."""
    firing = f'ALERTS{{alertname=~"Orders.*", alertstate="firing", severity="page", {_NAMESPACE}}}'
    return {
        "name": "Pages",
        "datasource": _SOURCE,
        "enable": True,
        "iconColor": "red",
        "expr": firing,
        "titleFormat": "{{alertname}}",
        "step": "30s",
    }


def _variables() -> list[Json]:
    namespaces = 'label_values(up{job="orders-api"}, namespace)'
    return [
        {"name": "source", "label": "Source", "type": "datasource", "query": "prometheus"},
        {
            "name": "namespace",
            "label": "Namespace",
            "type": "query",
            "datasource": _SOURCE,
            "query": {"query": namespaces, "refId": "namespaces"},
            "definition": namespaces,
            "refresh": 2,
            "includeAll": True,
            # Also what has no namespace at all, as in Compose.
            "allValue": ".*",
            "current": {"text": "All", "value": "$__all"},
        },
    ]
