#!/bin/sh
# msgspec 0.22.0: Meta(multiple_of=0.01) refuses almost every amount with two decimals, also 1.00.
#
# Behaviour: msgspec takes the remainder of the two binary floats and wants it to be exactly 0.
# The schema that msgspec generates says "multipleOf": 0.01, and means the decimal number to every
# reader.
#
# Seen: of the 10,001 amounts from 0.00 to 100.00 in steps of 0.01 the decoder accepts 15: zero and
#   0.01 times a power of two. The validator jsonschema 4.26.0 accepts 8,638 with the same schema.
#
# Why it matters: a client that follows the published schema gets a refusal for 1.00. With 0.25 or
# 0.5, which a binary float can hold, the option works, so a small test can miss it.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    msgspec==0.22.0 jsonschema==4.26.0
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version
from typing import Annotated

import jsonschema
import msgspec

CENTS = [f"{each // 100}.{each % 100:02}" for each in range(10_001)]
QUARTERS = [f"{each // 4}.{each % 4 * 25:02}" for each in range(401)]


def accepted(step, amounts):
    """What msgspec accepts, and how many a validator of the generated schema accepts."""
    amount = Annotated[float, msgspec.Meta(multiple_of=step)]
    schema = msgspec.json.schema(amount)
    validator = jsonschema.Draft202012Validator(schema)
    decoded = []
    for text in amounts:
        try:
            msgspec.json.decode(text, type=amount)
        except msgspec.ValidationError:
            continue
        decoded.append(text)
    return schema, decoded, sum(validator.is_valid(float(text)) for text in amounts)


print("msgspec", version("msgspec"), "jsonschema", version("jsonschema"))
schema, decoded, validated = accepted(0.01, CENTS)
print("schema generated:", schema)
print(f"expected: both accept all {len(CENTS)} amounts, or most of them, because of rounding")
print(f"seen: msgspec accepts {len(decoded)}, jsonschema {validated}")
print("     ", *decoded)
_, quarters, _ = accepted(0.25, QUARTERS)
print(f"for comparison, of {len(QUARTERS)} multiples of 0.25 msgspec accepts {len(quarters)}")
powers = ["0.00", *(f"{2**n / 100:.2f}" for n in range(14))]
sys.exit(decoded != powers or validated < 8000 or quarters != QUARTERS)
PYTHON
