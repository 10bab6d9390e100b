"""The chart: valid, strict about its values, safe, and no more than a selector between colours."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from copy import deepcopy
from pathlib import Path

import pytest
import yaml

from orders.entrypoints.http.routes.health import PATHS
from orders.entrypoints.server import supervisor
from orders.entrypoints.settings.table import Settings, settings_table
from tests.operating.deployment.chart import (
    CHART,
    ROOT,
    VALUE_SETS,
    Json,
    Rendered,
    rendered,
    tool,
    values,
)
from tests.support.certificates import make_certificates
from tests.support.processes.orders_process import COMPLETE
from tests.support.processes.prometheus_process import RULES, installed

SECRETS = {row.name for row in settings_table() if row.secret}
FILES = {"ORDERS_MONGO_URI", "ORDERS_REDIS_URI", "ORDERS_RABBITMQ_URI"}
"""Those that are files in the full set of values."""
WEBHOOK = "ORDERS_PAYMENT_WEBHOOK_SECRET"


@pytest.fixture(scope="module")
def charts() -> dict[str, Rendered]:
    """The chart with every set of values that stands beside it."""
    return dict(zip(VALUE_SETS, rendered([values(name) for name in VALUE_SETS]), strict=True))


@pytest.fixture(scope="module")
def full(charts: dict[str, Rendered]) -> Rendered:
    return charts["full"]


@pytest.mark.parametrize("name", VALUE_SETS)
def test_what_is_rendered_is_valid(charts: dict[str, Rendered], name: str) -> None:
    assert charts[name].problems == []
    assert charts[name].manifests


def with_values(**changed: object) -> Json:
    return {**values("minimal"), **changed}


REFUSED = {
    "no secret": with_values(existingSecret=""),
    "unknown value": with_values(replicaCount=3),
    "unknown member": with_values(api={"replica": 3}),
    "unknown setting": with_values(settings={"ORDERS_LOGLEVEL": "debug"}),
    "latest": with_values(image={"repository": "orders", "tag": "latest"}),
    "third colour": with_values(live="red"),
    "drain too long": with_values(api={"drainSeconds": 16}),
    "digest cut short": with_values(
        image={"repository": "orders", "tag": "1", "digest": "sha256:1"}
    ),
    "live is not there": with_values(live="green"),
    **{
        f"{name} in plain sight": with_values(settings={**values("minimal")["settings"], name: "x"})
        for name in sorted(SECRETS)
    },
}


def test_wrong_values_are_refused() -> None:
    for why, outcome in zip(REFUSED, rendered(list(REFUSED.values())), strict=True):
        assert outcome.problems, why
        assert outcome.manifests == [], why


def test_the_schema_knows_the_settings() -> None:
    command = [sys.executable, str(CHART / "generate.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_secrets_come_from_outside_only(full: Rendered) -> None:
    assert full.of("Secret") == {}
    elsewhere = {"ORDERS_PAYMENT_TOKEN": "payments"}
    for pod in full.pods():
        told = full.environment(pod)
        assert set(told) & SECRETS == SECRETS - FILES
        for name in SECRETS - FILES:
            assert set(told[name]) == {"name", "valueFrom"}
            source = told[name]["valueFrom"]["secretKeyRef"]["name"]
            assert source == elsewhere.get(name, "orders-production")


def test_a_secret_may_be_a_file(full: Rendered) -> None:
    mounted = {"ORDERS_MONGO_URI", "ORDERS_REDIS_URI"}
    for name, pod in full.pods().items():
        told = full.environment(name)
        for secret in mounted:
            assert told[f"{secret}_FILE"]["value"] == f"/etc/orders/secrets/{secret}"
        assert told["ORDERS_RABBITMQ_URI_FILE"]["value"] == "/vault/secrets/rabbitmq"
        (volume,) = (each for each in pod["volumes"] if each["name"] == "secrets")
        assert volume["secret"]["secretName"] == "orders-production"
        assert {each["key"] for each in volume["secret"]["items"]} == mounted
        assert all(each["key"] == each["path"] for each in volume["secret"]["items"])


def test_every_pod_has_what_is_added(full: Rendered) -> None:
    for name, pod in full.pods().items():
        (container,) = pod["containers"]
        assert container["envFrom"] == [{"configMapRef": {"name": "tracing"}}]
        told = full.environment(name)
        assert len(told) == len(container["env"]), "no variable is there twice"
        assert told["OTEL_EXPORTER_OTLP_HEADERS"]["valueFrom"]["secretKeyRef"]["key"] == "headers"
        assert told["HTTPS_PROXY"]["value"] == "http://proxy.example:3128"
        assert told["ORDERS_HOST"]["value"] == "::"
        assert {"name": "ca", "configMap": {"name": "company-ca"}} in pod["volumes"]
        mounts = {each["mountPath"]: each for each in container["volumeMounts"]}
        assert mounts.keys() == {"/tmp", "/etc/orders/secrets", "/etc/orders/ca"}
        assert mounts["/etc/orders/ca"]["readOnly"] is True


def test_a_process_starts_with_what_the_chart_sets(
    charts: dict[str, Rendered], tmp_path: Path
) -> None:
    """Every variable of every pod is a setting, and none contradicts another."""
    ca = make_certificates(tmp_path / "ca").authority.read_text()
    secrets = {**COMPLETE, "ORDERS_REDIS_URI": "redis://c", "ORDERS_RABBITMQ_URI": "amqp://mq/"}
    for chart in charts.values():
        for pod in chart.pods():
            environ = {}
            for name, told in chart.environment(pod).items():
                plain = name.removesuffix("_FILE")
                if name.endswith("_FILE"):
                    file = tmp_path / plain
                    file.write_text(secrets.get(plain, ca))
                    environ[name] = str(file)
                elif "value" in told:
                    environ[name] = told["value"]
                elif not told["valueFrom"]["secretKeyRef"].get("optional"):
                    environ[name] = secrets.get(name, "a=b")
            assert Settings.read(environ).database == "orders"


def test_a_secret_must_come_from_somewhere() -> None:
    own = values("minimal")["settings"]
    files = {f"{name}_FILE": "/vault/x" for name in ("ORDERS_MONGO_URI", WEBHOOK)}
    everything, half = rendered(
        [
            with_values(existingSecret="", settings=own | files),
            with_values(existingSecret="", settings=own | {WEBHOOK + "_FILE": "/vault/x"}),
        ]
    )
    assert everything.problems == []
    assert not SECRETS & everything.environment("orders-worker").keys()
    assert "ORDERS_MONGO_URI comes from nowhere" in half.problems[0]


def test_a_service_called_orders_does_not_set_our_port(full: Rendered) -> None:
    for name, pod in full.pods().items():
        assert pod["enableServiceLinks"] is False
        assert full.environment(name)["ORDERS_PORT"]["value"] == "8000"


def test_a_colour_has_the_last_word_on_its_settings() -> None:
    given = values("blue-live")
    given["settings"]["ORDERS_JWT_SCOPES"] = "ignored"
    given["settings"]["ORDERS_MAX_UNIT_PRICE"] = 10_000_000_000
    given["colours"]["green"]["settings"] = {"ORDERS_JWT_SCOPES": "required"}
    (chart,) = rendered([given])
    blue, green = (chart.environment(f"orders-api-{colour}") for colour in ("blue", "green"))
    assert blue["ORDERS_JWT_SCOPES"]["value"] == "ignored"
    assert green["ORDERS_JWT_SCOPES"]["value"] == "required"
    assert green["ORDERS_MAX_UNIT_PRICE"]["value"] == "10000000000"


def test_only_the_selectors_differ_between_blue_live_and_green_live(
    charts: dict[str, Rendered],
) -> None:
    blue, green = charts["blue-live"], charts["green-live"]
    swapped = deepcopy(blue.manifests)
    changed = []
    for manifest in swapped:
        if manifest["kind"] == "Service" and "colour" in manifest["spec"]["selector"]:
            selector = manifest["spec"]["selector"]
            changed.append((manifest["metadata"]["name"], selector["colour"]))
            selector["colour"] = {"blue": "green", "green": "blue"}[selector["colour"]]
    assert dict(changed) == {"orders": "blue", "orders-preview": "green"}
    assert swapped == green.manifests
    assert blue.manifests != green.manifests


def test_each_colour_keeps_its_image(charts: dict[str, Rendered]) -> None:
    images = {
        name: pod["containers"][0]["image"] for name, pod in charts["green-live"].pods().items()
    }
    old = f"registry.example/orders:0.1.0@sha256:{'1' * 64}"
    new = f"registry.example/orders:0.2.0@sha256:{'2' * 64}"
    assert images == {
        "orders-api-blue": old,
        "orders-api-green": new,
        "orders-worker": new,
        "orders-migration": new,
    }


def test_the_chart_is_of_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    image = yaml.safe_load((CHART / "values.yaml").read_text())["image"]
    assert (chart["version"], chart["appVersion"], image["tag"]) == (version, version, version)


def test_probes_ask_what_the_service_answers(full: Rendered) -> None:
    (api,) = full.pods()["orders-api-green"]["containers"]
    asked = {
        kind: api[kind]["httpGet"]["path"]
        for kind in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    # Were readiness asked at the start, a lost database would keep every process from starting.
    assert asked == {
        "startupProbe": "/livez",
        "livenessProbe": "/livez",
        "readinessProbe": "/readyz",
    }
    assert set(asked.values()) == set(PATHS)
    assert {each["containerPort"] for each in api["ports"]} == {8000, 9464}


def test_nobody_is_killed_while_it_drains(full: Rendered) -> None:
    pod = full.pods()["orders-api-green"]
    (api,) = pod["containers"]
    waits = api["lifecycle"]["preStop"]["sleep"]["seconds"]
    drains = int(full.environment("orders-api-green")["ORDERS_DRAIN_SECONDS"]["value"])
    exits_within = supervisor.EXIT_WITHIN_SECONDS
    assert (waits, drains) == (20, 10)
    assert drains < exits_within
    assert pod["terminationGracePeriodSeconds"] >= waits + exits_within + 2
    for name in ("orders-api-blue", "orders-worker"):
        assert full.pods()[name]["terminationGracePeriodSeconds"] >= exits_within + 2


def test_no_pod_may_more_than_it_must(charts: dict[str, Rendered]) -> None:
    for chart in charts.values():
        for pod in chart.pods().values():
            assert pod["automountServiceAccountToken"] is False
            allowed = pod["securityContext"]
            assert (allowed["runAsNonRoot"], allowed["runAsUser"]) == (True, 10001)
            assert allowed["seccompProfile"] == {"type": "RuntimeDefault"}
            (container,) = pod["containers"]
            allowed = container["securityContext"]
            assert allowed["readOnlyRootFilesystem"] is True
            assert allowed["allowPrivilegeEscalation"] is False
            assert allowed["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]
            assert {"cpu", "memory"} == set(container["resources"]["requests"])


def test_traffic_is_denied_but_where_it_is_allowed(full: Rendered) -> None:
    everyone, api = full.of("NetworkPolicy").values()
    assert everyone["spec"]["policyTypes"] == ["Ingress", "Egress"]
    dns, *others = everyone["spec"]["egress"]
    assert [(each["protocol"], each["port"]) for each in dns["ports"]] == [
        ("UDP", 53), ("TCP", 53), ("UDP", 5353), ("TCP", 5353),
    ]  # fmt: skip
    assert [[*each] for each in dns["to"]] == [["namespaceSelector"], ["ipBlock"]]
    ports = [rule["ports"][0]["port"] for rule in others]
    assert ports == [27017, 443, 9092, 5671, 6379, 4318, 9092]
    assert others[-1]["ports"] == [{"protocol": "TCP", "port": 9092, "endPort": 9095}]
    allowed_in = [*everyone["spec"]["ingress"], *api["spec"]["ingress"]]
    assert [rule["ports"][0]["port"] for rule in allowed_in] == [9464, 8000]
    assert all(rule["from"] for rule in allowed_in)
    for policy in (everyone, api):
        assert "podSelector" in policy["spec"]


def test_budgets_scalers_and_spread_belong_to_pods_that_are_there(full: Rendered) -> None:
    deployments = full.of("Deployment")
    assert set(full.of("PodDisruptionBudget")) == set(deployments)
    for name, budget in full.of("PodDisruptionBudget").items():
        labels = deployments[name]["spec"]["template"]["metadata"]["labels"]
        assert budget["spec"]["selector"]["matchLabels"] == labels
        spread = deployments[name]["spec"]["template"]["spec"]["topologySpreadConstraints"]
        assert all(each["labelSelector"]["matchLabels"] == labels for each in spread)
    for scaler in full.of("HorizontalPodAutoscaler").values():
        scaled = deployments[scaler["spec"]["scaleTargetRef"]["name"]]
        assert "replicas" not in scaled["spec"]  # or every upgrade would undo the scaling


def test_the_rules_are_those_that_are_tested(full: Rendered, tmp_path: Path) -> None:
    (rule,) = full.of("PrometheusRule").values()
    text = json.dumps(rule["spec"])
    assert "https://docs.example/orders/runbooks#ordersapidown" in text
    assert "docs/runbooks.md" not in text
    published = "".join(file.read_text() for file in RULES.glob("*.yml"))
    assert text.count('"alert": ') == len(re.findall(r"- alert: ", published))
    (tmp_path / "rules.json").write_text(text)
    # fmt: off
    done = subprocess.run(
        [installed("promtool"), "check", "rules", str(tmp_path / "rules.json")],
        capture_output=True, text=True, check=False,
    )
    # fmt: on
    assert done.returncode == 0, done.stdout + done.stderr


def test_scraped_processes_get_the_jobs_that_rules_know(full: Rendered) -> None:
    (monitor,) = full.of("ServiceMonitor").values()
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["relabelings"][0]["replacement"] == "orders-$1"
    components = {
        each["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"]
        for each in full.of("Deployment").values()
    }
    rules = "".join(file.read_text() for file in RULES.glob("*.yml"))
    assert set(re.findall(r'job="orders-(\w+)"', rules)) == components
    selected = [
        name
        for name, service in full.of("Service").items()
        if monitor["spec"]["selector"]["matchLabels"].items()
        <= service["metadata"]["labels"].items()
    ]
    assert selected == ["orders-metrics"]


def test_the_policies_find_nothing_that_is_not_excused(full: Rendered, tmp_path: Path) -> None:
    for number, manifest in enumerate(full.manifests):
        (tmp_path / f"{number}.json").write_text(json.dumps(manifest))
    # fmt: off
    done = subprocess.run(
        [tool("checkov"), "--directory", str(tmp_path), "--skip-download", "--output", "json",
         "--config-file", str(CHART / "checkov.yaml")],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )
    # fmt: on
    found = json.loads(done.stdout)
    failed = found["results"]["failed_checks"]
    assert [(each["check_id"], each["check_name"], each["resource"]) for each in failed] == []
    assert found["summary"]["passed"] > 300
