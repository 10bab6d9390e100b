"""Spectral and Redocly with their standard rules, and the warnings that are excused."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
NPM: Final = HERE.parents[1] / ".venv-tools" / "npm"
PACKAGES: Final = {"@stoplight/spectral-cli": "6.16.3", "@redocly/cli": "2.77.0"}
SEVERITIES: Final = ("error", "warning", "information", "hint")


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """What a linter found: where, as a JSON pointer, and by which of its rules."""

    tool: str
    document: str
    severity: str
    rule: str
    where: str
    text: str


@dataclass(frozen=True, slots=True)
class Excuse:
    """A warning that stays: a rule of a tool, where it may warn, and why that is right."""

    tool: str
    rule: str
    where: str
    why: str

    def covers(self, finding: Finding) -> bool:
        """Whether it is about this finding. An error has no excuse."""
        return (
            finding.severity != "error"
            and (self.tool, self.rule) == (finding.tool, finding.rule)
            and re.fullmatch(self.where, finding.where) is not None
        )


@dataclass(frozen=True, slots=True)
class Lint:
    """What the linters found in all documents, and what excuses it."""

    findings: tuple[Finding, ...]
    excuses: tuple[Excuse, ...]

    @property
    def open(self) -> list[Finding]:
        """What nothing excuses."""
        return [f for f in self.findings if not any(each.covers(f) for each in self.excuses)]

    @property
    def idle(self) -> list[Excuse]:
        """Excuses that nothing needs."""
        return [e for e in self.excuses if not any(e.covers(each) for each in self.findings)]


def linted(files: Sequence[Path]) -> Lint:
    """Lint these documents with both tools.

    Raises:
        FileNotFoundError: Without npm.
        CalledProcessError: If the tools cannot be installed, or did not run.
    """
    _install()
    findings = sorted(found for file in files for found in (*_spectral(file), *_redocly(file)))
    excused = tomllib.loads((HERE / "excused.toml").read_text(encoding="utf-8")).get("excused", [])
    return Lint(tuple(findings), tuple(Excuse(**each) for each in excused))


def _install() -> None:
    """Install the pinned versions, unless they are there."""
    if all(_version(name) == version for name, version in PACKAGES.items()):
        return
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError("npm is not installed: install Node.js 20 or newer")
    NPM.mkdir(parents=True, exist_ok=True)
    wanted = [f"{name}@{version}" for name, version in PACKAGES.items()]
    quiet = ("--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
    subprocess.run([npm, "install", "--prefix", NPM, *quiet, *wanted], check=True)


def _version(name: str) -> str | None:
    package = NPM / "node_modules" / name / "package.json"
    return json.loads(package.read_text())["version"] if package.exists() else None


def _run(tool: str, *arguments: str | Path) -> Any:
    # No home: neither of their caches, settings and reports of use leaves this folder.
    environment = {"PATH": os.environ["PATH"], "HOME": str(NPM), "REDOCLY_TELEMETRY": "off"}
    command = [NPM / "node_modules" / ".bin" / tool, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    try:
        return json.loads(done.stdout)
    except json.JSONDecodeError:
        raise subprocess.CalledProcessError(
            done.returncode, command, done.stdout, done.stderr
        ) from None


def _spectral(file: Path) -> Iterator[Finding]:
    found = _run("spectral", "lint", file, "--ruleset", HERE / "spectral.yaml", "--format", "json")
    for each in found:
        where = "".join(f"/{str(part).replace('/', '~1')}" for part in each["path"])
        severity = SEVERITIES[each["severity"]]
        yield Finding("spectral", file.stem, severity, each["code"], f"#{where}", each["message"])


def _redocly(file: Path) -> Iterator[Finding]:
    options = ("--extends=recommended", "--format=json", "--max-problems=10000")
    for each in _run("redocly", "lint", file, *options)["problems"]:
        severity = {"warn": "warning"}.get(each["severity"], each["severity"])
        where = each["location"][0].get("pointer", "")
        yield Finding("redocly", file.stem, severity, each["ruleId"], where, each["message"])
