"""From the environment to values: which are missing, which cannot be used, which do not fit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, Field
from typing import Any, Final

from orders.entrypoints.settings import addresses, brokers, tls
from orders.entrypoints.settings.environment import PREFIX, Texts, read_texts
from orders.entrypoints.settings.kinds import parsed

POOL_SIZE: Final = 16


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return PREFIX + name.upper()


def read_values(
    declared: Iterable[Field[Any]], environ: Mapping[str, str]
) -> tuple[dict[str, Any], list[str]]:
    """Return the values by setting, and one line for each problem; no line holds a value."""
    settings = {variable(each.name): each for each in declared}
    texts = read_texts(environ, {name: not each.repr for name, each in settings.items()})
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, each in settings.items():
        if text := texts.by_name.get(name):
            problem, values[each.name] = parsed(text, **each.metadata)
            problems += [f"{texts.sources[name]} {problem}"] if problem else []
        elif each.default is MISSING and not texts.is_given(name):
            problems.append(f"{name} is missing: {each.metadata['meaning']}")
    problems += _keys(texts)
    problems += [f"{texts.sources[variable(name)]} {need}" for name, need in _together(values)]
    return values, [*problems, *texts.problems]


def _together(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Return what only shows when the values are seen together, by setting."""
    yield from addresses.missing(values)
    yield from tls.problems(values)
    yield from brokers.problems(values)
    pool_size = values.get("mongo_pool_size") or POOL_SIZE
    if problem := addresses.mongo_problem(values.get("mongo_uri"), pool_size=pool_size):
        yield "mongo_uri", f"cannot be used: {problem}"


def _keys(texts: Texts) -> list[str]:
    """Return what is wrong with the settings of keys that verify tokens, one line each."""
    algorithms = texts.by_name.get("ORDERS_JWT_ALGORITHMS", "")
    secret, keys = map(texts.is_given, ("ORDERS_JWT_HS256_SECRET", "ORDERS_JWKS_URL"))
    wants_shared = "HS256" in algorithms
    problems = []
    if not keys and not secret:
        problems.append("ORDERS_JWKS_URL is missing: the URL of the issuer's keys")
    if wants_shared and not secret:
        problems.append("ORDERS_JWT_HS256_SECRET is missing: ORDERS_JWT_ALGORITHMS names HS256")
    if secret and not wants_shared:
        problems.append("ORDERS_JWT_ALGORITHMS must name HS256 to use ORDERS_JWT_HS256_SECRET")
    return problems
