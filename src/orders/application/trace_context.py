"""The port that names the trace that work belongs to; `ports` has them all."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Final, Protocol

from orders.application.event_ports import LoggedEvent


class TraceContext(Protocol):
    """The W3C trace context of the work in progress.

    A store keeps it with each event, as the event's cause. A publisher sends it with each message.
    A `traceparent` is the header of that name, such as `00-<trace id>-<span id>-01`.
    """

    def current(self) -> str | None:
        """The traceparent of the work in progress; None if it belongs to no trace."""
        ...

    def delivering(
        self, event: LoggedEvent, *, broker: str, destination: str
    ) -> AbstractContextManager[str | None]:
        """Send an event within this context manager. It gives the traceparent of the message.

        The message belongs to the trace of the event's cause, or to none if the event has none.
        Afterwards `current` is what it was before. An exception passes through.
        """
        ...


class Untraced:
    """`TraceContext` of a process that takes part in no trace."""

    def current(self) -> str | None:
        """None."""
        return None

    def delivering(
        self,
        event: LoggedEvent,
        *,
        broker: str,  # noqa: ARG002 - the port's
        destination: str,  # noqa: ARG002 - the port's
    ) -> AbstractContextManager[str | None]:
        """The message carries the trace context of the event's cause."""
        return nullcontext(event.traceparent)


UNTRACED: Final = Untraced()
