"""Addresses of databases, with whatever options and credentials they have."""

from __future__ import annotations

from typing import Final

import pytest
from pymongo.uri_parser import parse_uri

_OF_THE_WAY: Final = {"tls", "ssl", "compressors", "directconnection", "loadbalanced"}
"""Options about the connection itself: the way to the database decides about these."""


def with_option(uri: str, option: str) -> str:
    """Return the address with one more option, such as `retryReads=false`; empty: as it is."""
    if not option:
        return uri
    path, _, options = uri.partition("?")
    if path.count("/") == 2:
        path += "/"
    return f"{path}?{options}&{option}" if options else f"{path}?{option}"


def host_and_port(uri: str) -> tuple[str, int]:
    """Return where the (first) server of an address listens. Skips where no proxy can stand."""
    if uri.startswith("mongodb+srv:") or parse_uri(uri)["options"].get("tls"):
        pytest.skip("the connection to the database is encrypted: no proxy can read it")
    host, port = parse_uri(uri)["nodelist"][0]
    assert port is not None
    return host, port


def through(port: int, uri: str) -> str:
    """Return the address of a database behind a proxy on this machine, with its credentials."""
    path, _, options = uri.removeprefix("mongodb://").partition("?")
    servers, _, rest = path.partition("/")
    user, at, _ = servers.rpartition("@")
    kept = [each for each in options.split("&") if _name(each) not in _OF_THE_WAY | {""}]
    asked = "&".join(["directConnection=true", *kept])
    return f"mongodb://{user}{at}127.0.0.1:{port}/{rest}?{asked}"


def _name(option: str) -> str:
    return option.partition("=")[0].lower()
