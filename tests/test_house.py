"""The rules of the house: who imports whom, what is locked, what may be named how."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from orders.entrypoints.server.serve import TESTED_VERSIONS
from tests.conftest import SLOWEST_FIRST, TESTS

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "orders"
INNER = ("domain", "application")
LOCKS = ("dev.lock", "service.lock", "bootstrap.lock", "tools.lock", "clients.lock")

# Below these, a known fault of the package is ours.
FLOORS = {
    "aiohttp": "3.13.4",
    "h11": "0.16.0",
    "litestar": "2.22.0",
    "multipart": "1.3.1",
    "pyjwt": "2.13.0",
    "starlette": "1.0.1",
}
# A module over 300 lines stands here with its reason, or is split.
LONG_MODULES = {
    "domain/errors.py": "all refusals stand in one file: importers look them up by class and code",
    "domain/events.py": "all events stand in one file: their union is the published contract",
    "domain/order/order.py": "all commands stand in one file, each with its units and refusals",
}

IMPORT_ALL = """
import sys, pkgutil, importlib
sys.path.insert(0, sys.argv[1])
for layer in ("orders.domain", "orders.application"):
    for module in pkgutil.walk_packages(importlib.import_module(layer).__path__, layer + "."):
        importlib.import_module(module.name)
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def pins(lock: str) -> dict[str, set[Version]]:
    """The versions of each package in a lock; there are several where platforms differ."""
    found: dict[str, set[Version]] = {}
    text = (ROOT / "requirements" / lock).read_text()
    for name, version in re.findall(r"^([a-z0-9-]+)==([^\s;]+)", text, re.MULTILINE):
        found.setdefault(name, set()).add(Version(version))
    return found


def own_files() -> Iterator[Path]:
    """Every file that is not built, cached or kept by a run: what `.gitignore` leaves."""
    ignored = {line.rstrip("/") for line in (ROOT / ".gitignore").read_text().splitlines()}
    for path in sorted(ROOT.rglob("*")):
        parts = set(path.relative_to(ROOT).parts)
        if path.is_file() and not parts & (ignored | {".git"}):
            yield path


def test_the_inner_layers_load_nothing_but_the_standard_library() -> None:
    command = [sys.executable, "-I", "-S", "-c", IMPORT_ALL, str(SOURCE.parent)]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert "orders" in loaded
    assert set(loaded) - {"orders", "__main__"} <= set(sys.stdlib_module_names)


def test_the_inner_layers_name_nothing_but_the_standard_library() -> None:
    """Also where an import is late, or for type checkers only."""
    for path in (file for layer in INNER for file in (SOURCE / layer).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.partition(".")[0] in {"orders", *sys.stdlib_module_names}, path


def test_imports_point_inwards() -> None:
    lint = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports())"
    done = subprocess.run(
        [sys.executable, "-c", lint], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_base_distribution_depends_on_nothing() -> None:
    assert project()["project"]["dependencies"] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_host_and_hashes_every_package(lock: str) -> None:
    text = (ROOT / "requirements" / lock).read_text()
    assert not re.search(r"://|^-|@ ", text, re.MULTILINE)
    entries = re.findall(r"^\S.*(?:\n    .*)*", text, re.MULTILINE)
    assert len(entries) == sum(map(len, pins(lock).values()))
    assert all("--hash=sha256:" in entry for entry in entries)


def test_the_lock_answers_the_requirements() -> None:
    locked = pins("dev.lock")
    for extra, requirements in project()["project"]["optional-dependencies"].items():
        for wanted in map(Requirement, requirements):
            versions = locked.get(wanted.name.lower(), set())
            assert versions, f"{wanted.name} of [{extra}] is not locked: make lock"
            assert all(wanted.specifier.contains(each, prereleases=True) for each in versions), (
                f"{wanted.name} of [{extra}] is locked otherwise: make lock"
            )


@pytest.mark.parametrize("package", TESTED_VERSIONS)
def test_the_package_allows_only_versions_that_the_server_was_tested_with(package: str) -> None:
    requirements = map(Requirement, project()["project"]["optional-dependencies"]["service"])
    (allowed,) = (each.specifier for each in requirements if each.name == package)
    minor = Version(TESTED_VERSIONS[package]).minor
    assert str(max(pins("dev.lock")[package])) in allowed
    for patch in ("0", "99"):
        assert f"0.{minor}.{patch}" in allowed
        assert f"0.{minor + 1}.{patch}" not in allowed
        assert f"0.{minor - 1}.{patch}" not in allowed


@pytest.mark.parametrize("lock", ["bootstrap.lock", "service.lock"])
def test_what_is_tested_is_what_installs_and_runs(lock: str) -> None:
    tested = pins("dev.lock")
    assert pins(lock).items() <= tested.items()
    assert {"uv", "hatchling"} <= pins("bootstrap.lock").keys()
    assert "pytest" not in pins("service.lock")


@pytest.mark.parametrize(("package", "floor"), FLOORS.items())
def test_no_package_is_older_than_its_last_known_fault(package: str, floor: str) -> None:
    assert min(pins("dev.lock")[package]) >= Version(floor)


def test_no_file_names_a_registry_or_a_place_of_one_machine() -> None:
    unwanted = re.compile(
        rb"(?:pypi|pythonhosted|npmjs|yarnpkg|crates)\.(?:org|com|io)"
        rb"|--(?:extra-)?index-url[ =]"
        rb"|/(?:root|home/[a-z]+|work/(?:main|shared))/"
    )
    for path in own_files():
        found = unwanted.search(path.read_bytes())
        assert found is None, f"{path.relative_to(ROOT)} names {found[0]!r}"


def test_no_file_name_says_nothing() -> None:
    empty = {"utils", "util", "helpers", "helper", "common", "base", "managers", "manager", "misc"}
    assert [path for path in own_files() if path.stem in empty] == []


def test_modules_can_be_read_in_one_go() -> None:
    lengths = {
        path.relative_to(SOURCE).as_posix(): len(path.read_text().splitlines())
        for path in SOURCE.rglob("*.py")
    }
    assert {name for name, lines in lengths.items() if lines > 300} == set(LONG_MODULES)


def test_what_the_workers_begin_with_is_there() -> None:
    """A file that has moved would be begun last, and waited for alone."""
    assert [each for each in SLOWEST_FIRST if not (TESTS / each).exists()] == []
