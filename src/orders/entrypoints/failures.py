"""Failures that a command prints as lines, without a traceback."""

from collections.abc import Iterable


class CommandFailed(Exception):
    """A command failed; the message says what to do about it."""

    exit_code = 1


class SettingsError(CommandFailed):
    """Settings are missing or wrong. `problems` names each and what to do, and shows no value."""

    exit_code = 2

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))
