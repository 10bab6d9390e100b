#!/bin/sh
# msgspec 0.22.0: the seventh digit of a second can move a time into the next year.
#
# Behaviour: msgspec rounds a fraction of a second to microseconds and carries over. Python's own
# fromisoformat cuts the fraction off. For a time of day the carry is lost: the last moment of the
# day becomes its first.
#
# Seen:
#   datetime  2026-12-31T23:59:59.9999999Z  -> 2027-01-01 00:00:00+00:00
#   time      23:59:59.9999999Z             -> 00:00:00+00:00
#   datetime  9999-12-31T23:59:59.9999999Z  -> ValidationError "Invalid RFC3339 encoded datetime"
#
# Why it matters: .NET writes seven digits, and people write "the last moment of the year" this way.
# As the end of a period it now belongs to the next one; as the end of an opening time it lies
# before the beginning. Another service that reads the same message in Python sees the old year.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check msgspec==0.22.0
"$folder/venv/bin/python" - <<'PYTHON'
import platform
import sys
from datetime import datetime, time
from importlib.metadata import version

import msgspec

SEEN = {
    (datetime, "2026-12-31T23:59:59.999999Z"): "2026-12-31 23:59:59.999999+00:00",
    (datetime, "2026-12-31T23:59:59.9999999Z"): "2027-01-01 00:00:00+00:00",
    (time, "23:59:59.9999999Z"): "00:00:00+00:00",
    (datetime, "9999-12-31T23:59:59.9999999Z"): "Invalid RFC3339 encoded datetime",
}


def decoded(kind, text):
    try:
        return str(msgspec.json.decode(f'"{text}"', type=kind))
    except msgspec.ValidationError as error:
        return str(error)


print("msgspec", version("msgspec"), "Python", platform.python_version())
seen = {}
for kind, text in SEEN:
    seen[kind, text] = decoded(kind, text)
    print(f"{kind.__name__:8} {text}")
    print(f"    expected, as fromisoformat (Python 3.11 and newer): {kind.fromisoformat(text)}")
    print(f"    seen:     {seen[kind, text]}")
sys.exit(seen != SEEN)
PYTHON
