"""Use cases whose calls are spans."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, ParamSpec, TypeVar

from orders.entrypoints.observability.spans import is_recorded, recorded

P = ParamSpec("P")
T = TypeVar("T")
UseCase = TypeVar("UseCase")


def with_spans(use_case: type[UseCase]) -> type[UseCase]:
    """Return a subclass of a use case whose public calls are spans, if spans are recorded.

    A subclass, because Litestar checks that what it injects is an instance.
    """
    calls = {
        name: _within(f"{use_case.__name__}{'' if name == '__call__' else f'.{name}'}", call)
        for name, call in vars(use_case).items()
        if iscoroutinefunction(call) and (name == "__call__" or not name.startswith("_"))
    }
    kind: Any = type(use_case.__name__, (use_case,), calls)
    found: type[UseCase] = kind
    return found


def _within(name: str, call: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    @wraps(call)
    async def within(*args: P.args, **kwargs: P.kwargs) -> T:
        if not is_recorded():
            return await call(*args, **kwargs)
        with recorded(name):
            return await call(*args, **kwargs)

    return within
