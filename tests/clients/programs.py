"""The clients: small programs in other languages, each over its library as it comes.

Each reads requests from its standard input, one a line: address, Idempotency-Key, `length` or
`chunked`, and the body, with tabs between them. To each it answers with a line: status, tab, body.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import select
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest

HERE: Final = Path(__file__).parent
_ANSWER_SECONDS: Final = 120
_BUILD_SECONDS: Final = 600
# Some of them would ask a proxy for the way to the loopback.
NO_PROXY: Final = {"NO_PROXY": "*", "no_proxy": "*"}


@dataclass(frozen=True, slots=True)
class Client:
    """A program that sends what it is told, with one caller's token."""

    process: subprocess.Popen[str]

    def post(self, url: str, body: Mapping[str, Any], *, key: str, framing: str) -> tuple[int, str]:
        """The status and the body that it was answered with."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{url}\t{key}\t{framing}\t{json.dumps(body)}\n")
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], _ANSWER_SECONDS)
        assert ready, f"no answer from {url} in {_ANSWER_SECONDS} s"
        status, tab, content = self.process.stdout.readline().partition("\t")
        assert tab, f"the client gave up: {self.process.wait()}"  # it has said why on stderr
        return int(status), content.removesuffix("\n")


@contextmanager
def client(kind: str, token: str) -> Iterator[Client]:
    """A client that runs until the block is left; skips where its runtime is not at hand."""
    with subprocess.Popen(
        CLIENTS[kind](),
        env={**os.environ, **NO_PROXY, "TOKEN": token},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        try:
            yield Client(process)
        finally:
            process.kill()


def _jdk() -> Sequence[str]:
    need("java", "--list-modules", r"jdk\.compiler@(?:1[1-9]|[2-9]\d)", "a JDK, 11 or newer")
    built = cache_folder() / f"jdk-{_digest('Jdk.java')}"
    if not (built / "Jdk.class").exists():
        compiler = ["java", "--module", "jdk.compiler/com.sun.tools.javac.Main"]
        _run(*compiler, "-d", str(built), str(HERE / "Jdk.java"))
    return ["java", "-cp", str(built), "Jdk"]


def _node(file: str) -> Callable[[], Sequence[str]]:
    def command() -> Sequence[str]:
        need("node", "--version", r"v(?:1[89]|[2-9]\d)\.", "Node.js, 18 or newer")
        return ["node", str(HERE / file)]

    return command


def _curl() -> Sequence[str]:
    need("curl", "--version", r"\bHTTP2\b", "curl with HTTP/2 (infra/setup/services.sh, as root)")
    return ["sh", str(HERE / "curl.sh")]


def _go() -> Sequence[str]:
    need("go", "version", r"go1\.\d+", "Go")
    built = cache_folder() / f"net_http-{_digest('net_http.go')}"
    if not built.exists():
        _run("go", "build", "-o", str(built), str(HERE / "net_http.go"))
    return [str(built)]


def _rust() -> Sequence[str]:
    need("cargo", "--version", r"1\.(?:8[5-9]|9\d|\d{3})\.", "Rust's cargo, 1.85 or newer")
    folder = cache_folder() / f"reqwest-{_digest('Cargo.toml', 'reqwest.rs')}"
    built = folder / "target/debug/client"
    if not built.exists():
        folder.mkdir(exist_ok=True)
        for file in ("Cargo.toml", "reqwest.rs"):
            shutil.copy(HERE / file, folder)
        manifest = f"--manifest-path={folder / 'Cargo.toml'}"
        try:
            _run("cargo", "fetch", "--quiet", manifest)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"reqwest is not built, and cannot be fetched: {error.stderr[-300:]}")
        _run("cargo", "build", "--quiet", "--offline", f"--target-dir={folder}/target", manifest)
    return [str(built)]


CLIENTS: Final[Mapping[str, Callable[[], Sequence[str]]]] = {
    "jdk": _jdk,
    "go": _go,
    "node-fetch": _node("fetch.mjs"),
    "node-http": _node("http.mjs"),
    "reqwest": _rust,
    "curl": _curl,
}


@cache
def _says(program: str, argument: str) -> str:
    """What a program says of itself; nothing if it is not there, or only pretends to be."""
    found = shutil.which(program)
    if found is None:
        return ""
    return subprocess.run([found, argument], capture_output=True, text=True, check=False).stdout


def need(program: str, argument: str, pattern: str, what: str) -> None:
    """Skip unless a program says of itself what the pattern finds."""
    if not re.search(pattern, _says(program, argument)):
        pytest.skip(f"needs {what}")


def _run(*command: str) -> None:
    subprocess.run(command, capture_output=True, text=True, check=True, timeout=_BUILD_SECONDS)


def _digest(*files: str) -> str:
    """What is built of other sources has another name, so that nothing stale is ever run."""
    return hashlib.sha256(b"".join((HERE / file).read_bytes() for file in files)).hexdigest()[:16]


@cache
def cache_folder() -> Path:
    """Where what takes long to build is kept, from one run to the next if there is a home."""
    home = os.environ.get("XDG_CACHE_HOME") or ("HOME" in os.environ and "~/.cache")
    if not home:
        return Path(tempfile.mkdtemp(prefix="orders-test-clients-"))
    folder = Path(home).expanduser() / "orders-test-clients"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
