"""The kinds of settings: what text each accepts, and how it becomes a value."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import MISSING, field
from typing import Any
from urllib.parse import urlsplit


def setting(
    meaning: str,
    accepts: str,
    parse: Callable[[str], object],
    *,
    default: Any = MISSING,
    secret: bool = False,
) -> Any:
    """Declare one setting. `parse` raises `ValueError` for what `accepts` does not describe."""
    about = {"meaning": meaning, "accepts": accepts, "parse": parse, "secret": secret}
    return field(default=default, repr=not secret, metadata=about)


def whole(meaning: str, default: int, low: int, high: int) -> Any:
    def parse(text: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,20}", text) or not low <= int(text) <= high:
            raise ValueError
        return int(text)

    return setting(meaning, f"a whole number from {low} to {high}", parse, default=default)


def number(meaning: str, default: float, low: float, high: float) -> Any:
    def parse(text: str) -> float:
        if not low <= float(text) <= high:  # NaN is in no range
            raise ValueError
        return float(text)

    return setting(meaning, f"a number from {low:g} to {high:g}", parse, default=default)


def choice(meaning: str, default: str, *choices: str) -> Any:
    return setting(
        meaning,
        f"one of {', '.join(choices)}",
        lambda text: choices[choices.index(text)],
        default=default,
    )


def printable(meaning: str, default: Any = MISSING) -> Any:
    def parse(text: str) -> str:
        if len(text) > 1024 or not text.isprintable():
            raise ValueError
        return text

    return setting(meaning, "printable text", parse, default=default)


def url(meaning: str, *schemes: str, default: Any = MISSING, secret: bool = False) -> Any:
    accepts = f"a URL that starts with {' or '.join(f'{scheme}://' for scheme in schemes)}"
    return setting(
        meaning, accepts, lambda text: _as_url(text, schemes), default=default, secret=secret
    )


def _as_url(text: str, schemes: tuple[str, ...]) -> str:
    parts = urlsplit(text)
    if parts.scheme not in schemes or not parts.netloc or not text.isprintable():
        raise ValueError
    return text


def several(
    meaning: str,
    accepts: str,
    parse: Callable[[str], str],
    *,
    default: Any = MISSING,
    secret: bool = False,
) -> Any:
    def parse_all(text: str) -> tuple[str, ...]:
        found = tuple(parse(part.strip()) for part in text.split(",") if part.strip())
        if not found:
            raise ValueError
        return found

    return setting(
        meaning, f"{accepts}; several with commas", parse_all, default=default, secret=secret
    )


def as_origin(text: str) -> str:
    if not re.fullmatch(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?", text):
        raise ValueError
    return text


def as_address(text: str) -> str:
    if not re.fullmatch(r"([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\]):[0-9]{1,5}", text):
        raise ValueError
    return text


def as_webhook_secret(text: str) -> str:
    if not re.fullmatch(r"whsec_[A-Za-z0-9+/]{32,128}={0,2}", text):
        raise ValueError
    return text


def as_algorithm(text: str) -> str:
    if text not in {"RS256", "PS256", "ES256", "EdDSA", "HS256"}:
        raise ValueError
    return text


def as_token_type(text: str) -> str:
    if text.lower() not in {"at+jwt", "jwt", "none"}:
        raise ValueError
    return text.lower()


def as_claim(text: str) -> str:
    if not re.fullmatch(r"[!-~]{1,255}", text):
        raise ValueError
    return text


def as_claim_and_value(text: str) -> str:
    if not re.fullmatch(r"[!-<>-~]{1,255}=[!-~]{1,255}", text):
        raise ValueError
    return text


def as_shared_secret(text: str) -> str:
    if len(text.encode()) < 32:
        raise ValueError
    return text


def as_network(text: str) -> str:
    return str(ipaddress.ip_network(text))
