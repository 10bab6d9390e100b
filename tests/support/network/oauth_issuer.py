"""An issuer of OAuth tokens: `/token` with the grant client_credentials, and `/jwks`."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote_plus

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa


class OAuthIssuer:
    """Knows one client. What it was asked, and how it answers, is for tests to see and say."""

    def __init__(self, client_id: str, client_secret: str) -> None:
        self.client = (client_id, client_secret)
        self.lifetime_seconds = 300
        self.forms: list[dict[str, str]] = []
        """The fields of each request for a token that was granted."""
        self.answer: tuple[int, bytes] | None = None
        """What to answer instead of a token."""
        self.sends_in_parts = False
        self._key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(200, outer.jwks())

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                fields = {name: values[0] for name, values in parse_qs(body).items()}
                self._answer(*outer.token(self.headers.get("Authorization", ""), fields))

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if outer.sends_in_parts:
                    self.wfile.write(body[:20])
                    self.wfile.flush()
                    time.sleep(0.05)  # so that the parts arrive one after the other
                    body = body[20:]
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def jwks(self) -> bytes:
        """The public key."""
        key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key()))
        return json.dumps({"keys": [{**key, "kid": "1", "alg": "RS256", "use": "sig"}]}).encode()

    def token(self, authorization: str, fields: dict[str, str]) -> tuple[int, bytes]:
        """Answer a request for a token."""
        if self.answer is not None:
            return self.answer
        names = base64.b64decode(authorization.removeprefix("Basic ")).decode().split(":")
        if tuple(map(unquote_plus, names)) != self.client:
            return 401, b'{"error": "invalid_client"}'
        self.forms.append(fields)
        now = int(time.time())
        lifetime = {"iat": now, "exp": now + self.lifetime_seconds}
        claims = {"iss": self.url, "sub": self.client[0], "aud": "kafka", **lifetime}
        token = jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": "1"})
        answer = {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": self.lifetime_seconds,
        }
        return 200, json.dumps(answer).encode()


@contextmanager
def oauth_issuer(client_id: str, client_secret: str) -> Iterator[OAuthIssuer]:
    """An issuer that answers until the block is left."""
    issuer = OAuthIssuer(client_id, client_secret)
    serving = threading.Thread(target=issuer.server.serve_forever)
    serving.start()
    try:
        yield issuer
    finally:
        issuer.server.shutdown()
        issuer.server.server_close()
        serving.join()
