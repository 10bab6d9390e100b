"""Make the root of an image: an environment, its interpreter, and the libraries that they load.

    python3 root_of.py ENVIRONMENT ROOT

Runs while the image is built, on Debian. Package names and versions are kept where scanners look.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

UID = 10001
DATA = ("/etc/ssl/certs/ca-certificates.crt", "/etc/localtime", "/usr/share/zoneinfo/UTC")
UNUSED = {
    "__pycache__", "dist-packages", "ensurepip", "idlelib", "lib2to3", "pydoc_data",
    "site-packages", "test", "tkinter", "turtledemo", "venv",
}  # fmt: skip
"""Parts of the standard library that a server does not need."""


def main(environment: Path, root: Path) -> None:
    """Fill `root`, which must not exist yet."""
    interpreter = (environment / "bin" / "python").resolve()
    library = Path(sysconfig.get_path("stdlib"))
    make_frame(root)
    copy_tree(environment, root, without={"activate*", "deactivate*", "*.bat", ".lock"})
    copy_tree(library, root, without=UNUSED)
    # The image is read-only: modules that are not compiled now would be compiled at every start.
    compiled = ["-m", "compileall", "-q", "-s", str(root), "--invalidation-mode", "unchecked-hash"]
    run(sys.executable, *compiled, str(under(root, library)))
    copy(interpreter, root)
    link = environment / "bin" / "python"
    while link.is_symlink():  # follow the links as the interpreter does
        if not under(root, link).is_symlink():
            under(root, link).parent.mkdir(parents=True, exist_ok=True)
            under(root, link).symlink_to(link.readlink())
        link = link.parent / link.readlink()
    for data in map(Path, DATA):
        if data.exists():
            copy(data, root)
    libraries = set(needed(binaries([interpreter, environment, library])))
    for each in libraries:
        copy(each, root)
    name_packages(root, libraries | {interpreter})


def make_frame(root: Path) -> None:
    """The directories and names that every process expects."""
    root.mkdir(parents=True)
    # As in Debian: the loader's path is /lib64/..., the files are below /usr.
    for name in ("bin", "lib", "lib64"):
        if (at := Path("/", name)).is_symlink():
            (root / name).symlink_to(at.readlink())
            (root / at.readlink()).mkdir(parents=True, exist_ok=True)
    (root / "etc").mkdir()
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)
    (root / "etc/passwd").write_text(f"orders:x:{UID}:{UID}::/tmp:/\n")
    (root / "etc/group").write_text(f"orders:x:{UID}:\n")
    (root / "etc/nsswitch.conf").write_text("hosts: files dns\n")


def under(root: Path, path: Path) -> Path:
    """The path in the image of a path on this machine."""
    return root / path.relative_to("/")


def copy(path: Path, root: Path) -> None:
    """Copy one file, or the target of a link."""
    target = under(root, path)
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        shutil.copy2(path, target)


def copy_tree(path: Path, root: Path, without: Iterable[str] = ()) -> None:
    """Copy a directory and keep its links."""
    ignored = shutil.ignore_patterns(*without)
    shutil.copytree(path, under(root, path), symlinks=True, ignore=ignored, dirs_exist_ok=True)


def binaries(places: Iterable[Path]) -> Iterator[Path]:
    """The files that the loader may have to load."""
    for place in places:
        yield from [place] if place.is_file() else place.rglob("*.so*")


def needed(files: Iterable[Path]) -> Iterator[Path]:
    """The system's shared libraries that the files load, directly or indirectly."""
    for file in files:
        listed = run("ldd", str(file), must=False)
        for library in re.findall(r"(?:=> |^\s+)(/\S+) \(0x", listed, re.MULTILINE):
            if not library.startswith("/opt/"):
                yield Path(library)
    # glibc loads these by name at run time to resolve host names.
    for pattern in ("libnss_dns.so.2", "libnss_files.so.2"):
        yield from Path("/lib").glob(f"*/{pattern}")


def name_packages(root: Path, files: Iterable[Path]) -> None:
    """List the Debian packages for scanners, as images without dpkg do."""
    folder = root / "var/lib/dpkg/status.d"
    folder.mkdir(parents=True)
    for package in sorted({owner for file in files for owner in owners(file)}):
        (folder / package).write_text(run("dpkg", "--status", package))


def owners(file: Path) -> set[str]:
    """The packages that a file belongs to; none if no package contains it."""
    resolved = file.resolve()
    for name in (resolved, Path("/", *resolved.parts[2:])):  # /usr/lib is also known as /lib
        if found := run("dpkg", "--search", str(name), must=False):
            return {line.partition(":")[0] for line in found.splitlines()}
    return set()


def run(*command: str, must: bool = True) -> str:
    """The output of a command. Raises if it fails, unless `must` is false."""
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=must).stdout  # noqa: S603


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
