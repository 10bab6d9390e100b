"""Write the settings that the chart accepts into values.schema.json, or check them.

Those that are secrets come from a Secret, and some the chart sets itself.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orders.entrypoints.settings.table import settings_table

SCHEMA = Path(__file__).parent / "values.schema.json"
OWN = frozenset({"ORDERS_HOST", "ORDERS_PORT", "ORDERS_METRICS_PORT", "ORDERS_DRAIN_SECONDS"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check. Returns 1 if the file differs from the code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing")
    check = parser.parse_args(arguments).check
    old = SCHEMA.read_text(encoding="utf-8")
    new = json.dumps(_with_settings(json.loads(old)), indent=2, ensure_ascii=False) + "\n"
    if new != old:
        state = "is not as the code says: run" if check else "written by"
        print(f"{SCHEMA.name} {state} python infra/chart/generate.py")
        if not check:
            SCHEMA.write_text(new, encoding="utf-8")
    return int(check and new != old)


def _with_settings(schema: dict[str, Any]) -> dict[str, Any]:
    public = [row for row in settings_table() if not row.secret and row.name not in OWN]
    settings = schema["$defs"]["settings"]
    settings["propertyNames"] = {"enum": [row.name for row in public]}
    schema["properties"]["settings"]["required"] = [
        row.name for row in public if row.default is None
    ]
    return schema


if __name__ == "__main__":
    sys.exit(main())
