"""A Kubernetes of our own: its real API server, controllers and scheduler as child processes.

There are no machines: kwok plays the nodes, and says of each pod that it runs and is ready. So it
shows what Kubernetes makes of our manifests, and nothing of what runs in our image.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from orders.entrypoints.server.child_processes import end_with, free_ports

MISSING: Final = "no Kubernetes: set ORDERS_TEST_KUBERNETES to what infra/setup/kubernetes.sh built"
_GIVEN: Final = os.environ.get("ORDERS_TEST_KUBERNETES")
_TOKEN: Final = "of-a-test-alone"
_PATIENCE_SECONDS: Final = 120


class Kubernetes:
    """A control plane with three nodes that are played, in three zones."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self._folder, self._programs = folder, programs
        self._processes: list[subprocess.Popen[bytes]] = []
        self.environ = {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "KUBECONFIG": str(folder / "kubeconfig"),
            "NAMESPACE": "shop",
        }

    def start(self) -> None:
        """Start it; returns once its nodes are ready."""
        etcd, peers, api, controllers, scheduler, kwok = free_ports(6)
        store, us = f"http://127.0.0.1:{etcd}", f"http://127.0.0.1:{peers}"
        self._write_keys(api)
        # fmt: off
        self._spawn("etcd", "--data-dir", "etcd", "--unsafe-no-fsync",
                    "--listen-client-urls", store, "--advertise-client-urls", store,
                    "--listen-peer-urls", us, "--initial-advertise-peer-urls", us,
                    "--initial-cluster", f"default={us}")
        self._spawn("kube-apiserver", "--etcd-servers", store, "--bind-address", "127.0.0.1",
                    "--secure-port", str(api), "--cert-dir", "certificates",
                    "--service-account-issuer", "https://kubernetes.default.svc",
                    "--service-account-key-file", "service-accounts.pub",
                    "--service-account-signing-key-file", "service-accounts.key",
                    "--token-auth-file", "tokens.csv", "--authorization-mode", "RBAC",
                    "--service-cluster-ip-range", "10.96.0.0/16")
        self._until("get", "--raw", "/readyz")
        local = ("--kubeconfig", "kubeconfig", "--bind-address", "127.0.0.1",
                 "--leader-elect=false")
        self._spawn("kube-controller-manager", *local, "--secure-port", str(controllers),
                    "--service-account-private-key-file", "service-accounts.key",
                    "--root-ca-file", "certificates/apiserver.crt")
        self._spawn("kube-scheduler", *local, "--secure-port", str(scheduler))
        self._spawn("kwok", "--kubeconfig", "kubeconfig", "--manage-all-nodes=true",
                    "--config", str(self._programs / "stages.yaml"),
                    "--server-address", f"127.0.0.1:{kwok}")
        # fmt: on
        self.apply(*map(_node, "abc"))
        self._until("wait", "node", "--all", "--for=condition=Ready", "--timeout=10s")
        self._until("get", "serviceaccount", "default", "--namespace", "default")

    def run(self, *command: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run a program that finds this cluster."""
        return subprocess.run(
            command, env=self.environ, input=given, capture_output=True, text=True, check=False
        )

    def kubectl(self, *arguments: str, given: str = "") -> str:
        """Run kubectl, which must succeed, and return what it says."""
        done = self.run(str(self._programs / "kubectl"), *arguments, given=given)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def apply(self, *manifests: dict[str, Any]) -> None:
        """Create what there is not."""
        everything = {"apiVersion": "v1", "kind": "List", "items": manifests}
        self.kubectl("apply", "-f", "-", given=json.dumps(everything))

    def get(self, *what: str) -> Any:
        """What kubectl shows, as JSON."""
        return json.loads(self.kubectl("get", "--namespace", "shop", "--output=json", *what))

    def close(self) -> None:
        """End it all at once."""
        for process in reversed(self._processes):
            process.kill()
            process.wait()

    def _until(self, *arguments: str) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        command = (str(self._programs / "kubectl"), *arguments)
        while (done := self.run(*command)).returncode:
            assert time.monotonic() < deadline, done.stderr
            time.sleep(0.2)  # another process's start gives no event to wait for

    def _spawn(self, program: str, *arguments: str) -> None:
        with (self._folder / f"{program}.log").open("wb") as log:
            process = subprocess.Popen(
                [str(self._programs / program), *arguments],
                cwd=self._folder,
                env=self.environ,
                stdout=log,
                stderr=log,
                preexec_fn=partial(end_with, os.getpid()),  # noqa: PLW1509 - one system call
            )
        self._processes.append(process)

    def _write_keys(self, port: int) -> None:
        key = generate_private_key(65537, 2048)
        (self._folder / "service-accounts.key").write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        (self._folder / "service-accounts.pub").write_bytes(
            key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        )
        (self._folder / "tokens.csv").write_text(f"{_TOKEN},admin,admin,system:masters\n")
        server = {"server": f"https://127.0.0.1:{port}", "insecure-skip-tls-verify": True}
        configuration = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": server}],
            "users": [{"name": "test", "user": {"token": _TOKEN}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "current-context": "test",
        }
        (self._folder / "kubeconfig").write_text(json.dumps(configuration))


def _node(name: str) -> dict[str, Any]:
    room = {"cpu": "16", "memory": "32Gi", "pods": "110"}
    labels = {
        "kubernetes.io/hostname": f"node-{name}",
        "kubernetes.io/os": "linux",
        "topology.kubernetes.io/zone": f"zone-{name}",
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": f"node-{name}", "labels": labels},
        "status": {"capacity": room, "allocatable": room},
    }


def anything(kinds: Sequence[str], group: str) -> Iterator[dict[str, Any]]:
    """Definitions of an operator's kinds that take whatever they are given."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
    }
    for kind in kinds:
        plural = f"{kind.lower()}s"
        yield {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{plural}.{group}"},
            "spec": {
                "group": group,
                "scope": "Namespaced",
                "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
                "versions": [version],
            },
        }


@contextmanager
def kubernetes(folder: Path) -> Iterator[Kubernetes]:
    """A cluster that is up, until the block is left; or the test is skipped with the reason."""
    if _GIVEN is None:
        pytest.skip(MISSING)
    with ExitStack() as stack:
        cluster = Kubernetes(folder, Path(_GIVEN).absolute())
        stack.callback(cluster.close)
        cluster.start()
        yield cluster
