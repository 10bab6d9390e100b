"""Start real issuers, set up as docs/auth.md says, and report what their tokens open."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.issuers.checks import Findings, examine, settings
from tests.issuers.code_flow import CLIENT
from tests.issuers.issuer import Issuer
from tests.issuers.keycloak import keycloak
from tests.issuers.node_oidc_provider import node_oidc_provider
from tests.issuers.ory_hydra import ory_hydra
from tests.issuers.report import REPORT, report
from tests.support.processes.cluster import UNHURRIED, Cluster, Shape, cluster
from tests.support.processes.service import Running

ISSUERS: Final[Mapping[str, Callable[[Path], AbstractContextManager[Issuer]]]] = {
    "oidc-provider": node_oidc_provider,
    "keycloak": keycloak,
    "hydra": ory_hydra,
}
_START_SECONDS: Final = 180


def main() -> int:
    """Return 1 if an issuer is not here, or anything is not as the page says."""
    arguments = argparse.ArgumentParser(prog="python -m tests.issuers", description=__doc__)
    arguments.add_argument("--only", choices=ISSUERS, nargs="*", default=[*ISSUERS])
    chosen = arguments.parse_args()
    began = time.monotonic()
    findings: dict[str, Findings] = {}
    with (
        tempfile.TemporaryDirectory(prefix="orders-issuers-") as folder,
        cluster(Path(folder) / "service", Shape(apis=1, environ=UNHURRIED)) as service,
    ):
        for name in chosen.only:
            own = Path(folder) / name
            own.mkdir()
            try:
                findings[name] = _examine(name, own, service)
            except pytest.skip.Exception as missing:
                _tell(f"{name}: {missing}")
            else:
                _tell(f"{name}: {'; '.join(findings[name].wrong()) or 'held'}")
    text = report(findings, time.monotonic() - began)
    wrong = any(each.wrong() for each in findings.values())
    if set(findings) == set(ISSUERS) and not wrong:
        REPORT.write_text(text, encoding="utf-8")
    else:
        _tell(text)
    return int(wrong or set(findings) != set(chosen.only))


def _examine(name: str, folder: Path, service: Cluster) -> Findings:
    _tell(f"{name}: starting")
    began = time.monotonic()
    with ISSUERS[name](folder) as issuer:
        found = Findings(issuer.version, settings(issuer), time.monotonic() - began)
        _tell(f"{name} {issuer.version}: up after {found.start_seconds:.0f} s")
        lax = {"ORDERS_AUDIENCE": f"{found.settings['ORDERS_AUDIENCE']},{CLIENT}"}
        with (
            _replica(service, name, folder, found.settings) as replica,
            _replica(service, f"{name}-lax", folder, {**found.settings, **lax}) as lax_replica,
        ):
            examine(issuer, replica, lax_replica, found)
    return found


@contextmanager
def _replica(
    service: Cluster, name: str, folder: Path, settings: Mapping[str, str]
) -> Iterator[Running]:
    """One more API replica of the service, with settings of its own."""
    api = service.add_api(name, **settings)
    try:
        api.start()
        api.wait_until_up(_START_SECONDS)
        url = service.urls[name]
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
            yield Running(url, folder, service.addresses(), client)
    finally:
        api.kill()


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
