"""The documentation: generated parts match the code, links and paths lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from shutil import copytree

import pytest

ROOT = Path(__file__).parents[1]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "infra" / "docs.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_every_generated_part_is_up_to_date() -> None:
    done = run("--check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_part_that_was_changed_by_hand_is_found_and_put_right(tmp_path: Path) -> None:
    docs = copytree(ROOT / "docs", tmp_path / "docs")
    page = docs / "lifecycle.md"
    right = page.read_text(encoding="utf-8")
    page.write_text(right.replace("| `confirmed` |", "| `completed` |", 1), encoding="utf-8")
    wrong = page.read_text(encoding="utf-8")
    assert wrong != right
    found = run("--check", "--docs", str(docs))
    assert (found.returncode, found.stdout.split()[0]) == (1, "lifecycle.md")
    assert page.read_text(encoding="utf-8") == wrong
    assert run("--docs", str(docs)).returncode == 0
    assert page.read_text(encoding="utf-8") == right


@pytest.mark.parametrize("part", ["diagram", "transitions", "access", "errors", "settings"])
def test_every_part_is_published(part: str) -> None:
    pages = [page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("*.md")]
    assert sum(f"<!-- generated: {part} -->" in page for page in pages) == 1
    assert not any(re.search(r"-->\s*<!-- end -->", page) for page in pages)


PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


def anchors(page: Path) -> set[str]:
    """The headings of a page as links name them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!\w+://)([^)#\s]*)(?:#([^)]*))?\)", page.read_text(encoding="utf-8"))
    for path, anchor in links:
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), path
        assert not anchor or anchor in anchors(target), f"{path}#{anchor}"


def test_every_path_that_a_page_names_exists() -> None:
    """A page names code from the root, from `src/orders/`, or from its `entrypoints/`."""
    bases = [ROOT, ROOT / "src" / "orders", ROOT / "src" / "orders" / "entrypoints"]
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for path in re.findall(r"`([\w./-]+(?:/|\.(?:py|sh|ya?ml|template|conf)))`", text):
            found = path.startswith((".", "/")) or any((base / path).exists() for base in bases)
            assert found, f"{page.name}: {path}"


def test_what_the_readme_shows_of_the_library_runs() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(compile(shown, "README.md", "exec"), {})


def shown_in_the_library() -> list[str]:
    text = (ROOT / "docs" / "library.md").read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def test_the_life_of_an_order_in_the_library_runs() -> None:
    life, *_ = shown_in_the_library()
    exec(compile(life, "library.md", "exec"), {})


@pytest.mark.parametrize("name", ["test_my_orders.py", "test_my_payments.py"])
def test_the_adapters_in_the_library_pass_the_suites_they_show(name: str, tmp_path: Path) -> None:
    (block,) = (each for each in shown_in_the_library() if each.startswith(f"# {name}\n"))
    (tmp_path / name).write_text(block, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) > 15, "a suite that runs nothing proves nothing"
