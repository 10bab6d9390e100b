"""A name that no setting has is refused, with the nearest one; what others set is let through."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orders.entrypoints.failures import SettingsError
from orders.entrypoints.settings.table import Settings, settings_table
from tests.support.processes.orders_process import COMPLETE

ROOT = Path(__file__).parents[2]
NAMES = sorted(row.name for row in settings_table() if row.name.startswith("ORDERS_"))
SECRET = "QZ7XK9WJ4VU2"


def problems(**changed: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as refused:
        Settings.read({**COMPLETE, **changed})
    return refused.value.problems


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("ORDERS_MONGO_URL", "ORDERS_MONGO_URI"),
        ("ORDERS_LOGLEVEL", "ORDERS_LOG_LEVEL"),
        ("ORDERS_JWKS_URI", "ORDERS_JWKS_URL"),
        ("ORDERS_WORKER", "ORDERS_WORKERS"),
        ("ORDERS_PAYMENT_TOKN_FILE", "ORDERS_PAYMENT_TOKEN_FILE"),
        ("ORDERS_port", "ORDERS_PORT"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_known_one(wrong: str, right: str) -> None:
    line = f"{wrong} is not a setting: did you mean {right}?"
    assert problems(**{wrong: SECRET}) == (line,)


def test_a_name_that_is_near_to_none_is_refused_too() -> None:
    assert problems(ORDERS_XYZ=SECRET) == ("ORDERS_XYZ is not a setting: see `orders settings`",)


@settings(max_examples=60)
@given(name=st.sampled_from(NAMES), at=st.integers(0, 40), typed=st.sampled_from("AXZ_\n é"))
def test_whatever_is_mistyped_is_named_in_one_line(name: str, at: int, typed: str) -> None:
    place = len("ORDERS_") + at % (len(name) - len("ORDERS_"))
    wrong = name[:place] + typed + name[place + 1 :]
    if wrong in NAMES or re.fullmatch("ORDERS_TAG|ORDERS_GREEN_TAG|ORDERS_TEST_.*", wrong):
        return
    (line,) = problems(**{wrong: SECRET})
    assert line.startswith("ORDERS_")
    assert "is not a setting: " in line
    assert line.isprintable()
    assert SECRET not in line


def test_empty_unknown_and_foreign_variables_are_let_through() -> None:
    foreign = {"ORDERS": "x", "MY_ORDERS_PORT": "x", "orders_port": "x", "ORDERSX_PORT": "x"}
    assert Settings.read({**COMPLETE, "ORDERS_NOTHING": " ", **foreign}) == Settings.read(COMPLETE)


def test_variables_of_compose_and_of_the_tests_are_let_through() -> None:
    files = [*(ROOT / "infra").glob("compose*"), ROOT / ".github/workflows/ci.yml"]
    named = {name for file in files for name in re.findall(r"ORDERS_[A-Z_]+", file.read_text())}
    others = dict.fromkeys(named - set(NAMES), "x")
    assert others.keys() == {
        "ORDERS_TAG", "ORDERS_GREEN_TAG", "ORDERS_TEST_MONGO_URI", "ORDERS_TEST_DOCKER",
    }  # fmt: skip
    assert Settings.read({**COMPLETE, **others}) == Settings.read(COMPLETE)


def links(service: str, *ports: tuple[str, int, str]) -> dict[str, str]:
    """The variables that the kubelet makes for a Service, by pkg/kubelet/envvars of Kubernetes."""
    name = service.upper().replace("-", "_")
    found = {f"{name}_SERVICE_HOST": "10.96.0.7", f"{name}_SERVICE_PORT": str(ports[0][1])}
    found[f"{name}_PORT"] = f"tcp://10.96.0.7:{ports[0][1]}"
    for label, port, protocol in ports:
        if label:
            found[f"{name}_SERVICE_PORT_{label.upper().replace('-', '_')}"] = str(port)
        prefix = f"{name}_PORT_{port}_{protocol.upper()}"
        found |= {
            prefix: f"{protocol}://10.96.0.7:{port}",
            f"{prefix}_PROTO": protocol,
            f"{prefix}_PORT": str(port),
            f"{prefix}_ADDR": "10.96.0.7",
        }
    return found


@pytest.mark.parametrize(
    "service", ["orders", "orders-preview", "orders-metrics", "orders-api-v2", "orders-mongo-uri"]
)
def test_what_kubernetes_makes_for_a_service_is_let_through(service: str) -> None:
    made = links(service, ("http", 8000, "tcp"), ("grpc-web", 9000, "tcp"), ("", 53, "udp"))
    # A pod that sets a variable itself goes before Kubernetes.
    bare = {name: value for name, value in COMPLETE.items() if name != "ORDERS_METRICS_PORT"}
    assert Settings.read(bare | made) == Settings.read(bare)


def test_a_port_that_a_pod_sets_itself_goes_before_the_one_of_kubernetes() -> None:
    made = links("orders", ("http", 80, "tcp")) | links("orders-metrics", ("", 9000, "tcp"))
    settings = Settings.read({**COMPLETE, **made, "ORDERS_PORT": "9001"})
    assert (settings.port, settings.metrics_port) == (9001, 9464)


def test_only_what_belongs_to_a_service_is_let_through() -> None:
    made = links("orders", ("http", 80, "tcp"))
    told = problems(**made, ORDERS_PORTS="1", ORDERS_PORT_80_TCPS="1", ORDERS_X_PORT="tcp://a:1")
    assert len(told) == 3
    (alone,) = problems(ORDERS_PORT="tcp://10.96.0.7:80")
    assert alone == "ORDERS_PORT must be a whole number from 0 to 65535"
