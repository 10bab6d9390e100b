"""Variables that name files, for programs that read variables only."""

from __future__ import annotations

from collections.abc import MutableMapping

from orders.entrypoints.failures import SettingsError
from orders.entrypoints.settings.environment import read_texts
from orders.entrypoints.settings.table import settings_table


def inline_files(environ: MutableMapping[str, str]) -> None:
    """Replace variables that name files by those with the text.

    Raises:
        SettingsError: If a file cannot be used.
    """
    own = {
        row.name: row.file
        for row in settings_table()
        if row.file and environ.get(row.file, "").strip()
    }
    texts = read_texts({each: environ.get(each, "") for pair in own.items() for each in pair}, own)
    if texts.problems:
        raise SettingsError(texts.problems)
    for name, file in own.items():
        environ[name] = texts.by_name[name]
        del environ[file]
