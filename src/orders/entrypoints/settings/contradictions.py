"""What is wrong with a combination of settings, each of which is right alone."""

from __future__ import annotations

from collections.abc import Mapping


def contradictions(environ: Mapping[str, str]) -> list[str]:
    """Problems of a combination of settings, one line each."""
    algorithms, secret, keys = (
        environ.get(name, "").strip()
        for name in ("ORDERS_JWT_ALGORITHMS", "ORDERS_JWT_HS256_SECRET", "ORDERS_JWKS_URL")
    )
    wants_shared = "HS256" in algorithms
    problems = []
    if not keys and not secret:
        problems.append("ORDERS_JWKS_URL is missing: the URL of the issuer's keys")
    if wants_shared and not secret:
        problems.append("ORDERS_JWT_HS256_SECRET is missing: ORDERS_JWT_ALGORITHMS names HS256")
    if secret and not wants_shared:
        problems.append("ORDERS_JWT_ALGORITHMS must name HS256 to use ORDERS_JWT_HS256_SECRET")
    return problems
