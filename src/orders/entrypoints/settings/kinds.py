"""The kinds of settings: which text each accepts, and how it becomes a value.

Why this is not a library: decision 22.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import MISSING, field
from functools import partial
from typing import Any, Final

_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
# The last part of a name is no number: 10.0.0.256 is meant as an address.
_NAME: Final = re.compile(rf"(?:{_LABEL}\.)*(?![0-9]+\.?$){_LABEL}\.?", re.IGNORECASE)


class Unusable(ValueError):
    """A value cannot be used. The message says why, and holds no part of the value."""


def setting(
    meaning: str,
    accepts: str,
    parse: Callable[[str], object],
    *,
    default: Any = MISSING,
    secret: bool = False,
    shown: bool = True,
    variable: str | None = None,
) -> Any:
    """Declare one setting.

    `parse` raises `ValueError` for text that `accepts` does not describe, and `Unusable` if there
    is more to say. The repr of the settings holds the value, unless it is `secret` or not `shown`.
    `variable` is its environment variable, unless that is `ORDERS_` and the setting's name.
    """
    about = {"meaning": meaning, "accepts": accepts, "parse": parse, "secret": secret}
    about["variable"] = variable
    return field(default=default, repr=shown and not secret, metadata=about)


def parsed(
    text: str, *, parse: Callable[[str], Any], accepts: str, **_: object
) -> tuple[str | None, Any]:
    """Return (problem, None) or (None, value). The problem holds no part of the value."""
    try:
        return None, parse(text)
    except Unusable as error:
        return f"cannot be used: {error}", None
    except ImportError:
        raise
    except Exception:  # noqa: BLE001 - whatever it is, it may quote the value
        return f"must be {accepts}", None


def integer(meaning: str, default: int, low: int, high: int) -> Any:
    accepts = f"a whole number from {low} to {high}"
    return setting(meaning, accepts, partial(as_integer, low, high), default=default)


def as_integer(low: int, high: int, text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,20}", text) or not low <= int(text) <= high:
        raise ValueError
    return int(text)


def float_(meaning: str, default: float, low: float, high: float) -> Any:
    accepts = f"a number from {low:g} to {high:g}"
    return setting(meaning, accepts, partial(as_number, low, high), default=default)


def as_number(low: float, high: float, text: str) -> float:
    if not low <= float(text) <= high:  # NaN is in no range
        raise ValueError
    return float(text)


def choice(meaning: str, default: str, *choices: str) -> Any:
    accepts = f"one of {', '.join(choices)}"
    return setting(meaning, accepts, partial(as_one_of, choices), default=default)


def as_one_of(choices: Sequence[str], text: str) -> str:
    return choices[choices.index(text)]


def text(meaning: str) -> Any:
    return setting(meaning, "printable text", as_text)


def url(
    meaning: str,
    parse: Callable[[str], object],
    *schemes: str,
    default: Any = MISSING,
    secret: bool = False,
) -> Any:
    """Declare an address. It may hold a credential, so no repr holds it."""
    accepts = f"a URL that starts with {' or '.join(f'{scheme}://' for scheme in schemes)}"
    return setting(meaning, accepts, parse, default=default, secret=secret, shown=False)


def list_of(
    meaning: str,
    accepts: str,
    parse: Callable[[str], str],
    *,
    default: Any = MISSING,
    secret: bool = False,
    variable: str | None = None,
) -> Any:
    def parse_all(text: str) -> tuple[str, ...]:
        found = tuple(parse(part.strip()) for part in text.split(",") if part.strip())
        if not found:
            raise ValueError
        return found

    accepts = f"{accepts}; several with commas"
    return setting(meaning, accepts, parse_all, default=default, secret=secret, variable=variable)


def as_text(text: str) -> str:
    if len(text) > 1024 or not text.isprintable():
        raise ValueError
    return text


def as_host(text: str) -> str:
    """Accept an IP address, also in brackets as in a URL, or a host name."""
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    if is_address(text.partition("%")[0]):
        return text
    if len(text) > 253 or not _NAME.fullmatch(text):
        raise Unusable("its host is neither a name nor an address")
    return text


def is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def require_port(text: str) -> None:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65_535:
        raise Unusable("a port is not a whole number from 1 to 65535")


def as_broker(text: str) -> str:
    """Accept `host:port`."""
    host, colon, port = text.rpartition(":")
    literal = re.fullmatch(r"\[([0-9a-fA-F:.]+)\]", host)
    if not colon or (":" in host and not literal):
        raise ValueError
    as_host(literal[1] if literal else host)
    require_port(port)
    return text


def as_database(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,63}", text):
        raise ValueError
    return text


def as_topic(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,249}", text) or text in {".", ".."}:
        raise ValueError
    return text


def as_credential(text: str) -> str:
    """Accept what an HTTP header can hold."""
    if not re.fullmatch(r"[\x20-\x7e]+", text):
        raise ValueError
    return text


def as_origin(text: str) -> str:
    # A browser writes an IPv6 address in its short form and in lower case.
    if not re.fullmatch(r"https?://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", text):
        raise ValueError
    return text


def as_webhook_secret(text: str) -> str:
    if not re.fullmatch(r"whsec_[A-Za-z0-9+/]{32,128}={0,2}", text):
        raise ValueError
    try:
        base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise Unusable("a key is not base64: it was cut, or its = are missing") from None
    return text


def as_network(text: str) -> str:
    return str(ipaddress.ip_network(text))
