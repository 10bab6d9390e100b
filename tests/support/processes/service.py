"""The service as a stranger meets it: an address, tokens of any kind, and nothing of its code.

Every answer is held to what all answers promise, before a test looks at it.
"""

from __future__ import annotations

import base64
import json
import secrets
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

T = TypeVar("T")

ALWAYS: Final = {
    "cache-control": "no-store, no-transform",
    "content-security-policy": (
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_INSIDES: Final = (
    "traceback", "litestar", "msgspec", "pymongo", "mongodb", "secantus", "uvicorn", ".py",
    "site-packages", "errno", "object at 0x",
)  # fmt: skip
SCOPES: Final = (
    "orders:read orders:write orders:pay orders:refund orders:fulfill orders:hold events:read"
)
"""All that narrow nothing: what a role may do is then as docs/access.md has it."""
PATIENCE_SECONDS: Final = 60
"""After which a test gives up, however busy the machine is. What is promised sooner says so."""
MUG: Final = {"sku": "MUG-RED", "name": "Red mug", "quantity": 1}
"""A line that the development catalogue prices in GBP (1250), EUR and JPY."""


def hold(answer: httpx.Response, *, allowed: Sequence[int] = ()) -> httpx.Response:
    """Check what every answer promises: no 5xx but the `allowed`, the headers, problem details."""
    said = f"{answer.request.method} {answer.request.url} {answer.status_code} {answer.text[:400]}"
    assert answer.status_code < 500 or answer.status_code in allowed, said
    for name, value in ALWAYS.items():
        assert answer.headers.get_list(name) == [value], f"{name}: {said}"
    max_age, _, rest = answer.headers["strict-transport-security"].partition(";")
    assert int(max_age.removeprefix("max-age=")) >= 31_536_000, said
    assert "includeSubDomains" in rest, said
    assert "x-powered-by" not in answer.headers, said
    assert not any(character.isdigit() for character in answer.headers.get("server", "")), said
    if answer.status_code >= 400:
        require_problem(answer)
    return answer


def require_problem(answer: httpx.Response) -> None:
    """Check that a refusal is RFC 9457 and shows nothing of the inside."""
    assert answer.headers["content-type"].split(";")[0] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["type"] == f"/problems/{problem['code']}"
    assert problem["title"]
    assert len(problem["trace_id"]) == 32
    shown = answer.text.lower()
    assert not any(word in shown for word in _INSIDES), answer.text


def is_overloaded(answer: httpx.Response) -> bool:
    """Whether the service had no time for a request, and did nothing of it."""
    return answer.status_code == 503 and answer.json()["code"] == "overloaded"


def key() -> str:
    """A new Idempotency-Key."""
    return secrets.token_hex(8)


def body(**members: object) -> dict[str, Any]:
    """What places one mug, changed as the test needs it."""
    return {"currency": "GBP", "lines": [dict(MUG)], **members}


def paid(method: str = "tok_ok", *, capture: bool = False, **members: object) -> dict[str, Any]:
    """What places one mug and pays for it."""
    return body(payment={"method": method, "capture": capture}, **members)


def line(**members: object) -> dict[str, Any]:
    """What places one line, changed as the test needs it."""
    return body(lines=[{**MUG, **members}])


def eventually(holds: Callable[[], T | None], seconds: float = PATIENCE_SECONDS) -> T:
    """Wait until it holds, and return what it then is."""
    give_up_at = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < give_up_at
        time.sleep(0.1)  # the far side of HTTP gives no event to wait for
    return found


def at_once(*calls: Callable[[], T]) -> list[T]:
    """Make calls side by side."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [each.result() for each in [pool.submit(call) for call in calls]]


@dataclass(frozen=True, slots=True)
class Caller:
    """Someone with a token, or without."""

    running: Running
    token: str | None
    subject: str = ""

    def __call__(
        self,
        method: str,
        path: str,
        *,
        allowed: Sequence[int] = (),
        headers: Mapping[str, str] | None = None,
        **request: Any,
    ) -> httpx.Response:
        """Send a request; the answer keeps what all answers promise.

        A machine may be too busy for a request: it is then refused before anything is done, and
        sent again after `Retry-After`, as every client must. With 503 `allowed` it is not.
        """
        bearer = {"Authorization": f"Bearer {self.token}"} if self.token is not None else {}
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while True:
            answer = self.running.client.request(
                method, path, headers={**bearer, **(headers or {})}, **request
            )
            if 503 in allowed or not is_overloaded(answer) or time.monotonic() > give_up_at:
                return hold(answer, allowed=allowed)
            hold(answer, allowed=(503,))
            time.sleep(int(answer.headers["retry-after"]))  # what the service asks for

    def get(self, path: str, **request: Any) -> httpx.Response:
        """Read."""
        return self("GET", path, **request)

    def post(
        self,
        path: str,
        content: object = None,
        *,
        with_key: str | None = None,
        headers: Mapping[str, str] | None = None,
        **request: Any,
    ) -> httpx.Response:
        """Send JSON (bytes go as they are) with the key given, or a new one."""
        raw = content if isinstance(content, bytes) else json.dumps(content or {}).encode()
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": with_key or key(),
            **(headers or {}),
        }
        return self("POST", path, content=raw, headers=headers, **request)

    def place(self, content: object = None, **request: Any) -> httpx.Response:
        """Place an order: by default, one mug."""
        return self.post("/v1/orders", body() if content is None else content, **request)

    def placed(self, content: object = None) -> dict[str, Any]:
        """Place an order that must be taken."""
        answer = self.place(content)
        assert answer.status_code == 201, answer.text
        order: dict[str, Any] = answer.json()
        return order

    def order(self, order_id: str) -> dict[str, Any]:
        """The order as it is now."""
        answer = self.get(f"/v1/orders/{order_id}")
        assert answer.status_code == 200, answer.text
        order: dict[str, Any] = answer.json()
        return order

    def orders(self, query: str = "") -> list[dict[str, Any]]:
        """All orders this caller is shown, page by page."""
        found: list[dict[str, Any]] = []
        cursor = None
        while True:
            page = self.get(
                f"/v1/orders?limit=100{query}{f'&cursor={cursor}' if cursor else ''}"
            ).json()
            found += page["items"]
            if (cursor := page["next_cursor"]) is None:
                return found

    def events(self, order_id: str) -> list[dict[str, Any]]:
        """What happened to an order."""
        items: list[dict[str, Any]] = self.get(f"/v1/orders/{order_id}/events").json()["items"]
        return items


@dataclass(frozen=True)
class Running:
    """A service that runs, and the data directory of its sandbox."""

    url: str
    data: Path
    addresses: Mapping[str, Any]
    client: httpx.Client = field(repr=False)

    @cached_property
    def issuer_key(self) -> Ed25519PrivateKey:
        """What the sandbox signs tokens with."""
        read = load_pem_private_key((self.data / "issuer-key.pem").read_bytes(), password=None)
        assert isinstance(read, Ed25519PrivateKey)
        return read

    @cached_property
    def kid(self) -> str:
        """The name of that key."""
        kid: str = httpx.get(self.addresses["jwks"]).json()["keys"][0]["kid"]
        return kid

    def claims(self, **changed: object) -> dict[str, Any]:
        """What a good token says, changed; None leaves a claim out."""
        now = int(time.time())
        roles = changed.get("roles", ["customer"])
        good = {
            "iss": "orders-sandbox",
            "aud": "orders",
            "sub": f"customer-{key()}",
            "roles": roles,
            "scope": SCOPES + (" orders:price" if roles in (["support"], ["admin"]) else ""),
            "iat": now,
            "exp": now + 600,
            **changed,
        }
        return {name: value for name, value in good.items() if value is not None}

    def sign(
        self, claims: Mapping[str, Any] | bytes, *, sign_with: Any = None, **header: object
    ) -> str:
        """A token that says just this; None leaves a header out."""
        protected = {"alg": "EdDSA", "typ": "at+jwt", "kid": self.kid, **header}
        parts = [
            json.dumps({name: value for name, value in protected.items() if value is not None}),
            claims.decode() if isinstance(claims, bytes) else json.dumps(claims),
        ]
        signed = ".".join(base64url(part.encode()) for part in parts)
        signature = (sign_with or self.issuer_key.sign)(signed.encode())
        return f"{signed}.{base64url(signature)}"

    def someone(self, *roles: str, **claims: object) -> Caller:
        """A caller nobody has seen before; a customer unless told otherwise."""
        said = self.claims(roles=list(roles or ("customer",)), **claims)
        return Caller(self, self.sign(said), said["sub"])

    def nobody(self) -> Caller:
        """A caller without a token."""
        return Caller(self, None)

    def bearing(self, token: str) -> Caller:
        """A caller with this token."""
        return Caller(self, token)

    def charges(self, order_id: str) -> list[dict[str, Any]]:
        """The payments that the payment service holds for an order."""
        ledger = httpx.get(f"{self.addresses['payments']}/ledger").json()
        return [each for each in ledger["payments"] if each["reference"].startswith(order_id)]

    def charge_calls(self, order_id: str) -> dict[str, int]:
        """How often the payment service was called for an order, by Idempotency-Key."""
        ledger = httpx.get(f"{self.addresses['payments']}/ledger").json()
        return {name: n for name, n in ledger["calls"].items() if name.startswith(order_id)}

    def logged(self) -> str:
        """All that any process of the stack has logged."""
        return "".join(
            file.read_text(errors="replace") for file in sorted((self.data / "logs").iterdir())
        )

    def connect(self, timeout_seconds: float = 10) -> socket.socket:
        """A bare connection, for requests that no client would send."""
        address = urlsplit(self.url)
        assert address.hostname is not None
        assert address.port is not None
        return socket.create_connection((address.hostname, address.port), timeout_seconds)

    def say(self, raw: bytes, timeout_seconds: float = 10) -> bytes:
        """Send bytes, and return all that comes back until the other side is done."""
        with self.connect(timeout_seconds) as connection:
            received = b""
            try:
                connection.sendall(raw)
                while chunk := connection.recv(65536):
                    received += chunk
            except (TimeoutError, ConnectionError):
                pass  # What came until then is the answer.
        return received


def base64url(data: bytes) -> str:
    """Encode as JOSE does."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def without_trace(problem: dict[str, Any]) -> dict[str, Any]:
    """A problem without what differs from one request to the next."""
    return {name: value for name, value in problem.items() if name != "trace_id"}
