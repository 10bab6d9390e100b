"""Files that settings name. No problem with one shows its path or what it holds."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Final

from orders.entrypoints.settings.kinds import Unusable

_PEM_BYTES: Final = 4_194_304
"""All certificate authorities of a system have 0.3 MB."""


def read_file(path: str, *, limit: int) -> bytes:
    """Return what a regular file holds, such as a mounted secret.

    Raises:
        Unusable: If there is no such file, it cannot be read, or it has more than `limit` bytes.
    """
    try:
        # Opening a pipe waits until somebody writes to it.
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise Unusable("it is not a regular file")
        with Path(path).open("rb") as file:
            content = file.read(limit + 1)
    except FileNotFoundError:
        raise Unusable("there is no such file") from None
    except PermissionError:
        raise Unusable("this process may not read the file") from None
    except OSError:
        raise Unusable("the file cannot be read") from None
    if len(content) > limit:
        raise Unusable(f"the file has more than {limit} bytes")
    return content


def read_pem(path: str) -> bytes:
    """Return what a file with certificates or a key holds; see `read_file`."""
    return read_file(path, limit=_PEM_BYTES)
