"""node oidc-provider: its package from npm, and a server of ours that sets it up."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from orders.entrypoints.server.child_processes import free_ports
from tests.clients.programs import cache_folder, need
from tests.issuers.code_flow import CLIENT, REDIRECT_URI, Tokens, client_credentials, log_in
from tests.issuers.issuer import ENVIRON, answers, npm_version, up
from tests.support.processes.cluster import Process

_HERE: Final = Path(__file__).parent / "oidc_provider"


@contextmanager
def node_oidc_provider(folder: Path) -> Iterator[OidcProvider]:
    """An issuer that is up, until the block is left; skips where Node.js is not."""
    need("node", "--version", r"v(?:2[0-9]|[3-9]\d)\.", "Node.js, 20 or newer, with npm")
    issuer = OidcProvider(folder, _installed())
    try:
        up(issuer.process)
        yield issuer
    finally:
        issuer.process.kill()


class OidcProvider:
    """A server with keys in a file; what it knows of users and clients stands in its program."""

    section = "node oidc-provider"
    address_of_page = "https://op.example"

    def __init__(self, folder: Path, installed: Path) -> None:
        (port,) = free_ports(1)
        self.address = f"http://127.0.0.1:{port}"
        self.version = npm_version(installed, "oidc-provider")
        self._folder = folder
        self._keys: list[dict[str, Any]] = []
        self._add_key()
        self.process = Process(
            "oidc-provider",
            ["node", str(installed / "server.mjs"), str(folder / "keys.json")],
            environ={**ENVIRON, "ISSUER": self.address, "REDIRECT_URI": REDIRECT_URI},
            log=folder / "oidc-provider.log",
            answers=partial(answers, f"{self.address}/jwks"),
        )

    def user(self, name: str, scopes: str, audience: str = "orders") -> Tokens:
        """The login page takes any password; the next page asks for consent."""
        return log_in(
            self.address,
            CLIENT,
            scopes,
            fill=partial(_fill, name),
            extra={"resource": f"https://{audience}.example"},
        )

    def machine(self, client: str, scopes: str) -> str:
        """Ask for the resource that stands for this service."""
        return client_credentials(
            self.address, client, scopes, {"resource": "https://orders.example"}
        )

    def rotate(self) -> None:
        """Put a new key first, and start again: the issuer reads its keys when it starts."""
        self._add_key()
        self.process.stop()
        up(self.process)

    def _add_key(self) -> None:
        key = rsa.generate_private_key(65537, 2048)
        jwk = jwt.algorithms.RSAAlgorithm.to_jwk(key, as_dict=True)
        named = {**jwk, "kid": f"k{len(self._keys) + 1}", "use": "sig", "alg": "RS256"}
        named.pop("key_ops", None)
        self._keys.insert(0, named)
        (self._folder / "keys.json").write_text(json.dumps({"keys": self._keys}))


def _fill(name: str, browser: httpx.Client, page: httpx.Response) -> httpx.Response:
    if 'value="login"' in page.text:
        return browser.post(page.url, data={"prompt": "login", "login": name, "password": "any"})
    return browser.post(page.url, data={"prompt": "consent"})


def _installed() -> Path:
    home = cache_folder() / "issuers" / "oidc-provider"
    home.mkdir(parents=True, exist_ok=True)
    lock = home / "package-lock.json"
    is_there = lock.exists() and lock.read_bytes() == (_HERE / lock.name).read_bytes()
    for file in ("server.mjs", "package.json"):
        shutil.copy(_HERE / file, home)
    if not is_there or not (home / "node_modules").exists():
        shutil.copy(_HERE / lock.name, home)
        command = ["npm", "ci", "--loglevel=error", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=home, check=True, capture_output=True, timeout=600)
    return home
