"""A user's login in a browser, done by HTTP: the authorization code flow with PKCE."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx

CLIENT: Final = "shop-web"
"""The client that people use."""
REDIRECT_URI: Final = "https://shop.example/callback"
SECRET: Final = "secret-of-a-test"
_MOST_STEPS: Final = 20

Visit = Callable[[httpx.Client, str], httpx.Response]
Fill = Callable[[httpx.Client, httpx.Response], httpx.Response]


class Tokens(NamedTuple):
    """What a login gives."""

    access: str
    id: str


def visit(browser: httpx.Client, url: str) -> httpx.Response:
    """Go where the issuer sends the browser."""
    return browser.get(url)


def log_in(
    issuer: str,
    client: str,
    scopes: str,
    *,
    fill: Fill,
    visit: Visit = visit,
    extra: Mapping[str, str] | None = None,
) -> Tokens:
    """Log a user in; `fill` answers each page, `extra` goes with both requests of the client."""
    known = discovered(issuer)
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest())
    asked = {
        "client_id": client,
        "response_type": "code",
        "redirect_uri": REDIRECT_URI,
        "scope": f"openid {scopes}",
        "state": secrets.token_hex(8),
        "nonce": secrets.token_hex(8),
        "code_challenge": challenge.decode().rstrip("="),
        "code_challenge_method": "S256",
        **(extra or {}),
    }
    with httpx.Client(timeout=60, trust_env=False) as browser:
        browser.event_hooks = {"response": [lambda _: _send_cookies_to_loopback(browser)]}
        url = str(httpx.URL(known["authorization_endpoint"], params=asked))
        code = _code(browser, visit(browser, url), visit, fill)
    form = {"grant_type": "authorization_code", "code": code, "code_verifier": verifier}
    form |= {"redirect_uri": REDIRECT_URI, **(extra or {})}
    granted = token(known, client, form)
    return Tokens(granted["access_token"], granted["id_token"])


def client_credentials(
    issuer: str, client: str, scopes: str, extra: Mapping[str, str] | None = None
) -> str:
    """A machine's access token."""
    form = {"grant_type": "client_credentials", "scope": scopes, **(extra or {})}
    return str(token(discovered(issuer), client, form)["access_token"])


def discovered(issuer: str) -> dict[str, Any]:
    """The issuer's endpoints, as it publishes them."""
    found = httpx.get(f"{issuer}/.well-known/openid-configuration", timeout=60, trust_env=False)
    document: dict[str, Any] = found.raise_for_status().json()
    return document


def token(known: Mapping[str, Any], client: str, form: Mapping[str, str]) -> dict[str, Any]:
    """Ask the token endpoint, as a client with a secret."""
    answer = httpx.post(
        known["token_endpoint"], data=form, auth=(client, SECRET), timeout=60, trust_env=False
    )
    assert answer.is_success, f"{client}: {answer.status_code} {answer.text}"
    granted: dict[str, Any] = answer.json()
    return granted


def _send_cookies_to_loopback(browser: httpx.Client) -> None:
    """As browsers do, also those for secure connections only."""
    for cookie in browser.cookies.jar:
        cookie.secure = False


def _code(browser: httpx.Client, answer: httpx.Response, visit: Visit, fill: Fill) -> str:
    """Go through the pages until the browser is sent back to the client."""
    for _ in range(_MOST_STEPS):
        if not answer.is_redirect:
            assert answer.is_success, f"{answer.url}: {answer.status_code} {answer.text[:2000]}"
            answer = fill(browser, answer)
            continue
        location = urljoin(str(answer.url), answer.headers["location"])
        if location.startswith(REDIRECT_URI):
            given = parse_qs(urlsplit(location).query)
            assert "code" in given, given
            return given["code"][0]
        answer = visit(browser, location)
    raise AssertionError(f"the login goes in circles: {answer.url}")
