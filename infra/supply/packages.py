"""The distributions that a lock installs, with their hashes and licences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata
from pathlib import Path
from typing import Final

LOCK: Final = Path(__file__).parents[2] / "requirements" / "service.lock"
_PIN: Final = re.compile(r"^([a-z0-9-]+)==([^\s;]+)(.*(?:\n    .*)*)", re.MULTILINE)
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_NAMES: Final = {
    "Apache Software License": "Apache-2.0",
    "Apache 2": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "3-Clause BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
"""SPDX identifiers for what authors write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One distribution. `licence` is an SPDX expression, "" if the metadata has none we know."""

    name: str
    version: str
    hashes: tuple[str, ...]
    licence: str

    @property
    def purl(self) -> str:
        """Its package URL."""
        return f"pkg:pypi/{self.name}@{self.version}"


def locked(lock: Path = LOCK) -> Iterator[Package]:
    """Yield each package of a lock, in its order, also those for other platforms."""
    for name, version, rest in _PIN.findall(lock.read_text(encoding="utf-8")):
        hashes = tuple(_HASH.findall(rest))
        yield Package(name=name, version=version, hashes=hashes, licence=_licence_of(name))


def _licence_of(name: str) -> str:
    try:
        found = metadata(name)
    except PackageNotFoundError:
        return ""
    expression, text = (_one(found, name) for name in ("License-Expression", "License"))
    return expression or _classified(found) or _spdx(text)


def _one(found: PackageMetadata, name: str) -> str:
    values: list[str] = found.get_all(name, [])
    return values[0] if values else ""


def _classified(found: PackageMetadata) -> str:
    told = [
        each.rpartition(" :: ")[2]
        for each in found.get_all("Classifier", [])
        if each.startswith("License :: ")
    ]
    return " OR ".join(sorted({_spdx(each) for each in told} - {""}))


def _spdx(text: str) -> str:
    first = text.partition("\n")[0].strip()
    return _NAMES.get(first, first if re.fullmatch(r"[A-Za-z0-9.-]+", first) else "")
