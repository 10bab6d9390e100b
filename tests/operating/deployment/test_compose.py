"""The Compose file, held to its own rules; where an engine has the images it is simply run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import partial
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from orders.entrypoints.settings.table import settings_table

INFRA: Final = Path(__file__).parents[3] / "infra"
COMPOSE: Final = yaml.safe_load((INFRA / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: Final[dict[str, dict[str, Any]]] = COMPOSE["services"]
NAMED_IN_THE_SEED: Final = {
    "gateway", "api-blue", "api-green", "worker", "migrate", "sandbox", "mongo", "rabbitmq",
    "kafka", "redis", "prometheus", "alertmanager", "grafana", "jaeger",
}  # fmt: skip
EXTRA_RIGHTS: Final = {"gateway": {"CHOWN", "SETGID", "SETUID"}}
"""Of a program that gives its rights up by itself."""


def test_the_whole_architecture_is_there() -> None:
    assert SERVICES.keys() == NAMED_IN_THE_SEED


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_pinned_bounded_and_has_no_rights(name: str) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r"[\w./-]+:(?:v?\d+\.\d+[\w.-]*|\$\{\w+:-local\})", service["image"])
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert set(service.get("cap_add", ())) <= EXTRA_RIGHTS.get(name, set())
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert not service.get("privileged")
    assert "docker.sock" not in str(service.get("volumes"))
    assert "healthcheck" in service


@pytest.mark.parametrize("name", SERVICES)
def test_nobody_outside_of_this_machine_is_listened_to(name: str) -> None:
    for port in SERVICES[name].get("ports", ()):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)


def test_no_secret_is_in_the_file_and_each_is_made_where_it_is_asked_for() -> None:
    text = (INFRA / "compose.yaml").read_text(encoding="utf-8")
    asked = set(re.findall(r"\$\{([A-Z_]+):\?run infra/compose\.sh\}", text))
    made = re.findall(r"^made ([A-Z_]+) ", (INFRA / "compose.sh").read_text(), re.MULTILINE)
    assert asked == set(made)
    assert not re.search(r"(?i)\$\{\w*(?:password|secret|token)\w*:?-", text)
    for store in ("mongo", "redis", "rabbitmq"):
        assert ":?run infra/compose.sh}" in str(SERVICES[store]["environment"])


def test_secrets_are_made_once_and_only_their_owner_reads_them(tmp_path: Path) -> None:
    copied = shutil.copytree(INFRA, tmp_path / "infra", ignore=shutil.ignore_patterns("chart"))
    run = partial(
        subprocess.run,
        ["sh", str(copied / "compose.sh"), "config"],
        env=os.environ | {"COMPOSE": "true"},
        check=True,
    )
    run()
    kept = tmp_path / ".orders" / "compose" / "env"
    first = kept.read_text()
    kept.write_text(first.replace("REDIS_PASSWORD", "OLDER_PASSWORD"))  # as an older version had it
    run()
    assert kept.stat().st_mode & 0o777 == 0o600
    *as_before, new = kept.read_text().splitlines()
    assert as_before == first.replace("REDIS_PASSWORD", "OLDER_PASSWORD").splitlines()
    assert re.fullmatch(r"REDIS_PASSWORD=[0-9a-f]{48}", new)


def test_what_holds_data_is_reached_through_the_service_only() -> None:
    assert COMPOSE["networks"]["inside"]["internal"] is True
    for name in ("mongo", "kafka", "redis", "sandbox", "worker", "api-blue", "api-green"):
        assert set(SERVICES[name]["networks"]) == {"inside"}
        assert "ports" not in SERVICES[name]


@pytest.mark.parametrize("name", ["api-blue", "api-green", "worker", "migrate", "sandbox"])
def test_every_setting_is_one_that_there_is(name: str) -> None:
    known = {row.name for row in settings_table()}
    required = {row.name for row in settings_table() if row.default is None}
    given = SERVICES[name]["environment"].keys()
    assert given <= known
    assert required <= given
    secret = {row.name for row in settings_table() if row.secret} & given
    for setting in secret:
        assert ":?run infra/compose.sh}" in SERVICES[name]["environment"][setting]


def test_the_gateway_is_told_all_that_its_template_asks_for() -> None:
    template = (INFRA / "gateway" / "gateway.conf.template").read_text(encoding="utf-8")
    given = SERVICES["gateway"]["environment"].keys()
    assert set(re.findall(r"\$\{(GATEWAY_[A-Z]+)\}", template)) <= given
    for colour in ("BLUE", "GREEN"):
        host = SERVICES["gateway"]["environment"][f"GATEWAY_{colour}"].partition(":")[0]
        assert host in SERVICES


def test_a_colour_made_anew_is_where_the_gateway_looks_for_it() -> None:
    (pool,) = COMPOSE["networks"]["inside"]["ipam"]["config"]
    given = ip_network(pool["ip_range"])
    fixed = {
        name: ip_address(SERVICES[name]["networks"]["inside"]["ipv4_address"])
        for name in ("gateway", "api-blue", "api-green")
    }
    assert len({*fixed.values()}) == len(fixed)
    for address in fixed.values():
        assert address in ip_network(pool["subnet"])
        assert address not in given
    for name in ("api-blue", "api-green"):
        trusted = SERVICES[name]["environment"]["ORDERS_TRUSTED_PROXIES"]
        assert ip_network(trusted) == ip_network(fixed["gateway"])


def test_what_is_mounted_is_there() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            if source.startswith(".") and ".orders" not in source:
                assert (INFRA / source).exists(), source


def test_prometheus_looks_where_the_processes_are() -> None:
    told = yaml.safe_load((INFRA / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    names = {
        name
        for job in told["scrape_configs"]
        for found in job["dns_sd_configs"]
        for name in found["names"]
    }
    aliases = {
        alias
        for name in ("api-blue", "api-green")
        for alias in SERVICES[name]["networks"]["inside"]["aliases"]
    }
    assert names <= SERVICES.keys() | aliases


def test_spans_are_sent_where_jaeger_listens_and_its_pages_are_published() -> None:
    told = yaml.safe_load((INFRA / "jaeger.yaml").read_text(encoding="utf-8"))
    otlp = told["receivers"]["otlp"]["protocols"]["http"]["endpoint"]
    query = told["extensions"]["jaeger_query"]["http"]["endpoint"]
    assert otlp.endswith(":-0.0.0.0:4318}")
    assert SERVICES["worker"]["environment"]["ORDERS_OTLP_ENDPOINT"] == "http://jaeger:4318"
    assert query.endswith(":-0.0.0.0:16686}")
    assert SERVICES["jaeger"]["ports"] == ["127.0.0.1:16686:16686"]


def test_the_jaeger_that_is_tested_is_the_one_that_runs() -> None:
    built = (INFRA / "setup" / "jaeger.sh").read_text(encoding="utf-8")
    (version,) = re.findall(r"^# Jaeger ([\d.]+): ", built, re.MULTILINE)
    assert SERVICES["jaeger"]["image"] == f"jaegertracing/jaeger:{version}"
