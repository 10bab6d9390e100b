"""Resolve `pyproject.toml` into the hashed locks, which name no host and suit every platform."""

import re
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


def main() -> None:
    """Write the locks; arguments such as `--upgrade` go to the resolver."""
    requirements = Path("requirements")
    extra = sys.argv[1:]
    resolve(
        "pyproject.toml",
        "--all-extras",
        "--no-emit-package=orders",
        *extra,
        output=requirements / "dev.lock",
    )
    resolve("--group=tools", *extra, output=requirements / "tools.lock")
    installer = re.search(r"^uv==\S+", (requirements / "dev.lock").read_text(), re.MULTILINE)
    if installer is None:
        sys.exit("uv is not among the development requirements")
    resolve("-", output=requirements / "bootstrap.lock", given=installer[0])


def resolve(source: str, *options: str, output: Path, given: str = "") -> None:
    """Compile one lock; `given` is what stands in the source `-`."""
    command = [sys.executable, "-m", "uv", "pip", "compile", source, "-o", str(output)]
    subprocess.run([*command, *OPTIONS, *options], input=given, text=True, check=True)  # noqa: S603


if __name__ == "__main__":
    main()
