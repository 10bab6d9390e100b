"""What the settings say, as the adapters take it."""

from __future__ import annotations

from datetime import timedelta
from ssl import SSLContext
from typing import Final

from orders.adapters.http_client import HttpRoute
from orders.adapters.jwt.claims import TokenRules
from orders.adapters.jwt.keys import SharedSecret
from orders.adapters.mongo.connection import Database, connect
from orders.adapters.mongo.monitoring import CommandSpans, PoolUse
from orders.entrypoints.settings.table import Settings
from orders.entrypoints.settings.tls import tls_context

_CLOCKS_DIFFER: Final = timedelta(seconds=10)
"""The clocks of two processes differ by less, also if one of them stands still for a moment."""


def database(settings: Settings, pool_use: PoolUse) -> Database:
    """Make the client of the database."""
    return connect(
        settings.mongo_uri,
        database=settings.database,
        pool_size=settings.mongo_pool_size,
        timeout_seconds=settings.mongo_timeout_seconds,
        listeners=[pool_use, *([CommandSpans()] if settings.otlp_endpoint else [])],
    )


def settled_after(settings: Settings) -> timedelta:
    """How long after its time a change is stored at the latest: after the longest write, by clocks
    that differ.
    """
    return timedelta(seconds=settings.mongo_timeout_seconds) + _CLOCKS_DIFFER


def shared_secret(settings: Settings) -> SharedSecret:
    """Make the key that verifies HS256 tokens."""
    return SharedSecret((settings.jwt_hs256_secret or "").encode())


def token_rules(settings: Settings) -> TokenRules:
    """Return what a token must say."""
    required = (pair.partition("=") for pair in settings.jwt_required)
    return TokenRules(
        issuer=settings.issuer,
        audiences=frozenset(settings.audience),
        audience_claims=settings.jwt_audience_claims,
        subject_claims=settings.jwt_subject_claims,
        tenant_claim=settings.jwt_tenant_claim,
        default_tenant=None if settings.default_tenant == "none" else settings.default_tenant,
        roles_claims=settings.jwt_roles_claim,
        role_map=settings.jwt_role_map,
        scope_claims=settings.jwt_scope_claims,
        scope_map=settings.jwt_scope_map,
        scopes_count=settings.jwt_scopes == "required",
        token_types=frozenset(None if kind == "none" else kind for kind in settings.jwt_types),
        required=tuple((claim, value or None) for claim, _, value in required),
        takes_bound_tokens=settings.jwt_bound_tokens == "as_bearer",
        algorithms=frozenset(settings.jwt_algorithms),
        leeway_seconds=settings.jwt_leeway_seconds,
        max_lifetime_seconds=settings.jwt_max_lifetime_seconds,
        max_bytes=settings.max_token_bytes,
    )


def tls(settings: Settings) -> SSLContext:
    """Return the TLS of outgoing connections."""
    return tls_context(settings.ca_file, settings.client_cert_file, settings.client_key_file)


def payment_tls(settings: Settings) -> SSLContext:
    """Return the TLS of connections to the payment service."""
    if settings.payment_client_cert_file is None:
        return tls(settings)
    own = settings.payment_client_cert_file, settings.payment_client_key_file
    return tls_context(settings.ca_file, *own)


def route(settings: Settings, url: str, tls: SSLContext) -> HttpRoute:
    """Return the way to an address."""
    return HttpRoute(tls=tls, proxy=settings.proxy_for(url))
