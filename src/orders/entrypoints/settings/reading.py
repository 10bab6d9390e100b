"""From the environment to values: which are missing, which cannot be used, which do not fit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, Field
from typing import Any, Final

from orders.entrypoints.settings import addresses, brokers, telemetry, tls
from orders.entrypoints.settings.environment import FROM_FILE, PREFIX, Texts, read_texts
from orders.entrypoints.settings.kinds import parsed

POOL_SIZE: Final = 16


def variable(of: Field[Any]) -> str:
    """Return the environment variable of a setting."""
    return of.metadata["variable"] or PREFIX + of.name.upper()


def file_variable(of: Field[Any]) -> str | None:
    """Return the variable that may name a file with a secret, or a URL that may hold one."""
    name = variable(of)
    return None if of.repr or not name.startswith(PREFIX) else name + FROM_FILE


def read_values(
    declared: Iterable[Field[Any]], environ: Mapping[str, str]
) -> tuple[dict[str, Any], list[str]]:
    """Return the values by setting, and one line for each problem; no line holds a value."""
    settings = {variable(each): each for each in declared}
    texts = read_texts(environ, {name: file_variable(each) for name, each in settings.items()})
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, each in settings.items():
        if text := texts.by_name.get(name):
            problem, values[each.name] = parsed(text, **each.metadata)
            problems += [f"{texts.sources[name]} {problem}"] if problem else []
        elif each.default is MISSING and not texts.is_given(name):
            problems.append(f"{name} is missing: {each.metadata['meaning']}")
    problems += _keys(texts)
    names = {each.name: name for name, each in settings.items()}
    problems += [
        f"{texts.sources[names[of]]} {need}"
        for of, need in _together(values)
        if values[of] is not None  # else it has a line already
    ]
    otel, unusable = telemetry.values_of(environ, texts.sources)
    problems += [*unusable, *texts.problems]
    if not problems:
        values["mongo_uri"] = tls.with_certificates(values["mongo_uri"], values)
    return values | otel, problems


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
