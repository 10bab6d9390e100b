"""Ended spans on their way to a collector. Whatever the collector does, no request waits for it."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from typing import Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from orders.entrypoints.observability import metrics

SPANS_AT_MOST: Final = 4_096
"""That wait; the newest are dropped."""
BATCH: Final = 256
"""Spans of one export: few, since encoding them holds up the event loop."""
PAUSE_SECONDS: Final = 1.0
"""Until a batch that is not full leaves."""
TROUBLE_SECONDS: Final = 5.0
"""Before the next try after one that came to nothing."""
CLOSE_SECONDS: Final = 2.0
"""For what is left at the end."""

_log: Final = logging.getLogger(__name__)
# It tells of every try, with the collector's address and answer. We tell once.
logging.getLogger("opentelemetry.exporter.otlp.proto.http").setLevel(logging.CRITICAL)


class SpanQueue(SpanProcessor):
    """Takes ended spans without waiting, and exports them from a thread.

    The SDK's own processor logs what it drops and does not count it, and may take half a minute
    to end.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._waiting: deque[ReadableSpan] = deque()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._works = True
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
        self._thread.start()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """A span has begun."""

    def on_end(self, span: ReadableSpan) -> None:
        """A span has ended: it leaves soon, or is dropped. After the end it is forgotten."""
        waiting = self._waiting
        if self._closing.is_set():
            return
        if len(waiting) >= SPANS_AT_MOST:
            metrics.count_spans_dropped("queue-full", 1)
            return
        waiting.append(span)
        if len(waiting) == BATCH:
            self._wake.set()

    async def close(self) -> None:
        """Export what is left, within `CLOSE_SECONDS`. What is not by then is lost."""
        self._closing.set()
        self._wake.set()
        await asyncio.to_thread(self._thread.join, CLOSE_SECONDS)
        if self._thread.is_alive():
            metrics.count_spans_dropped("not-exported", len(self._waiting))
            self._waiting.clear()
        self._exporter.shutdown()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.wait(PAUSE_SECONDS)
            self._wake.clear()
            if not self._export_all():
                self._closing.wait(TROUBLE_SECONDS)
        self._export_all()

    def _export_all(self) -> bool:
        """Export until nothing waits; False once the collector does not take a batch."""
        while batch := self._next():
            works = self._exporter.export(batch) is SpanExportResult.SUCCESS
            if works:
                metrics.count_spans_exported(len(batch))
            else:
                metrics.count_spans_dropped("not-exported", len(batch))
            self._tell(works=works)
            if not works:
                return False
        return True

    def _next(self) -> list[ReadableSpan]:
        waiting = self._waiting
        return [waiting.popleft() for _ in range(min(BATCH, len(waiting)))]

    def _tell(self, *, works: bool) -> None:
        """Log a change for the worse, and for the better; not every batch."""
        if works != self._works:
            self._works = works
            if works:
                _log.info("the collector takes spans again")
            else:
                _log.warning("the collector takes no spans: they are dropped")
