"""The report: what each issuer's tokens opened, as the script saw it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.issuers.checks import EXPECTED, Findings

REPORT: Final = Path(__file__).parents[2] / "docs" / "reports" / "issuers.md"
_HEAD: Final = """\
# Real issuers

`make issuers` starts each issuer on the loopback, set up as [the page about tokens](../auth.md)
says, and the service with the page's settings for it; only the issuer's address differs. Users log
in by the authorization code flow, machines by client credentials. The tables have the statuses of
the service's responses. *User* is a user with the mapped role, whose token has the scopes
`orders:read`, `orders:write` and `orders:pay`; *machine* has the first two.

The issuer then signs with a new key and keeps the old one listed. "A new key works after" is the
time from the first request with a token of the new key until one is accepted, without a restart of
the service; 60 s are allowed. The claims, the header and the types of each token are also compared
with those that `tests/contract/test_issuers.py` uses.
"""


def report(findings: Mapping[str, Findings], seconds: float) -> str:
    """The whole report."""
    head = ["Check", "Expected", *(f"{name} {each.version}" for name, each in findings.items())]
    rows = [
        [name, str(status), *(str(each.statuses.get(name, "none")) for each in findings.values())]
        for name, status in EXPECTED.items()
    ]
    seen = findings.values()
    rows += [
        ["tokens as recorded", "yes", *("no" if each.unlike else "yes" for each in seen)],
        ["a new key works after", "60 s", *(f"{each.new_key_seconds:.1f} s" for each in seen)],
        ["the issuer's start", "", *(f"{each.start_seconds:.1f} s" for each in seen)],
    ]
    lines = [head, ["---"] * len(head), *rows]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{_HEAD}\n{table}\n\nThe run took {seconds:.0f} s.\n"
