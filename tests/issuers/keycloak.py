"""Keycloak: its distribution from Maven Central, and a realm that is imported when it starts."""

from __future__ import annotations

import fcntl
import html
import json
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

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

VERSION: Final = "26.7.3"
_SCOPES: Final = ("orders:read", "orders:write", "orders:pay", "reports:read")
_CLIENTS: Final = {"shop-importer": "importer-client", "shop-other": "other-client"}
"""The clients that stand for the machines; the realm's role is what counts."""
_AUDIENCE: Final = {
    "name": "orders",
    "protocol": "openid-connect",
    "protocolMapper": "oidc-audience-mapper",
    "config": {"included.custom.audience": "orders", "access.token.claim": "true"},
}


@contextmanager
def keycloak(folder: Path) -> Iterator[Keycloak]:
    """An issuer that is up, until the block is left; skips without Java and Maven."""
    need("java", "--version", r"openjdk (?:1[7-9]|[2-9]\d)", "Java, 17 or newer")
    need("mvn", "--version", r"Maven 3", "Maven 3")
    home = _installed()
    # It keeps in its own folder what its first start, the longest by far, has made.
    with (home / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        issuer = Keycloak(folder, home)
        try:
            up(issuer.process)
            issuer.set_up()
            yield issuer
        finally:
            issuer.process.kill()


class Keycloak:
    """A server in development mode, with a database in memory."""

    section = "Keycloak"
    address_of_page = "https://keycloak.example/realms/shop"
    version = VERSION

    def __init__(self, folder: Path, home: Path) -> None:
        port, management = free_ports(2)
        self._server = f"http://127.0.0.1:{port}"
        self.address = f"{self._server}/realms/shop"
        realms = home / "data" / "import"
        realms.mkdir(parents=True, exist_ok=True)
        (realms / "shop-realm.json").write_text(json.dumps(_realm()))
        # fmt: off
        command = [
            str(home / "bin" / "kc.sh"), "start-dev", "--import-realm", "--db=dev-mem",
            "--http-host=127.0.0.1", f"--http-port={port}", f"--http-management-port={management}",
            "--cache=local",
        ]
        # fmt: on
        own = {"KC_BOOTSTRAP_ADMIN_USERNAME": "admin", "KC_BOOTSTRAP_ADMIN_PASSWORD": SECRET}
        self.process = Process(
            "keycloak",
            command,
            environ={**ENVIRON, **own, "JAVA_OPTS_KC_HEAP": "-Xms64m -Xmx512m"},
            log=folder / "keycloak.log",
            answers=partial(answers, f"{self.address}/.well-known/openid-configuration"),
        )

    def user(self, name: str, scopes: str, audience: str = "orders") -> Tokens:
        """Fill the login page of the client that has the audience."""
        client = CLIENT if audience == "orders" else f"{audience}-web"
        return log_in(self.address, client, f"profile {scopes}", fill=partial(_fill, name))

    def machine(self, client: str, scopes: str) -> str:
        """A client's service account."""
        return client_credentials(self.address, _CLIENTS[client], scopes)

    def rotate(self) -> None:
        """Add a key of a higher priority."""
        component = {
            "name": "newer",
            "providerId": "rsa-generated",
            "providerType": "org.keycloak.keys.KeyProvider",
            "config": {"priority": ["1000"], "algorithm": ["RS256"], "keySize": ["2048"]},
        }
        self._administer("POST", "/components", component)

    def set_up(self) -> None:
        """Make client scopes and clients, which get the standard scopes besides."""
        self._administer("POST", "/client-scopes", _scope("orders", _AUDIENCE))
        for name in _SCOPES:
            self._administer("POST", "/client-scopes", _scope(name))
        ids = {each["name"]: each["id"] for each in self._administer("GET", "/client-scopes")}
        self._administer("PUT", f"/default-default-client-scopes/{ids['orders']}")
        for name in _SCOPES:
            self._administer("PUT", f"/default-optional-client-scopes/{ids[name]}")
        self._client(CLIENT, standardFlowEnabled=True)
        for name in _CLIENTS.values():
            self._client(name, serviceAccountsEnabled=True)
        self._act_as(_CLIENTS["shop-importer"], "shop-importer")
        billing = self._client("billing-web", standardFlowEnabled=True)
        self._administer("DELETE", f"/clients/{billing}/default-client-scopes/{ids['orders']}")

    def _client(self, name: str, **flow: bool) -> str:
        off = {"standardFlowEnabled": False, "serviceAccountsEnabled": False}
        login = {"secret": SECRET, "redirectUris": [REDIRECT_URI], "publicClient": False}
        self._administer("POST", "/clients", {"clientId": name, **off, **flow, **login})
        (found,) = self._administer("GET", f"/clients?clientId={name}")
        return str(found["id"])

    def _act_as(self, client: str, role: str) -> None:
        (found,) = self._administer("GET", f"/clients?clientId={client}")
        account = self._administer("GET", f"/clients/{found['id']}/service-account-user")
        given = self._administer("GET", f"/roles/{role}")
        self._administer("POST", f"/users/{account['id']}/role-mappings/realm", [given])

    def _administer(self, method: str, path: str, body: object = None) -> Any:
        login = {"grant_type": "password", "client_id": "admin-cli", "username": "admin"}
        with httpx.Client(base_url=self._server, timeout=60, trust_env=False) as admin:
            url = "/realms/master/protocol/openid-connect/token"
            granted = admin.post(url, data={**login, "password": SECRET}).raise_for_status()
            bearer = {"Authorization": f"Bearer {granted.json()['access_token']}"}
            url = f"/admin/realms/shop{path}"
            answer = admin.request(method, url, json=body, headers=bearer)
            assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
            return answer.json() if answer.content else None


def _scope(name: str, *mappers: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "protocol": "openid-connect",
        "protocolMappers": mappers,
        "attributes": {"include.in.token.scope": "true" if ":" in name else "false"},
    }


def _realm() -> dict[str, Any]:
    roles = ("Shop Support", "Shop Guest", "shop-importer")
    return {
        "realm": "shop",
        "enabled": True,
        "sslRequired": "none",
        "roles": {"realm": [{"name": name} for name in roles]},
        "users": [_user("ada", "Shop Support"), _user("grace", "Shop Guest")],
    }


def _user(name: str, role: str) -> dict[str, Any]:
    return {
        "username": name,
        "enabled": True,
        "firstName": name.title(),
        "lastName": "Ex",
        "email": f"{name}@shop.example",
        "emailVerified": True,
        "credentials": [{"type": "password", "value": SECRET}],
        "realmRoles": ["default-roles-shop", role],
    }


def _fill(name: str, browser: httpx.Client, page: httpx.Response) -> httpx.Response:
    (action,) = re.findall(r'<form[^>]* action="([^"]+)"', page.text)
    login = {"username": name, "password": SECRET, "credentialId": ""}
    return browser.post(html.unescape(action), data=login)


def _installed() -> Path:
    home = cache_folder() / "issuers" / f"keycloak-{VERSION}"
    if not home.exists():
        artifact = f"org.keycloak:keycloak-quarkus-dist:{VERSION}:zip"
        with tempfile.TemporaryDirectory(dir=cache_folder()) as folder:
            for goal in (
                ["dependency:get", "-Dtransitive=false", f"-Dartifact={artifact}"],
                ["dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={folder}"],
            ):
                command = ["mvn", "--quiet", "--batch-mode", *goal]
                subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=1200)
            (archive,) = Path(folder).glob("*.zip")
            subprocess.run(["jar", "xf", archive.name], cwd=folder, check=True, timeout=600)
            (program,) = Path(folder).glob("*/bin/kc.sh")
            program.chmod(0o755)
            home.parent.mkdir(parents=True, exist_ok=True)
            program.parents[1].rename(home)
    return home
