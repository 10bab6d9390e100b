"""The Compose stack of `infra/`, seen from outside; needs Docker with Compose."""

from __future__ import annotations

import os
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Final, Literal

Colour = Literal["blue", "green"]
URL: Final = "https://127.0.0.1:8443"
_PROJECT: Final = "orders-blue-green"
"""Not the one that somebody may have running: that one, and its data, are left alone."""
_TOP: Final = Path(__file__).parents[3]
_CERTIFICATE: Final = _TOP / ".orders" / "compose" / "gateway" / "tls.crt"
_ADDRESS: Final = {"blue": "10.89.1.11:8000", "green": "10.89.1.12:8000"}


class ComposeStack:
    """What an operator does to it. The environment says which Compose, and what it builds."""

    def __init__(self) -> None:
        self._one_at_a_time = Lock()

    @property
    def trust(self) -> ssl.SSLContext:
        """What a client needs to trust its certificate."""
        return ssl.create_default_context(cafile=str(_CERTIFICATE))

    def token(self, subject: str) -> str:
        """A customer's token, of the issuer within."""
        issued = ["orders", "token", "--data", "/data", "--role", "customer", "--sub", subject]
        return self._compose("exec", "-T", "sandbox", *issued).strip()

    def roll_out(self, colour: Colour) -> None:
        """Make a colour anew, wait until it is ready, and make it live."""
        with self._one_at_a_time:
            anew = ("--no-deps", "--no-build", "--force-recreate")
            self._compose("up", *anew, f"api-{colour}")
            self._compose("switch", colour)

    def answered_by(self, colour: Colour) -> int:
        """How many requests the gateway says it had answered by a colour."""
        logged = self._compose("logs", "--no-log-prefix", "gateway")
        return logged.count(f'"upstream":"{_ADDRESS[colour]}"')

    def close(self) -> None:
        """Stop it, and forget its data."""
        self._compose("down", "--volumes")

    def start(self) -> None:
        """Build and start it; blue is live."""
        # Compose is content with an image of any age.
        self._compose("up", "--build")
        self._compose("switch", "blue")

    def _compose(self, *arguments: str) -> str:
        done = subprocess.run(
            ["sh", str(_TOP / "infra" / "compose.sh"), *arguments],
            env=os.environ | {"COMPOSE_PROJECT_NAME": _PROJECT},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@contextmanager
def compose_stack() -> Iterator[ComposeStack]:
    """A stack of its own that is up, until the block is left."""
    stack = ComposeStack()
    try:
        stack.start()
        yield stack
    finally:
        stack.close()
