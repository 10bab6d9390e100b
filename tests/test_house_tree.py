"""The rules of the house about its tree: few rooms and arrows, no circle, folders of readable size.

A room of a package is a module or a folder directly inside it. An arrow is one room that imports
another, wherever the import stands: also inside a function, or for type checkers only.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"

MAX_ROOMS_AND_ARROWS = {
    "orders.domain": (20, 85),
    "orders.entrypoints": (18, 45),
    "orders.entrypoints.http": (12, 24),
}
MAX_MODULES = 15
# A folder with more modules stands here with its reason, or is split.
WIDE_FOLDERS = {
    "src/orders/application": "one use case a module: the list of modules is the list of use cases",
}

Graph = Mapping[str, set[str]]


def modules(source: Path) -> dict[str, Path]:
    """Every module by its dotted name; a package has the name of its folder."""
    found = {}
    for path in sorted(source.rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(source: Path) -> Graph:
    """Which modules each module imports."""
    known = modules(source)
    return {name: set(imported(path, known)) - {name} for name, path in known.items()}


def imported(path: Path, known: Mapping[str, Path]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            for each in node.names:
                names = f"{node.module}.{each.name}", node.module
                yield from [name for name in names if name in known][:1]


def rooms(graph: Graph, package: str) -> Graph:
    """Which rooms of a package each of its rooms imports."""

    def room(module: str) -> str:
        return module.removeprefix(f"{package}.").partition(".")[0]

    inside = {name for name in graph if name.startswith(f"{package}.")}
    arrows: dict[str, set[str]] = {room(name): set() for name in inside}
    for name in inside:
        arrows[room(name)] |= {room(other) for other in graph[name] & inside} - {room(name)}
    return arrows


def circle(graph: Graph) -> list[str]:
    """One circle of a graph, or nothing."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []


GRAPH = imports(SOURCE)
PACKAGES = sorted(name for name, path in modules(SOURCE).items() if path.name == "__init__.py")


@pytest.mark.parametrize(("package", "limits"), MAX_ROOMS_AND_ARROWS.items())
def test_a_package_has_few_rooms_and_few_arrows(package: str, limits: tuple[int, int]) -> None:
    found = rooms(GRAPH, package)
    count = len(found), sum(map(len, found.values()))
    assert count[0] <= limits[0], f"{package} has {count[0]} rooms: {sorted(found)}"
    assert count[1] <= limits[1], f"{package} has {count[1]} arrows: {found}"


def test_no_modules_import_each_other() -> None:
    assert circle(GRAPH) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_no_rooms_of_a_package_import_each_other(package: str) -> None:
    assert circle(rooms(GRAPH, package)) == []


def test_a_folder_fits_a_screen() -> None:
    folders = {
        folder.relative_to(ROOT).as_posix(): len({*folder.glob("*.py")} - {folder / "__init__.py"})
        for top in ("src", "tests")
        for folder in (ROOT / top).rglob("*")
        if folder.is_dir()
    }
    assert {name for name, count in folders.items() if count > MAX_MODULES} == set(WIDE_FOLDERS)
