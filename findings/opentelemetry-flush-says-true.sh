#!/bin/sh
# OpenTelemetry SDK for Python 1.45.2 (BatchSpanProcessor, OTLP over HTTP): force_flush takes a
# limit and returns whether it succeeded. It does not keep the limit, and returns True when all is
# lost.
#
# Behaviour: the documentation of force_flush says "False if the timeout is exceeded, True
# otherwise". BatchSpanProcessor ignores the limit, waits for the exporter and its retries, and
# drops the exporter's result. The only False it gives is for a processor that was shut down.
#
# Seen, for TracerProvider.force_flush(500), one span waiting:
#   the collector stores it at once        True   0.1 s
#   the collector takes 2 s for it         True   2.0 s
#   the collector refuses it (400)         True   0.1 s
#   there is no collector                  True   5 s or more, at most 10 s
#
# Why it matters: a function that flushes before it is frozen, or a service that flushes when it
# stops, can be ended in the middle because the limit of half a second was 10 seconds. A check of
# the result cannot report that spans are missing.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    opentelemetry-sdk==1.45.2 opentelemetry-exporter-otlp-proto-http==1.45.2
"$folder/venv/bin/python" - <<'PYTHON'
import inspect
import logging
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

LIMIT = 0.5
STORES, SLOW, REFUSES, ABSENT = "stores at once", "takes 2 s", "refuses (400)", "absent"
EXPECTED = {STORES: True, SLOW: False, REFUSES: False, ABSENT: False}
logging.disable(logging.CRITICAL)


class Collector(BaseHTTPRequestHandler):
    mode = STORES
    stored = 0

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        time.sleep(2 if Collector.mode == SLOW else 0)
        Collector.stored += Collector.mode != REFUSES
        self.send_response(400 if Collector.mode == REFUSES else 200)
        self.end_headers()

    def log_message(self, *_):
        pass


def flushed(mode, port):
    """The result, how long it took, and how many spans the collector has afterwards."""
    Collector.mode, Collector.stored = mode, 0
    exporter = OTLPSpanExporter(f"http://127.0.0.1:{port}/v1/traces")
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=60_000))
    provider.get_tracer("shop").start_span("order").end()
    start = time.monotonic()
    result = provider.force_flush(int(LIMIT * 1000))
    took = time.monotonic() - start
    provider.shutdown()
    return result, took, Collector.stored


server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
threading.Thread(target=server.serve_forever, daemon=True).start()
with socket.socket() as nobody:
    nobody.bind(("127.0.0.1", 0))  # bound, so that nobody else listens there
    ports = dict.fromkeys(EXPECTED, server.server_port) | {ABSENT: nobody.getsockname()[1]}
    seen = {mode: flushed(mode, port) for mode, port in ports.items()}

print("opentelemetry-sdk", version("opentelemetry-sdk"))
print("documentation of force_flush:", *inspect.getdoc(SpanProcessor.force_flush).split())
for mode, (result, took, stored) in seen.items():
    print(
        f"collector {mode:14} expected {EXPECTED[mode]!s:5} within {LIMIT} s, "
        f"seen {result} after {took:.1f} s, {stored} spans stored"
    )
sys.exit(
    not all(result for result, _, _ in seen.values())
    or [stored for _, _, stored in seen.values()] != [1, 1, 0, 0]
    or seen[SLOW][1] < 1.9
    or seen[ABSENT][1] < 2
)
PYTHON
