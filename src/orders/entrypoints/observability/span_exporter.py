"""Records spans and exports them: OTLP over HTTP, from a thread with a bounded queue."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib import metadata
from typing import Final

import requests
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import Link, SpanKind
from opentelemetry.trace.span import TraceState
from opentelemetry.util.types import Attributes

from orders.entrypoints.observability.span_batches import CountedBatches
from orders.entrypoints.settings.table import Settings

_EXPORT_SECONDS: Final = 5.0


@asynccontextmanager
async def recording_spans(settings: Settings) -> AsyncIterator[None]:
    """Record and export spans for as long as this is open; nothing without a collector.

    Once a process: OpenTelemetry keeps one provider.
    """
    if settings.otlp_endpoint is None:
        yield
        return
    batches = CountedBatches(exporter_of(settings))
    provider = provider_of(batches, ratio=settings.trace_ratio)
    trace.set_tracer_provider(provider)
    try:
        yield
    finally:
        await batches.close()


def exporter_of(settings: Settings) -> OTLPSpanExporter:
    """Return an exporter by our settings, where OpenTelemetry's own variables say nothing."""
    url = settings.otlp_endpoint or ""
    proxy = settings.proxy_for(url)
    session = requests.Session()
    session.trust_env = False  # it would read passwords from .netrc
    session.proxies = {"http": proxy, "https": proxy} if proxy else {}
    cert_file, key_file = settings.client_cert_file, settings.client_key_file
    if _is_set("CLIENT_CERTIFICATE"):
        cert_file = key_file = None
    return OTLPSpanExporter(
        url,
        certificate_file=None if _is_set("CERTIFICATE") else settings.ca_file,
        client_certificate_file=cert_file,
        client_key_file=key_file,
        timeout=None if _is_set("TIMEOUT") else _EXPORT_SECONDS,
        session=session,
    )


def _is_set(name: str) -> bool:
    """Whether OpenTelemetry's variable says it. None as an argument lets the SDK read it."""
    kinds = ("OTEL_EXPORTER_OTLP_", "OTEL_EXPORTER_OTLP_TRACES_")
    return any(os.environ.get(kind + name) for kind in kinds)


def provider_of(ended: SpanProcessor, *, ratio: float) -> TracerProvider:
    """Return a provider that records `ratio` of the traces that start here."""
    ours = {"service.name": "orders", "service.version": metadata.version("orders")}
    stated = OTELResourceDetector().detect().attributes
    resource = Resource.create({name: ours[name] for name in ours if name not in stated})
    provider = TracerProvider(
        sampler=ParentBased(LinkedOrRatio(ratio)), resource=resource, shutdown_on_exit=False
    )
    provider.add_span_processor(ended)
    return provider


class LinkedOrRatio(Sampler):
    """Records a new trace if the linked one is recorded; without a link, a share of the traces."""

    def __init__(self, ratio: float) -> None:
        self._by_ratio = TraceIdRatioBased(ratio)

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Whether a trace that starts here is recorded."""
        sampler: Sampler = self._by_ratio
        if links:
            sampler = ALWAYS_ON if links[0].context.trace_flags.sampled else ALWAYS_OFF
        return sampler.should_sample(
            parent_context, trace_id, name, kind, attributes, links, trace_state
        )

    def get_description(self) -> str:
        """Return a description for the SDK's logs."""
        return f"LinkedOrRatio{{{self._by_ratio.rate}}}"
