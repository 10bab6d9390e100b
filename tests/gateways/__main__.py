"""Put real gateways in front of the service, and report what they do to its requests."""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.gateways.checks import (
    CODINGS,
    ambiguous,
    clients_logged,
    journey,
    lost_answer,
    offered,
    shop,
    sizes,
    upload_seconds,
)
from tests.gateways.draining import rolling_restarts
from tests.gateways.processes import GATEWAYS, MODES, gateway
from tests.gateways.relay import relay
from tests.gateways.report import REPORT, Findings, merged, report
from tests.support.processes.cluster import UNHURRIED, Cluster, Shape, cluster
from tests.support.processes.service import Running

SETTINGS = {**UNHURRIED, "ORDERS_TRUSTED_PROXIES": "127.0.0.1/32", "ORDERS_DRAIN_SECONDS": "3"}

AS_ENVOY_COMES = {"weaken_etag_on_compress: true": "weaken_etag_on_compress: false"}


def main() -> int:
    """Return 1 if a promise was broken, or a gateway is not here."""
    arguments = argparse.ArgumentParser(prog="python -m tests.gateways", description=__doc__)
    arguments.add_argument("--only", choices=GATEWAYS, nargs="*", default=[*GATEWAYS])
    arguments.add_argument("--rounds", type=int, default=1, help="restarts of each replica")
    chosen = arguments.parse_args()
    findings: dict[str, Findings] = {}
    with (
        tempfile.TemporaryDirectory(prefix="orders-gateways-") as folder,
        cluster(Path(folder), Shape(apis=2, environ=SETTINGS)) as service,
        httpx.Client(base_url=service.apis[0], timeout=60) as own,
    ):
        running = Running(service.apis[0], Path(folder), service.addresses(), own)
        for name in chosen.only:
            try:
                findings[name] = _examine(name, Path(folder), service, running, chosen.rounds)
                _tell(
                    f"{name}: {', '.join(findings[name].wrong()) or 'held'}; {findings[name].load}"
                )
            except pytest.skip.Exception as missing:
                _tell(f"{name}: {missing}")
    wrong = [f"{name}: {each}" for name, found in findings.items() for each in found.wrong()]
    _tell("\n".join(wrong) or "everything held")
    if findings and not wrong:
        old = REPORT.read_text(encoding="utf-8") if REPORT.exists() else ""
        REPORT.write_text(merged(old, report(findings)), encoding="utf-8")
    return int(bool(wrong) or set(findings) != set(chosen.only))


def _examine(name: str, folder: Path, service: Cluster, running: Running, rounds: int) -> Findings:
    found = Findings(GATEWAYS[name].version_here(folder))
    for mode in MODES:
        _tell(f"{name}, {mode}")
        with ExitStack() as stack:
            own = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder)))
            between = stack.enter_context(relay(service.apis[0]))
            address = stack.enter_context(gateway(name, own, between.url, mode=mode))
            caller = stack.enter_context(shop(address, running))
            found.journeys[mode] = {coding: journey(caller, coding) for coding in CODINGS}
            if mode == "compressing":
                between.allows_compression = True
                found.journeys["forced"] = {coding: journey(caller, coding) for coding in CODINGS}
            else:
                found.lost[mode] = lost_answer(caller, between)
        if mode != "compressing":
            _examine_directly(found, name, mode, folder, service, running)
    if name == "envoy":
        _examine_without_tags(found, folder, service, running)
    _tell(f"{name}, draining")
    with (
        tempfile.TemporaryDirectory(dir=folder) as own_folder,
        gateway(name, Path(own_folder), *service.apis, mode="documented") as address,
    ):
        token = running.someone("admin").token
        assert token
        found.load = rolling_restarts(service, address, token, rounds=rounds)
    return found


def _examine_without_tags(
    found: Findings, folder: Path, service: Cluster, running: Running
) -> None:
    """Envoy's compression as it comes: it removes the tag."""
    with (
        tempfile.TemporaryDirectory(dir=folder) as own,
        relay(service.apis[0]) as between,
        gateway(
            "envoy", Path(own), between.url, mode="compressing", changed=AS_ENVOY_COMES
        ) as address,
        shop(address, running) as caller,
    ):
        between.allows_compression = True
        found.journeys["forced, without the guide's option"] = {"gzip": journey(caller, "gzip")}


def _examine_directly(
    found: Findings, name: str, mode: str, folder: Path, service: Cluster, running: Running
) -> None:
    """What a relay in between could hide."""
    with (
        tempfile.TemporaryDirectory(dir=folder) as own,
        gateway(name, Path(own), *service.apis, mode=mode) as address,
        shop(address, running) as caller,
    ):
        found.clients[mode] = clients_logged(caller)
        found.ambiguous[mode] = ambiguous(caller)
        found.uploads[mode] = upload_seconds(caller)
        found.offers[mode] = offered(caller)
        found.sizes[mode] = sizes(caller)


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
