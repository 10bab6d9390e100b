"""What an issuer's tokens open, asked of the running service."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.contract.token_shapes import ISSUERS
from tests.issuers.issuer import Issuer, claims, header
from tests.support.auth_page import settings_of, shown_claims_of
from tests.support.processes.service import Caller, Running, body

READ: Final = "orders:read"
READ_WRITE: Final = "orders:read orders:write"
_USER: Final = f"{READ_WRITE} orders:pay"
_NEW_KEY_SECONDS: Final = 60
_CUSTOMER: Final = {"customer_id": "a-customer"}

EXPECTED: Final[Mapping[str, int]] = {
    "user: places an order for a customer": 201,
    "user: reads it": 200,
    "user: captures (scope, but not the role)": 403,
    "user: holds (role, but not the scope)": 403,
    "user with `orders:read` only: reads": 200,
    "user with `orders:read` only: places": 403,
    "user without a mapped role: lists": 403,
    "user without a scope of ours: reads": 403,
    "machine: places an order for a customer": 201,
    "machine: reads it": 200,
    "machine: captures (no scope)": 403,
    "machine that is not mapped: reads": 403,
    "ID token": 401,
    "ID token, if its audience were accepted": 401,
    "token for another service": 401,
    "token of the new key": 200,
    "token of the old key, still listed": 200,
}
"""The status of each check."""


@dataclass
class Findings:
    """What was seen of one issuer."""

    version: str
    settings: Mapping[str, str]
    start_seconds: float
    statuses: dict[str, int] = field(default_factory=dict)
    new_key_seconds: float = 0
    unlike: list[str] = field(default_factory=list)
    """Where its tokens differ from those that the tests have, and from the page."""

    def wrong(self) -> list[str]:
        """What is not as it should be."""
        found = [
            f"{name}: {self.statuses.get(name)} instead of {status}"
            for name, status in EXPECTED.items()
            if self.statuses.get(name) != status
        ]
        if self.new_key_seconds > _NEW_KEY_SECONDS:
            found.append(f"a new key works after {self.new_key_seconds:.0f} s")
        return found + self.unlike


def settings(issuer: Issuer) -> dict[str, str]:
    """The block of the page, with the issuer's address here."""
    block = settings_of(issuer.section)
    return {
        name: value.replace(issuer.address_of_page, issuer.address) for name, value in block.items()
    }


def examine(issuer: Issuer, service: Running, lax: Running, found: Findings) -> None:
    """Try every token of an issuer, then let it sign with a new key.

    `lax` is a replica that accepts the audience of ID tokens, too.
    """
    see = found.statuses
    tokens = issuer.user("ada", _USER)
    _a_user(issuer, service, tokens.access, see)
    _a_machine(issuer, service, see)
    see["ID token"] = _lists(service, tokens.id)
    assert _lists(lax, tokens.access) == 200, "the lax replica refuses everything"
    see["ID token, if its audience were accepted"] = _lists(lax, tokens.id)
    see["token for another service"] = _lists(service, issuer.user("ada", READ, "billing").access)
    shapes = ISSUERS[issuer.section]
    machine = issuer.machine("shop-importer", READ_WRITE)
    given = {"user": tokens.access, "machine": machine, "id_token": tokens.id}
    for kind, token in given.items():
        found.unlike += _unlike(kind, claims(token), getattr(shapes, kind))
    found.unlike += _unlike_header(header(tokens.access), shapes.header)
    shown = set(shown_claims_of(issuer.section)) - set(claims(tokens.access))
    found.unlike += [f"the page shows {name}, which the token has not" for name in sorted(shown)]
    _new_key(issuer, service, tokens.access, found)


def _a_user(issuer: Issuer, service: Running, token: str, see: dict[str, int]) -> None:
    user = service.bearing(token)
    placed = user.place(body(**_CUSTOMER))
    see["user: places an order for a customer"] = placed.status_code
    order = f"/v1/orders/{placed.json().get('id', 'none')}"
    see["user: reads it"] = user.get(order).status_code
    see["user: captures (scope, but not the role)"] = _captures(user, order)
    held = user.post(f"{order}/holds", {"reason": "We look into it"})
    see["user: holds (role, but not the scope)"] = held.status_code
    reader = service.bearing(issuer.user("ada", READ).access)
    see["user with `orders:read` only: reads"] = reader.get(order).status_code
    see["user with `orders:read` only: places"] = reader.place().status_code
    guest = issuer.user("grace", READ_WRITE).access
    see["user without a mapped role: lists"] = _lists(service, guest)
    stranger = service.bearing(issuer.user("ada", "reports:read").access)
    see["user without a scope of ours: reads"] = stranger.get(order).status_code


def _a_machine(issuer: Issuer, service: Running, see: dict[str, int]) -> None:
    machine = service.bearing(issuer.machine("shop-importer", READ_WRITE))
    placed = machine.place(body(**_CUSTOMER))
    see["machine: places an order for a customer"] = placed.status_code
    order = f"/v1/orders/{placed.json().get('id', 'none')}"
    see["machine: reads it"] = machine.get(order).status_code
    see["machine: captures (no scope)"] = _captures(machine, order)
    other = service.bearing(issuer.machine("shop-other", READ_WRITE))
    see["machine that is not mapped: reads"] = other.get(order).status_code


def _new_key(issuer: Issuer, service: Running, old: str, found: Findings) -> None:
    issuer.rotate()
    new = issuer.user("ada", _USER).access
    assert header(new)["kid"] != header(old)["kid"], "the issuer still signs with its old key"
    began = time.monotonic()
    while True:
        status = _lists(service, new)
        found.new_key_seconds = time.monotonic() - began
        if status == EXPECTED["token of the new key"] or found.new_key_seconds > _NEW_KEY_SECONDS:
            break
        time.sleep(1)  # the service fetches keys when it may; it tells nobody
    found.statuses["token of the new key"] = status
    found.statuses["token of the old key, still listed"] = _lists(service, old)


def _lists(service: Running, token: str) -> int:
    return service.bearing(token).get("/v1/orders").status_code


def _captures(caller: Caller, order: str) -> int:
    return caller.post(f"{order}/payments/1/capture", {"amount": 1}).status_code


def _unlike(kind: str, token: Mapping[str, Any], recorded: Mapping[str, Any]) -> list[str]:
    added, missing = sorted(set(token) - set(recorded)), sorted(set(recorded) - set(token))
    types = [
        name
        for name in set(token) & set(recorded)
        if isinstance(token[name], str) is not isinstance(recorded[name], str)
    ]
    return [
        f"{kind}: {what}: {', '.join(names)}"
        for what, names in (
            ("not recorded", added),
            ("recorded only", missing),
            ("other types", types),
        )
        if names
    ]


def _unlike_header(given: Mapping[str, Any], recorded: Mapping[str, Any]) -> list[str]:
    if {**given, "kid": None} == {**recorded, "kid": None}:
        return []
    return [f"header: {given} instead of {recorded}"]
