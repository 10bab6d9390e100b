"""A collector of our own: takes OTLP over HTTP on loopback, and keeps what it got."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

PATIENCE_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A span as it came; ids in hex, `parent` empty for a first one."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent: str
    attributes: dict[str, Any]
    links: Sequence[str] = ()
    """Trace ids."""
    is_error: bool = False
    service: str = ""


@dataclass
class OtlpReceiver:
    """What was received. It can be told to hang, which holds every export until `answer`."""

    url: str = ""
    spans: list[Received] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    paths: set[str] = field(default_factory=set)
    headers: list[dict[str, str]] = field(default_factory=list)
    """Of each export, with names in lower case."""
    resources: list[dict[str, Any]] = field(default_factory=list)
    hung: int = 0
    """Exports that came while it hung."""
    _news: threading.Condition = field(default_factory=threading.Condition)
    _answering: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._answering.set()

    def hang(self) -> None:
        """Answer nothing, with all connections left open."""
        self._answering.clear()

    def answer(self) -> None:
        """Answer again, what waits too."""
        self._answering.set()

    def take(self, path: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Keep an export."""
        if not self._answering.is_set():
            with self._news:
                self.hung += 1
                self._news.notify_all()
            self._answering.wait(PATIENCE_SECONDS)
        request = ExportTraceServiceRequest.FromString(body)
        with self._news:
            self.paths.add(path)
            self.headers.append({name.lower(): value for name, value in headers.items()})
            self.resources += [_attributes(each.resource) for each in request.resource_spans]
            self.raw.append(body)
            self.spans += _spans_in(request)
            self._news.notify_all()

    def wait_for(self, holds: Callable[[OtlpReceiver], bool]) -> None:
        """Return once it holds."""
        with self._news:
            held = self._news.wait_for(lambda: holds(self), PATIENCE_SECONDS)
        assert held, sorted({each.name for each in self.spans})

    def trace(self, trace_id: str) -> list[Received]:
        """The spans of a trace."""
        return [each for each in self.spans if each.trace_id == trace_id]


@contextmanager
def otlp_receiver(tls: ssl.SSLContext | None = None) -> Iterator[OtlpReceiver]:
    """A receiver that listens, until the block is left."""
    receiver = OtlpReceiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.take(self.path, body, dict(self.headers))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Whoever exported has gone: it gave up."""

    with Server(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        scheme = "http" if tls is None else "https"
        receiver.url = f"{scheme}://127.0.0.1:{server.server_address[1]}"
        try:
            yield receiver
        finally:
            receiver.answer()
            server.shutdown()
            thread.join()


def _spans_in(request: ExportTraceServiceRequest) -> Iterator[Received]:
    for resource in request.resource_spans:
        service = _attributes(resource.resource)
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Received(
                    name=span.name,
                    kind=span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent=span.parent_span_id.hex(),
                    attributes={each.key: _value(each.value) for each in span.attributes},
                    links=[each.trace_id.hex() for each in span.links],
                    is_error=span.status.code == span.status.STATUS_CODE_ERROR,
                    service=str(service["service.name"]),
                )


def _attributes(resource: Resource) -> dict[str, Any]:
    return {each.key: _value(each.value) for each in resource.attributes}


def _value(value: AnyValue) -> Any:
    return getattr(value, value.WhichOneof("value") or "string_value")
