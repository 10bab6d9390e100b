"""Validators in other languages: answers of the service in Go, patterns in Rust."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.openapi.answers import recorded_answers

HERE: Final = Path(__file__).parent
BUILT: Final = HERE.parents[1] / ".venv-tools" / "openapi"


@dataclass(frozen=True, slots=True)
class Check:
    """What a validator said; None if its language is not installed."""

    name: str
    said: str | None
    failed: bool = False


def validated(folder: Path, documents: Sequence[Path]) -> list[Check]:
    """Run each validator whose language is installed."""
    answers = folder / "answers.json"
    answers.write_text(json.dumps(asyncio.run(recorded_answers())), encoding="utf-8")
    (lowered,) = [each for each in documents if each.stem == "openapi-3.0"]
    return [
        _check("Go (kin-openapi): answers, read by the 3.0 document", _go(lowered, answers)),
        _check("Rust (regex): every pattern", _rust(documents)),
    ]


def _check(name: str, done: subprocess.CompletedProcess[str] | None) -> Check:
    if done is None:
        return Check(name, None)
    return Check(name, (done.stdout + done.stderr).strip(), failed=done.returncode != 0)


def _go(document: Path, answers: Path) -> subprocess.CompletedProcess[str] | None:
    go = shutil.which("go")
    if go is None:
        return None
    program = BUILT / "answers"
    built = _ran([go, "build", "-o", str(program), "."], HERE / "answers_go")
    return built if built.returncode else _ran([str(program), str(document), str(answers)], BUILT)


def _rust(documents: Sequence[Path]) -> subprocess.CompletedProcess[str] | None:
    cargo = shutil.which("cargo")
    if cargo is None:
        return None
    found = {
        pattern
        for document in documents
        for pattern in _patterns(json.loads(document.read_text(encoding="utf-8")))
    }
    # Built apart: its lock would name a registry's host.
    project = shutil.copytree(HERE / "patterns_rust", BUILT / "patterns", dirs_exist_ok=True)
    return _ran([cargo, "run", "--quiet"], project, sent="\0".join(sorted(found)))


def _patterns(node: Any) -> Iterator[str]:
    if isinstance(node, dict) and isinstance(node.get("pattern"), str):
        yield node["pattern"]
    for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _patterns(each)


def _ran(command: Sequence[str], where: Path, sent: str = "") -> subprocess.CompletedProcess[str]:
    BUILT.mkdir(parents=True, exist_ok=True)
    return subprocess.run(
        command, cwd=where, input=sent, capture_output=True, text=True, check=False
    )
