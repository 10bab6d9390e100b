"""The data directory of the development stack, and the secrets created at its first run."""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# Claims of the sandbox's tokens. They do not name the port, so tokens stay valid if it changes.
ISSUER = "orders-sandbox"
AUDIENCE = "orders"
TENANT = "main"


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """A directory that only its owner can read; everything in it survives a restart."""

    path: Path

    def prepare(self) -> None:
        """Create it with `.gitignore` if it is missing. May be repeated, also at the same time."""
        self.logs.mkdir(parents=True, exist_ok=True)
        self.payments.mkdir(exist_ok=True)
        self.path.chmod(0o700)
        (self.path / ".gitignore").write_text("*\n")

    @property
    def database(self) -> Path:
        return self.path / "database"

    @property
    def payments(self) -> Path:
        return self.path / "payments"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def lock(self) -> Path:
        return self.path / "lock"

    @property
    def ready_file(self) -> Path:
        return self.path / "ready.json"

    @property
    def issuer_key(self) -> Path:
        return self.path / "issuer-key.pem"

    def webhook_secret(self) -> str:
        """Return the key of the sandbox's webhooks, created at first use."""
        return self._stored_secret(
            "webhook-secret", lambda: f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
        )

    def payment_token(self) -> str:
        """Return the service's credential at the payment sandbox, created at first use."""
        return self._stored_secret("payment-token", lambda: secrets.token_urlsafe(32))

    def _stored_secret(self, name: str, make: Callable[[], str]) -> str:
        file = self.path / name
        if not file.exists():
            write_private(draft := file.with_name(f".{name}.{os.getpid()}"), make())
            with contextlib.suppress(
                FileExistsError
            ):  # another process was first, and its secret counts
                file.hardlink_to(draft)
            draft.unlink()
        return file.read_text()


def write_private(path: Path, text: str) -> None:
    """Write a new file that only its owner can read, atomically."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    draft.touch(mode=0o600)
    draft.write_text(text)
    draft.replace(path)
