"""The chart as a real API server takes it: installed, upgraded, switched and switched back."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.operating.deployment.chart import CHART
from tests.operating.deployment.kubernetes import Kubernetes, anything, kubernetes

SWITCH = str(CHART / "blue-green.sh")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubernetes]:
    """A cluster with a namespace that lets in no pod that is not restricted."""
    with kubernetes(tmp_path_factory.mktemp("kubernetes")) as cluster:
        strict = {"pod-security.kubernetes.io/enforce": "restricted"}
        cluster.apply(
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": "shop", "labels": strict},
            },
            *anything(["ServiceMonitor", "PrometheusRule"], "monitoring.coreos.com"),
        )
        cluster.kubectl("create", "--namespace=shop", "secret", "generic", "orders")
        assert helm(cluster, "install", "minimal").returncode == 0
        yield cluster


def helm(
    cluster: Kubernetes, verb: str, values: str, *more: str
) -> subprocess.CompletedProcess[str]:
    # fmt: off
    return cluster.run(
        "helm", verb, "orders", str(CHART), "--namespace=shop", "--wait", "--timeout=120s",
        f"--values={CHART}/ci/{values}.yaml", *more,
    )
    # fmt: on


def switch(cluster: Kubernetes, *arguments: str) -> subprocess.CompletedProcess[str]:
    return cluster.run(SWITCH, *arguments)


def colours(cluster: Kubernetes) -> tuple[str, str]:
    """Which colour callers reach, and which the preview."""
    services = cluster.get("services", "orders", "orders-preview")["items"]
    live, preview = (each["spec"]["selector"]["colour"] for each in services)
    return live, preview


def spread(cluster: Kubernetes, deployment: str) -> set[str]:
    """The nodes that its pods are on."""
    chosen = cluster.get("deployment", deployment)["spec"]["selector"]["matchLabels"]
    selector = ",".join(f"{name}={value}" for name, value in chosen.items())
    return {each["spec"]["nodeName"] for each in cluster.get("pods", "-l", selector)["items"]}


def test_what_is_installed_runs_on_nodes_apart(cluster: Kubernetes) -> None:
    assert colours(cluster) == ("blue", "green")
    assert spread(cluster, "orders-api-blue") == {"node-a", "node-b", "node-c"}
    assert cluster.get("jobs")["items"] == []  # the migration has run, and is gone


def test_nobody_switches_to_what_is_not_there(cluster: Kubernetes) -> None:
    refused = switch(cluster, "switch")
    assert refused.returncode == 1
    assert "green is not rolled out; blue stays live" in refused.stderr
    assert colours(cluster) == ("blue", "green")


def test_callers_go_to_the_other_colour_and_back(cluster: Kubernetes) -> None:
    assert helm(cluster, "upgrade", "blue-live").returncode == 0
    assert switch(cluster, "status").stdout == "blue is live, ready: 3\ngreen waits, ready: 3\n"
    before = cluster.get("deployments")["items"]
    assert switch(cluster, "switch", "green").returncode == 0
    assert colours(cluster) == ("green", "blue")
    assert "green is live already" in switch(cluster, "switch", "green").stderr
    assert switch(cluster, "switch").returncode == 0
    assert colours(cluster) == ("blue", "green")
    after = cluster.get("deployments")["items"]
    assert [each["metadata"]["generation"] for each in after] == [
        each["metadata"]["generation"] for each in before
    ]


def test_nobody_switches_to_fewer_replicas(cluster: Kubernetes) -> None:
    cluster.kubectl("delete", "--namespace=shop", "hpa", "orders-api-green")
    scale = ("scale", "--namespace=shop", "deployment/orders-api-green")
    cluster.kubectl(*scale, "--replicas=2")
    refused = switch(cluster, "switch")
    assert refused.returncode == 1
    assert "green has 2 ready replicas, blue 3; blue stays live" in refused.stderr
    assert colours(cluster) == ("blue", "green")
    cluster.kubectl(*scale, "--replicas=3")
    assert switch(cluster, "switch").returncode == 0


def test_an_upgrade_does_not_undo_a_switch_in_passing(cluster: Kubernetes) -> None:
    assert colours(cluster) == ("green", "blue")
    refused = helm(cluster, "upgrade", "blue-live")
    assert refused.returncode == 1
    assert "conflict" in refused.stderr
    assert colours(cluster) == ("green", "blue")
    assert helm(cluster, "upgrade", "green-live").returncode == 0
    assert colours(cluster) == ("green", "blue")


def test_all_that_can_be_turned_on_is_taken(cluster: Kubernetes) -> None:
    priority = {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": "business-critical"},
        "value": 1000,
    }
    cluster.apply(priority)
    # A load balancer would have to come from a cloud.
    taken = helm(cluster, "upgrade", "full", "--set=service.type=ClusterIP")
    assert taken.returncode == 0, taken.stderr
    (monitor,) = cluster.get("servicemonitors")["items"]
    (rules,) = cluster.get("prometheusrules")["items"]
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert len(rules["spec"]["groups"]) == 3
    assert colours(cluster) == ("green", "blue")
