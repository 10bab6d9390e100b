"""Write the settings that the chart accepts into values.schema.json and secrets.yaml, or check it.

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
SECRETS = Path(__file__).parent / "secrets.yaml"
OWN = frozenset({"ORDERS_HOST", "ORDERS_PORT", "ORDERS_METRICS_PORT", "ORDERS_DRAIN_SECONDS"})
_ABOUT_SECRETS = "# The settings that are secrets, and whether a Secret may lack them. Generated.\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check. Returns 1 if a file differs from the code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing")
    check = parser.parse_args(arguments).check
    secrets = {row.name: row.default is not None for row in settings_table() if row.secret}
    lines = [f"{name}: {str(may_lack).lower()}\n" for name, may_lack in sorted(secrets.items())]
    schema = _with_settings(json.loads(SCHEMA.read_text(encoding="utf-8")), sorted(secrets))
    written = {
        SCHEMA: json.dumps(schema, indent=2, ensure_ascii=False) + "\n",
        SECRETS: "".join([_ABOUT_SECRETS, *lines]),
    }
    changed = [file for file, new in written.items() if _text(file) != new]
    for file in changed:
        state = "is not as the code says: run" if check else "written by"
        print(f"{file.name} {state} python infra/chart/generate.py")
        if not check:
            file.write_text(written[file], encoding="utf-8")
    return int(check and bool(changed))


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.exists() else ""


def _with_settings(schema: dict[str, Any], secrets: list[str]) -> dict[str, Any]:
    rows = [row for row in settings_table() if row.name not in OWN]
    public = [row.name for row in rows if not row.secret]
    files = [row.file for row in rows if row.file]
    schema["$defs"]["settings"]["propertyNames"] = {"enum": [*public, *files]}
    schema["properties"]["secretFiles"]["items"]["enum"] = secrets
    schema["properties"]["settings"]["required"] = [
        row.name for row in rows if row.default is None and row.file is None
    ]
    schema["properties"]["settings"]["allOf"] = [
        {"anyOf": [{"required": [row.name]}, {"required": [row.file]}]}
        for row in rows
        if row.default is None and row.file and not row.secret
    ]
    return schema


if __name__ == "__main__":
    sys.exit(main())
