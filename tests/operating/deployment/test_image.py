"""The image, built and run by a real engine under the rights that the chart and Compose give it.

Set `DOCKER_HOST` (or `ORDERS_TEST_DOCKER`) to an engine on this machine; it builds with the network
of the machine, for the locked packages. The database and the payment service are processes beside
it: the container shares this machine's network, so that it finds them on the loopback.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from orders.entrypoints.sandbox.stack import is_ready
from orders.entrypoints.server.child_processes import free_ports
from tests.support.processes.cluster import PATIENCE_SECONDS, Cluster, Shape, cluster
from tests.support.processes.service import Running, eventually

TOP: Final = Path(__file__).parents[3]
ENGINE: Final = os.environ.get("ORDERS_TEST_DOCKER") or os.environ.get("DOCKER_HOST")
MISSING: Final = "no container engine: set DOCKER_HOST or ORDERS_TEST_DOCKER to one on this machine"
TAG: Final = "orders:tested"
RIGHTS: Final = (
    "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges:true",
    "--tmpfs=/tmp:mode=1777",
)  # fmt: skip
LARGEST_MEGABYTES: Final = 300
FOREIGN: Final = {
    "sh", "bash", "dash", "ash", "busybox", "gcc", "cc", "c++", "ld", "as", "make", "apt",
    "apt-get", "dpkg", "pip", "pip3", "uv", "curl", "wget", "perl", "su", "sudo", "mount",
}  # fmt: skip
"""Programs that help a stranger who got in, and nobody else."""
LOOK: Final = """
import json, os
from pathlib import Path
folders = map(Path, ("/bin", "/sbin", "/usr", "/opt", "/lib"))
found = [path for folder in folders for path in folder.rglob("*")]
programs = [path for path in found if path.is_file() and os.access(path, os.X_OK)]
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
def writable(path):
    try:
        Path(path, "probe").write_text("")
    except OSError:
        return False
    return True
print(json.dumps({
    "programs": sorted({path.name for path in programs}),
    "raised": [str(path) for path in found if path.is_file() and path.stat().st_mode & 0o6000],
    "uid": os.getuid(),
    "capabilities": status["CapEff"].strip() + status["CapBnd"].strip(),
    "no_new_privileges": status["NoNewPrivs"].strip(),
    "writable": [each for each in ("/", "/opt/orders", "/etc", "/var", "/tmp") if writable(each)],
}))
"""


def docker(*arguments: str) -> str:
    """What the engine's client says, if it succeeds, as it must."""
    environ = os.environ | {"DOCKER_HOST": ENGINE or "", "DOCKER_BUILDKIT": "0"}
    done = subprocess.run(
        ["docker", *arguments], env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def image() -> str:
    """The image of this tree."""
    if not ENGINE or shutil.which("docker") is None:
        pytest.skip(MISSING)
    docker(
        "build", "--quiet", "--network=host", "-f", f"{TOP}/infra/Dockerfile", "-t", TAG, str(TOP)
    )
    return TAG


@pytest.fixture(scope="module")
def beside(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A migrated database, payments and the issuer; its own replica is not asked."""
    with cluster(tmp_path_factory.mktemp("beside"), Shape(apis=1, workers=0)) as running:
        yield running


@dataclass(frozen=True)
class Container:
    """The service in a container, with the rights of production."""

    name: str
    port: int

    @property
    def health(self) -> str:
        """What the engine thinks of it."""
        return docker("inspect", "--format={{.State.Health.Status}}", self.name)


@pytest.fixture
def service(image: str, beside: Cluster) -> Iterator[Container]:
    """`orders serve`, started just now."""
    port, metrics_port = free_ports(2)
    environ = {name: value for name, value in beside.environ.items() if name.startswith("ORDERS_")}
    environ |= {"ORDERS_PORT": str(port), "ORDERS_METRICS_PORT": str(metrics_port)}
    told = [f"--env={name}={value}" for name, value in environ.items()]
    catalogue = environ["ORDERS_PRICE_LIST"]
    bounds = ["--memory=512m", "--network=host", f"--volume={catalogue}:{catalogue}:ro"]
    name = docker("run", "--detach", *RIGHTS, *bounds, *told, image)
    try:
        yield Container(name, port)
    finally:
        docker("rm", "--force", name)


def test_an_order_is_placed_paid_and_read(
    service: Container, beside: Cluster, record_testsuite_property: Callable[[str, object], None]
) -> None:
    began = time.monotonic()
    eventually(lambda: is_ready(service.port), PATIENCE_SECONDS)
    record_testsuite_property("image: ready after s", round(time.monotonic() - began, 1))
    url = f"http://127.0.0.1:{service.port}"
    with httpx.Client(base_url=url, timeout=PATIENCE_SECONDS) as client:
        customer = Running(url, beside.data.path, beside.addresses(), client).someone("customer")
        placed = customer.placed()
        wish = {"method": "tok_ok", "capture": True}
        assert customer.post(f"/v1/orders/{placed['id']}/payments", wish).status_code == 201
        read = customer.order(placed["id"])
    assert (read["status"], read["payment_status"]) == ("confirmed", "paid")


def test_the_engine_finds_it_healthy_and_it_ends_when_told(service: Container) -> None:
    eventually(lambda: service.health == "healthy", PATIENCE_SECONDS)
    docker("stop", "--time=30", service.name)
    assert docker("inspect", "--format={{.State.ExitCode}}", service.name) == "0"


def test_nothing_in_it_helps_a_stranger(image: str) -> None:
    look = ["run", "--rm", *RIGHTS, "--entrypoint=python", image, "-c", LOOK]
    seen: dict[str, Any] = json.loads(docker(*look))
    assert not FOREIGN & set(seen["programs"])
    assert seen["raised"] == []
    assert seen["uid"] == 10001
    assert set(seen["capabilities"]) == {"0"}
    assert seen["no_new_privileges"] == "1"
    assert seen["writable"] == ["/tmp"]


def test_it_says_what_it_is_and_is_small(
    image: str, record_testsuite_property: Callable[[str, object], None]
) -> None:
    (told,) = json.loads(docker("image", "inspect", image))
    assert told["Config"]["User"] == "10001:10001"
    assert told["Config"]["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert told["Config"]["Healthcheck"]["Test"][0] == "CMD"
    record_testsuite_property("image: megabytes", told["Size"] // 1_000_000)
    assert told["Size"] < LARGEST_MEGABYTES * 1_000_000
