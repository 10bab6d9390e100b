"""Find secrets in tracked files: `python -m infra.supply.secrets [FILE …]`.

It knows the forms of common credentials, and finds names such as `password` with a value that
looks random. A test makes what must look like a secret at run time, or has `not a secret` on its
line. Why this is not detect-secrets: decision 22.
"""

from __future__ import annotations

import math
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).parents[2]
_EXCUSED: Final = "not a secret"
_KNOWN: Final = {
    "private key": re.compile(r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----"),
    "cloud access key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "repository token": re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36,}\b|\bglpat-[\w-]{20,}"),
    "chat token": re.compile(r"\bxox[abpr]-[\w-]{10,}"),
    "payment key": re.compile(r"\b[sr]k_live_[A-Za-z0-9]{16,}"),
    "webhook secret": re.compile(r"\bwhsec_[A-Za-z0-9+/]{24,}={0,2}"),
    "access token": re.compile(r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{20,}"),
}
_NAMED: Final = re.compile(
    r"""(?i)\b\w*(?:password|passwd|secret|api_?key|token|credential)\w*["']?\s*[:=]\s*"""
    r"""["']([A-Za-z0-9+/_=-]{20,})["']"""
)
_RANDOM_BITS: Final = 3.7
"""Bits of entropy per character above which text looks random. Words have less, base64 more."""


def found_in(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the kind of each part of a text that looks like a secret."""
    for number, line in enumerate(text.splitlines(), start=1):
        if _EXCUSED in line:
            continue
        for kind, pattern in _KNOWN.items():
            if pattern.search(line):
                yield number, kind
        for value in _NAMED.findall(line):
            if _bits_of(value) > _RANDOM_BITS:
                yield number, "value that looks random"


def main(arguments: Iterable[str]) -> int:
    """Print where secrets seem to be, but not the secrets. Returns 1 if there are any."""
    found = 0
    for path in [Path(each) for each in arguments] or list(_tracked()):
        try:
            text = path.read_text(encoding="utf-8")
        except (UnicodeDecodeError, OSError):  # a picture, a link to a folder
            continue
        for number, kind in found_in(text):
            sys.stdout.write(f"{path}:{number}: {kind}\n")
            found += 1
    return int(found > 0)


def _tracked() -> Iterator[Path]:
    command = ["git", "-C", str(_ROOT), "ls-files", "-z"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603
    # Locks hold hashes, which are random and no secrets.
    return (_ROOT / name for name in listed.split("\0") if name and not name.endswith(".lock"))


def _bits_of(value: str) -> float:
    counts = Counter(value).values()
    return -sum(n / len(value) * math.log2(n / len(value)) for n in counts)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
