"""Failures that are told to the person at the screen: as lines, without a traceback."""


class CommandFailed(Exception):
    """A command could not do its work; the message says what to do about it."""

    exit_code = 1
