"""In these tests a command refuses only as its docstring says."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from orders.domain import Order, OrderError


@pytest.fixture(scope="session", autouse=True)
def documented_refusals() -> Iterator[None]:
    """A refusal that `Raises:` does not name, or name a base of, fails the test it comes up in."""
    with pytest.MonkeyPatch.context() as patch:
        for name, command in inspect.getmembers(Order, inspect.isfunction):
            if not name.startswith("_"):
                patch.setattr(Order, name, _watched(command))
        patch.setattr(Order, "place", staticmethod(_watched(Order.place)))
        yield


def _watched(command: Callable[..., Any]) -> Callable[..., Any]:
    named = refusals_named_by(command)

    @functools.wraps(command)
    def watched(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except OrderError as refusal:
            kinds = {kind.__name__ for kind in type(refusal).__mro__}
            if kinds & named:
                raise
            name = type(refusal).__name__
            raise AssertionError(f"{command.__name__} does not document {name}") from refusal

    return watched


def refusals_named_by(command: Callable[..., Any]) -> frozenset[str]:
    """The error classes below `Raises:` in a docstring."""
    _, _, raises = (inspect.getdoc(command) or "").partition("Raises:\n")
    lines = [line.strip() for line in raises.splitlines()]
    return frozenset(line.partition(":")[0] for line in lines if ":" in line)
