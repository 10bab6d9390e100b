"""Spans leave in batches from a bounded queue. Whatever the collector does, nobody waits for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from orders.entrypoints.observability import span_batches
from orders.entrypoints.observability.metrics import REGISTRY
from orders.entrypoints.observability.span_batches import CountedBatches
from orders.entrypoints.observability.span_exporter import provider_of
from orders.entrypoints.server.child_processes import free_ports
from tests.support.observed_api import logged
from tests.support.processes.otlp_receiver import OtlpReceiver, otlp_receiver


@pytest.fixture
def collector() -> Iterator[OtlpReceiver]:
    with otlp_receiver() as receiver:
        yield receiver


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(span_batches, "DELAY_SECONDS", 0.01)


def batches_to(url: str, *, timeout: float = 0.2) -> CountedBatches:
    return CountedBatches(OTLPSpanExporter(f"{url}/v1/traces", timeout=timeout))


def end_spans(batches: CountedBatches, count: int) -> None:
    tracer = provider_of(batches, ratio=1).get_tracer("test")
    for number in range(count):
        tracer.start_span(f"span {number}").end()


class Counts:
    """How much the published numbers have grown since this was made."""

    def __init__(self) -> None:
        self._before = self._now()

    def _now(self) -> dict[str, float]:
        value = REGISTRY.get_sample_value
        return {
            "exported": value("orders_spans_exported_total") or 0,
            **{
                reason: value("orders_spans_dropped_total", {"reason": reason}) or 0
                for reason in ("queue-full", "not-exported")
            },
        }

    @property
    def grown(self) -> dict[str, float]:
        return {name: now - self._before[name] for name, now in self._now().items()}


async def test_all_that_ended_before_the_end_is_exported(collector: OtlpReceiver) -> None:
    counts = Counts()
    batches = batches_to(collector.url, timeout=5)
    end_spans(batches, 1_000)
    await batches.close()
    assert {each.name for each in collector.spans} == {f"span {n}" for n in range(1_000)}
    assert counts.grown == {"exported": 1_000, "queue-full": 0, "not-exported": 0}
    end_spans(batches, 1)
    assert counts.grown["exported"] == 1_000


async def test_a_collector_that_hangs_costs_spans_and_no_time(collector: OtlpReceiver) -> None:
    counts = Counts()
    collector.hang()
    batches = batches_to(collector.url, timeout=60)
    end_spans(batches, 1)
    await asyncio.to_thread(collector.wait_for, lambda it: it.hung == 1)
    # The thread waits for the collector now; this does not.
    end_spans(batches, span_batches.MAX_WAITING_SPANS + 10)
    assert counts.grown == {"exported": 0, "queue-full": 10, "not-exported": 0}
    async with asyncio.timeout(span_batches.CLOSE_SECONDS + 10):
        await batches.close()
    assert counts.grown["not-exported"] == span_batches.MAX_WAITING_SPANS
    collector.answer()
    await asyncio.to_thread(batches._ending.join)
    assert counts.grown == {
        "exported": 1,
        "queue-full": 10,
        "not-exported": span_batches.MAX_WAITING_SPANS,
    }


async def test_a_collector_that_is_not_there_is_told_of_once() -> None:
    counts = Counts()
    (port,) = free_ports(1)
    with logged() as lines:
        exporter = Asked(OTLPSpanExporter(f"http://user:hunter2@127.0.0.1:{port}", timeout=0.2))
        batches = CountedBatches(exporter)
        for _ in range(2):
            end_spans(batches, 5)
            await asyncio.to_thread(exporter.asked.acquire)
        await batches.close()
    assert counts.grown == {"exported": 0, "queue-full": 0, "not-exported": 10}
    (line,) = lines.of(span_batches.__name__)
    assert line["event"] == "the collector takes no spans: they are dropped"
    assert len(lines.text.splitlines()) == 1


async def test_a_collector_that_comes_back_gets_what_ends_from_then_on() -> None:
    memory = InMemorySpanExporter()
    exporter = Asked(memory)
    with logged() as lines:
        batches = CountedBatches(exporter)
        for exporter.exporter in (None, memory):
            end_spans(batches, 1)
            await asyncio.to_thread(exporter.asked.acquire)
        await batches.close()
    assert [line["event"] for line in lines.of(span_batches.__name__)] == [
        "the collector takes no spans: they are dropped",
        "the collector takes spans again",
    ]


async def test_an_exporter_that_raises_has_dropped_its_batch_and_is_asked_again() -> None:
    class Raising(SpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            raise ValueError(spans[0].name)

    counts = Counts()
    exporter = Asked(Raising())
    with logged() as lines:
        batches = CountedBatches(exporter)
        for exporter.exporter in (Raising(), InMemorySpanExporter()):
            end_spans(batches, 1)
            await asyncio.to_thread(exporter.asked.acquire)
        await batches.close()
    assert counts.grown == {"exported": 1, "queue-full": 0, "not-exported": 1}
    assert "span 0" not in lines.text


async def test_spans_that_have_left_make_room_for_others() -> None:
    counts = Counts()
    memory = InMemorySpanExporter()
    batches = CountedBatches(exporter := Asked(memory))
    for times in (1, 2, 3):
        end_spans(batches, span_batches.MAX_WAITING_SPANS)
        while len(memory.get_finished_spans()) < times * span_batches.MAX_WAITING_SPANS:
            await asyncio.to_thread(exporter.asked.acquire)
    await batches.close()
    assert counts.grown["queue-full"] == 0


class Asked(SpanExporter):
    """Tells when it was asked to export. What it exports with can be taken away."""

    def __init__(self, exporter: SpanExporter) -> None:
        self.exporter: SpanExporter | None = exporter
        self.asked = threading.Semaphore(0)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        exporter = self.exporter
        try:
            return exporter.export(spans) if exporter else SpanExportResult.FAILURE
        finally:
            self.asked.release()

    def shutdown(self) -> None:
        pass
