#!/bin/sh
# msgspec 0.22.0: the largest and the smallest floats take some hundred times as long to decode as
# other floats.
#
# Behaviour: the quick way to read a number covers a limited range of exponents. Near both ends of
# the range of a float, msgspec reads the number digit by digit instead. Python's own json module
# takes about as long for these as for others. A decoder without a type that is given
# float_hook=float, which normally makes it slower, makes these faster. Decoders with a type ignore
# the hook.
#
# Seen, CPU time for each number:                  msgspec    json (standard library)
#   1.2345678901234567                               30 ns     300 ns
#   1.7976931348623157e+308 (largest float)       10000 ns     400 ns
#   2.2250738585072014e-308 (smallest normal)      6000 ns     650 ns
#   5e-324 (smallest above zero)                   6000 ns     400 ns
#
# Why it matters: the largest float is the usual way to write "no limit" (sys.float_info.max,
# Double.MAX_VALUE, Number.MAX_VALUE), so whole columns can hold it. A message of 100,000 such
# numbers takes a second to decode, and 3 ms with other numbers.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check msgspec==0.22.0
"$folder/venv/bin/python" - <<'PYTHON'
import json
import platform
import sys
import time
from importlib.metadata import version

import msgspec

COUNT = 5000
ORDINARY = "1.2345678901234567"
EXTREME = (repr(sys.float_info.max), repr(sys.float_info.min), "5e-324")
DECODERS = {
    "msgspec, list[float]": msgspec.json.Decoder(list[float]).decode,
    "msgspec, untyped": msgspec.json.Decoder().decode,
    "msgspec, float_hook": msgspec.json.Decoder(float_hook=float).decode,
    "json": json.loads,
}


def nanoseconds(text):
    """CPU time for one number: the fastest of seven runs, the decoders in turns."""
    message = ("[" + ",".join([text] * COUNT) + "]").encode()
    best = dict.fromkeys(DECODERS, float("inf"))
    for _ in range(7):
        for name, decode in DECODERS.items():
            start = time.process_time_ns()
            numbers = decode(message)
            best[name] = min(best[name], (time.process_time_ns() - start) / COUNT)
            assert numbers == [float(text)] * COUNT
    return best


print("msgspec", version("msgspec"), "Python", platform.python_version())
took = {text: nanoseconds(text) for text in (ORDINARY, *EXTREME)}
print("expected: a decoder takes about as long for each number")
for text, each in took.items():
    print(f"seen: {text:24}", "  ".join(f"{name}: {each[name]:5.0f} ns" for name in DECODERS))
wrong = False
for text in EXTREME:
    for name in ("msgspec, list[float]", "msgspec, untyped"):
        wrong |= took[text][name] < 40 * took[ORDINARY][name]
        wrong |= took[text][name] < 3 * took[text]["json"]
        wrong |= took[text][name] < 3 * took[text]["msgspec, float_hook"]
    wrong |= took[text]["json"] > 10 * took[ORDINARY]["json"]
sys.exit(wrong)
PYTHON
