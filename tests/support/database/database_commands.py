"""What a call costs: the commands that it sends to the database."""

from __future__ import annotations

from pymongo.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
)


class RoundTrips(CommandListener):
    """The commands that were sent for the calls under test."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def started(self, event: CommandStartedEvent) -> None:
        # What the driver says to a server with sessions when it closes is no part of a call.
        if event.command_name != "endSessions":
            self.sent.append(event.command_name)

    def succeeded(self, event: CommandSucceededEvent) -> None: ...

    def failed(self, event: CommandFailedEvent) -> None: ...
