"""Ended spans leave in batches, from a thread. No request waits for the collector.

OpenTelemetry's `BatchSpanProcessor` keeps the queue and the thread. We count what it exports and
drops, and end it within `CLOSE_SECONDS`: its own `shutdown` may wait for half a minute.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence
from typing import Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from orders.entrypoints.observability import metrics

MAX_WAITING_SPANS: Final = 4_096
"""More than these are dropped, the newest first."""
BATCH: Final = 256
"""Spans of one export: few, since encoding them holds up the event loop."""
DELAY_SECONDS: Final = 1.0
"""Until a batch that is not full leaves."""
CLOSE_SECONDS: Final = 2.0
"""For the spans that are left when the process ends."""

_log: Final = logging.getLogger(__name__)
# The exporter logs every try, with the address and the answer of the collector. We log changes.
logging.getLogger("opentelemetry.exporter.otlp.proto.http").setLevel(logging.CRITICAL)


class CountedBatches(SpanProcessor):
    """A `BatchSpanProcessor` whose exported and dropped spans are in our metrics."""

    def __init__(self, exporter: SpanExporter) -> None:
        # It never has more to hold than it can, so it drops nothing without our knowledge.
        self._room = threading.Semaphore(MAX_WAITING_SPANS)
        self._exporter = _CountedExporter(exporter, self._room)
        self._batches = BatchSpanProcessor(
            self._exporter,
            max_queue_size=MAX_WAITING_SPANS,
            schedule_delay_millis=DELAY_SECONDS * 1_000,
            max_export_batch_size=BATCH,
        )
        self._ending = threading.Thread(target=self._batches.shutdown, name="spans", daemon=True)

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Do nothing."""

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span, or drop it if too many wait. Returns at once."""
        if self._room.acquire(blocking=False):
            self._batches.on_end(span)
        else:
            metrics.count_spans_dropped("queue-full", 1)

    async def close(self) -> None:
        """Export what is left, within `CLOSE_SECONDS`. What is still left then is dropped."""
        self._ending.start()
        await asyncio.to_thread(self._ending.join, CLOSE_SECONDS)
        if self._ending.is_alive():
            metrics.count_spans_dropped("not-exported", self._exporter.give_up())


class _CountedExporter(SpanExporter):
    """Counts what another exporter exports. `room` has a place for each span that may wait."""

    def __init__(self, exporter: SpanExporter, room: threading.Semaphore) -> None:
        self._exporter = exporter
        self._room = room
        self._works = True
        self._has_given_up = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export a batch. An exporter that raises has dropped it, and is asked again."""
        if self._has_given_up:
            return SpanExportResult.FAILURE
        self._room.release(len(spans))
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        finally:
            self._count(len(spans), works=result is SpanExportResult.SUCCESS)
        return result

    def _count(self, spans: int, *, works: bool) -> None:
        """Count a batch. Log a change for the worse or for the better, not every batch."""
        if works:
            metrics.SPANS_EXPORTED.inc(spans)
        else:
            metrics.count_spans_dropped("not-exported", spans)
        if works != self._works:
            self._works = works
            if works:
                _log.info("the collector takes spans again")
            else:
                _log.warning("the collector takes no spans: they are dropped")

    def give_up(self) -> int:
        """Export nothing more. Returns how many spans still wait."""
        self._has_given_up = True
        self._exporter.shutdown()
        waiting = MAX_WAITING_SPANS
        while self._room.acquire(blocking=False):
            waiting -= 1
        return waiting

    def shutdown(self) -> None:
        """End the exporter."""
        if not self._has_given_up:
            self._exporter.shutdown()
