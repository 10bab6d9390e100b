"""Resolve `pyproject.toml` into the hashed locks, which name no host and suit every platform.

`dev.lock` is everything, `service.lock` what the container image runs, `tools.lock` what checks the
infrastructure, `clients.lock` what generates a client, `consumers.lock` what a consumer of the
events uses, and `bootstrap.lock` what installs the others and builds the package.
"""

import subprocess
import sys
from pathlib import Path

OPTIONS = [
    "--universal",
    "--python-version=3.11",
    "--generate-hashes",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--no-header",
    "--no-annotate",
    "--quiet",
]


LOCKS = Path("requirements")
RUNTIME = ("service", "graphql", "rabbitmq", "kafka", "redis")
TOOLS = ("uv", "hatchling")


def main() -> None:
    """Write all locks; arguments such as `--upgrade` go to the resolver of the first."""
    everything = LOCKS / "dev.lock"
    project = ("pyproject.toml", "--no-emit-package=orders")
    resolve(*project, "--all-extras", *sys.argv[1:], output=everything)
    # The same versions as are tested.
    same = f"--constraints={everything}"
    extras = [f"--extra={extra}" for extra in RUNTIME]
    resolve(*project, *extras, same, output=LOCKS / "service.lock")
    resolve("--group=tools", *sys.argv[1:], output=LOCKS / "tools.lock")
    for group in ("clients", "consumers"):
        resolve(f"--group={group}", *sys.argv[1:], output=LOCKS / f"{group}.lock")
    resolve("-", same, output=LOCKS / "bootstrap.lock", given="\n".join(TOOLS))


def resolve(source: str, *options: str, output: Path, given: str = "") -> None:
    """Compile one lock; `given` is the content of the source `-`."""
    command = [sys.executable, "-m", "uv", "pip", "compile", source, "-o", str(output)]
    subprocess.run([*command, *OPTIONS, *options], input=given, text=True, check=True)  # noqa: S603


if __name__ == "__main__":
    main()
