"""Where the development stack keeps its data, and the secrets made at its first run."""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# What tokens of the sandbox say, wherever it listens: they stay good when a port changes.
ISSUER = "orders-sandbox"
AUDIENCE = "orders"
TENANT = "main"


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """A directory that only its owner can read; everything in it survives a restart."""

    path: Path

    def prepare(self) -> None:
        """Make it, with `.gitignore`, if need be. May be repeated, and by two at once."""
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
        """Return the key of the sandbox's webhooks, made at first use."""
        return self._kept(
            "webhook-secret", lambda: f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
        )

    def payment_token(self) -> str:
        """Return the service's credential at the payment sandbox, made at first use."""
        return self._kept("payment-token", lambda: secrets.token_urlsafe(32))

    def _kept(self, name: str, make: Callable[[], str]) -> str:
        kept = self.path / name
        if not kept.exists():
            write_private(draft := kept.with_name(f".{name}.{os.getpid()}"), make())
            with contextlib.suppress(
                FileExistsError
            ):  # another process was first: its secret it is
                kept.hardlink_to(draft)
            draft.unlink()
        return kept.read_text()


def write_private(path: Path, text: str) -> None:
    """Write a new file that only its owner can read, in one step: nobody sees half of it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    draft.touch(mode=0o600)
    draft.write_text(text)
    draft.replace(path)
