"""Tokens of the sandbox, for the command line and for what `orders dev` prints."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from orders.entrypoints.sandbox.data_directory import AUDIENCE, ISSUER, DataDirectory
from orders.entrypoints.sandbox.token_issuer.app import issue_token


def sandbox_token(
    data: DataDirectory,
    *,
    subject: str,
    roles: Sequence[str],
    scopes: Sequence[str] | None = None,
    tenant: str | None = None,
    ttl_seconds: int = 3600,
) -> str:
    """Sign a token with the sandbox's key, which is made if need be. Nothing has to run.

    Without `scopes` it has all that its roles can use, see `issue_token`.
    """
    data.prepare()
    return issue_token(
        data.issuer_key,
        issuer=os.environ.get("ORDERS_ISSUER") or ISSUER,
        audience=os.environ.get("ORDERS_AUDIENCE", "").partition(",")[0].strip() or AUDIENCE,
        subject=subject,
        roles=roles,
        scopes=scopes,
        tenant=tenant,
        ttl_seconds=ttl_seconds,
        now=time.time(),
    )
