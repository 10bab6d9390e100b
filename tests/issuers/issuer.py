"""What the checks ask of an issuer, and what all issuers here share."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import httpx
import jwt

from orders.entrypoints.sandbox.stack import accepts
from tests.clients.programs import NO_PROXY
from tests.issuers.code_flow import Tokens
from tests.support.processes.cluster import Process

PATIENCE_SECONDS: Final = 300
"""An issuer's first start takes its time, the more on a busy machine."""
ENVIRON: Final = {**os.environ, **NO_PROXY}


class Issuer(Protocol):
    """An issuer that runs on the loopback.

    It knows the users `ada`, of the role *Shop Support*, and `grace`, whose role nobody mapped; the
    machines `shop-importer`, which is mapped, and `shop-other`, which is not.
    """

    section: str
    """The heading of its section in docs/auth.md."""
    address_of_page: str
    """What the page writes for `address`."""
    address: str
    version: str

    def user(self, name: str, scopes: str, audience: str = "orders") -> Tokens:
        """Log a user in at the shop's client."""
        ...

    def machine(self, client: str, scopes: str) -> str:
        """A token for a client that acts for itself."""
        ...

    def rotate(self) -> None:
        """Sign with a new key from now on, and keep the old one listed."""
        ...


def up(process: Process) -> Process:
    """Start an issuer, and return once it answers."""
    process.start()
    process.wait_until_up(PATIENCE_SECONDS)
    return process


def answers(url: str) -> bool:
    """Whether an address has something for us."""
    port = urlsplit(url).port
    if port is None or not accepts(port):
        return False
    try:
        return httpx.get(url, timeout=60, trust_env=False).is_success
    except httpx.TransportError:
        return False


def header(token: str) -> dict[str, Any]:
    """The header of a token."""
    return dict(jwt.get_unverified_header(token))


def claims(token: str) -> dict[str, Any]:
    """The claims of a token."""
    said: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return said


def npm_version(folder: Path, package: str) -> str:
    """The version of a package that npm installed in a folder."""
    about = folder / "node_modules" / package / "package.json"
    said: Mapping[str, str] = json.loads(about.read_text(encoding="utf-8"))
    return said["version"]
