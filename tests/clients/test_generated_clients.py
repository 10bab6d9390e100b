"""Clients that two generators make of the published document go through the main journey.

`make clients` does the same with all of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.clients.generated.exercise import exercise, files_of
from tests.clients.generated.generators import GENERATORS, Generator
from tests.support.processes.cluster import UNHURRIED, Shape, cluster
from tests.support.processes.service import Running

QUICK = ("openapi_python_client", "openapi_typescript")
SOURCES = {".go", ".java", ".py", ".rs", ".ts"}
PAGE = Path(__file__).parents[2] / "docs" / "clients.md"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("generated")
    with (
        cluster(folder, Shape(apis=1, environ=UNHURRIED)) as started,
        httpx.Client(base_url=started.apis[0], timeout=60) as own,
    ):
        yield Running(started.apis[0], folder, started.addresses(), own)


@pytest.mark.parametrize(
    "generator",
    [each for each in GENERATORS if each.folder in QUICK],
    ids=lambda generator: str(generator.folder),
)
def test_a_generated_client_goes_through_the_main_journey(
    generator: Generator, running: Running
) -> None:
    exercise(generator, running)


def section(generator: Generator) -> str:
    """What the page says of a generator."""
    text = PAGE.read_text(encoding="utf-8")
    _, heading, rest = text.partition(f"\n## {generator.name}\n")
    assert heading, f"{PAGE.name} has no section {generator.name}"
    return rest.partition("\n## ")[0]


def of_each_generator(test: Callable[[Generator], None]) -> Callable[[Generator], None]:
    return pytest.mark.parametrize(
        "generator", GENERATORS, ids=lambda generator: str(generator.folder)
    )(test)


@of_each_generator
def test_the_page_gives_the_command_that_is_run(generator: Generator) -> None:
    (shown,) = re.findall(r"```sh\n(.*?)```", section(generator), re.DOTALL)
    assert re.sub(r"\\\n *", "", shown).strip() == generator.generate


@of_each_generator
def test_the_page_shows_lines_of_the_journey_that_is_run(generator: Generator) -> None:
    files = sorted(files_of(generator), key=lambda file: file.name)
    sources = [file for file in files if file.suffix in SOURCES]
    text = "\n".join(file.read_text(encoding="utf-8") for file in sources)
    lines = iter([line.strip() for line in text.splitlines()])
    (shown,) = re.findall(r"```(?:python|java|go|ts|rust)\n(.*?)```", section(generator), re.DOTALL)
    assert len(shown.splitlines()) >= 8
    for line in filter(None, map(str.strip, shown.splitlines())):
        assert line in lines, f"the journey has no such line, or has it before: {line}"
