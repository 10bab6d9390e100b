"""Ory Hydra, built from its Go module; this script is its login and consent application."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx

from orders.entrypoints.server.child_processes import free_ports
from tests.clients.programs import cache_folder, need
from tests.issuers.code_flow import (
    CLIENT,
    REDIRECT_URI,
    SECRET,
    Tokens,
    client_credentials,
    log_in,
)
from tests.issuers.issuer import ENVIRON, answers, up
from tests.support.processes.cluster import Process

_MODULE: Final = "github.com/ory/hydra/v2"
_HERE: Final = Path(__file__).parent / "hydra"
_SCOPES: Final = "openid orders:read orders:write orders:pay reports:read"
_ROLES: Final = {"ada": ["Shop Support"], "grace": ["Shop Guest"]}


@contextmanager
def ory_hydra(folder: Path) -> Iterator[Hydra]:
    """An issuer that is up, until the block is left; skips without Go and a C compiler."""
    need("go", "version", r"go1\.(?:2[6-9]|[3-9]\d)", "Go, 1.26 or newer")
    need("cc", "--version", r"\d", "a C compiler, for Hydra's SQLite")
    issuer = Hydra(folder, _built())
    try:
        up(issuer.process)
        issuer.set_up()
        yield issuer
    finally:
        issuer.process.kill()


class Hydra:
    """A server with a database in memory."""

    section = "Ory Hydra"
    address_of_page = "https://hydra.example"

    def __init__(self, folder: Path, program: Path) -> None:
        public, admin = free_ports(2)
        self.address = f"http://127.0.0.1:{public}"
        (self.version,) = re.findall(rf"{_MODULE} v(\S+)", _go_mod())
        self._admin = f"http://127.0.0.1:{admin}/admin"
        configuration = folder / "hydra.json"
        configuration.write_text(json.dumps(self._configuration(public, admin)))
        self.process = Process(
            "hydra",
            [str(program), "serve", "all", "--dev", "--config", str(configuration)],
            environ=ENVIRON,
            log=folder / "hydra.log",
            # Its first keys are made when somebody asks for them: on a busy machine that takes
            # longer than the service waits.
            answers=partial(answers, f"{self.address}/.well-known/jwks.json"),
        )

    def set_up(self) -> None:
        """Make the clients."""
        login = {"grant_types": ["authorization_code"], "redirect_uris": [REDIRECT_URI]}
        machine = {"grant_types": ["client_credentials"]}
        for name, grants in {
            CLIENT: login,
            "shop-importer": machine,
            "shop-other": machine,
        }.items():
            client = {
                "client_id": name,
                "client_secret": SECRET,
                "scope": _SCOPES,
                "audience": ["orders", "billing"],
                **grants,
            }
            self._administer("POST", "/clients", client)

    def user(self, name: str, scopes: str, audience: str = "orders") -> Tokens:
        """Hydra has no pages: it asks the application at each of its two challenges."""
        return log_in(
            self.address,
            CLIENT,
            scopes,
            visit=partial(self._visit, name),
            fill=_no_page,
            extra={"audience": audience},
        )

    def machine(self, client: str, scopes: str) -> str:
        """Ask for the audience of this service."""
        return client_credentials(self.address, client, scopes, {"audience": "orders"})

    def rotate(self) -> None:
        """Add a key to the set for access tokens; the newest signs."""
        key = {"alg": "RS256", "use": "sig", "kid": secrets.token_hex(8)}
        self._administer("POST", "/keys/hydra.jwt.access-token", key)

    def _visit(self, name: str, browser: httpx.Client, url: str) -> httpx.Response:
        challenges = parse_qs(urlsplit(url).query)
        if "login_challenge" in challenges:
            return browser.get(self._accept("login", challenges, {"subject": name}))
        if "consent_challenge" in challenges:
            (challenge,) = challenges["consent_challenge"]
            asked = self._administer(
                "GET", f"/oauth2/auth/requests/consent?consent_challenge={challenge}"
            )
            consent = {
                "grant_scope": asked["requested_scope"],
                "grant_access_token_audience": asked["requested_access_token_audience"],
                "session": {"access_token": {"roles": _ROLES[name]}},
            }
            return browser.get(self._accept("consent", challenges, consent))
        return browser.get(url)

    def _accept(self, kind: str, challenges: Mapping[str, list[str]], body: object) -> str:
        (challenge,) = challenges[f"{kind}_challenge"]
        path = f"/oauth2/auth/requests/{kind}/accept?{kind}_challenge={challenge}"
        return str(self._administer("PUT", path, body)["redirect_to"])

    def _administer(self, method: str, path: str, body: object = None) -> Any:
        answer = httpx.request(
            method, f"{self._admin}{path}", json=body, timeout=60, trust_env=False
        )
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def _configuration(self, public: int, admin: int) -> dict[str, Any]:
        application = "http://127.0.0.1:9"  # never asked: the script reads the challenge
        return {
            "dsn": "memory",
            "serve": {
                "public": {"host": "127.0.0.1", "port": public},
                "admin": {"host": "127.0.0.1", "port": admin},
            },
            "urls": {
                "self": {"issuer": self.address},
                "login": f"{application}/login",
                "consent": f"{application}/consent",
            },
            "strategies": {"access_token": "jwt"},
            "secrets": {"system": [secrets.token_hex(16)]},
            "sqa": {"opt_out": True},
        }


def _no_page(_: httpx.Client, page: httpx.Response) -> httpx.Response:
    raise AssertionError(f"Hydra shows a page: {page.url}")


def _go_mod() -> str:
    return (_HERE / "go.mod").read_text(encoding="utf-8")


def _built() -> Path:
    home = cache_folder() / "issuers" / "hydra"
    home.mkdir(parents=True, exist_ok=True)
    program = home / f"hydra-{hashlib.sha256((_HERE / 'go.sum').read_bytes()).hexdigest()[:16]}"
    if not program.exists():
        for file in ("go.mod", "go.sum"):
            shutil.copy(_HERE / file, home)
        command = ["go", "build", "-tags", "sqlite", "-o", f"{program}.new", _MODULE]
        subprocess.run(command, cwd=home, check=True, capture_output=True, timeout=3600)
        Path(f"{program}.new").rename(program)
    return program
