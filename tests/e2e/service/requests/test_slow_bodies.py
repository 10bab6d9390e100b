"""Senders whose bodies do not come keep nobody out."""

from __future__ import annotations

from contextlib import ExitStack

from tests.availability.findings import unfinished
from tests.support.processes.service import Caller, Running

SENDERS = 300
"""More than a process takes requests at once by default."""


def test_others_are_answered_as_if_they_were_not_there(running: Running, ada: Caller) -> None:
    order = ada.placed()["id"]
    tokens = [running.someone().token or "" for _ in range(SENDERS // 4)]
    with ExitStack() as stack:
        for begun in unfinished(tokens):
            stack.enter_context(running.connect()).sendall(begun.encode())
        for _ in range(6):
            ada.placed()
            assert ada.get(f"/v1/orders/{order}").status_code == 200
            assert ada.get("/v1/orders?limit=20").status_code == 200
    assert len(ada.orders()) == 7
