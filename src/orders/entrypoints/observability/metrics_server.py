"""/metrics on a separate port: of one process, or of a parent process for all its children."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from prometheus_client import CollectorRegistry

_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
_log = logging.getLogger(__name__)


@contextmanager
def metrics_of_children(host: str, port: int) -> Iterator[None]:
    """Serve the metrics of all processes that are forked inside. Port 0 turns it off.

    They write to files in a private directory, which is removed at the end. Enter it before
    anything imports `metrics`: prometheus_client chooses the storage when it is imported.
    """
    if not port:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="orders-metrics-") as folder:
        os.environ[_DIRECTORY] = folder
        try:
            with _served(host, port, _registry_of(Path(folder))):
                yield
        finally:
            del os.environ[_DIRECTORY]


@contextmanager
def metrics_of_this_process(host: str, port: int) -> Iterator[None]:
    """Serve the metrics of this process, with its CPU and memory. Port 0 turns it off."""
    if not port:
        yield
        return
    from prometheus_client import ProcessCollector  # noqa: PLC0415  # chooses the storage

    from orders.entrypoints.observability.metrics import REGISTRY  # noqa: PLC0415

    ProcessCollector(registry=REGISTRY)
    with _served(host, port, REGISTRY):
        yield


def _registry_of(folder: Path) -> CollectorRegistry:
    from prometheus_client import CollectorRegistry, Metric  # noqa: PLC0415
    from prometheus_client.multiprocess import MultiProcessCollector  # noqa: PLC0415

    class LiveChildren(MultiProcessCollector):
        """Leaves out the gauges of children that have ended."""

        def collect(self) -> list[Metric]:
            for file in folder.glob("gauge_live*_*.db"):
                if not Path("/proc", file.stem.rpartition("_")[2]).exists():
                    file.unlink(missing_ok=True)
            return list(super().collect())  # type: ignore[no-untyped-call]

    registry = CollectorRegistry()
    LiveChildren(registry, path=str(folder))  # type: ignore[no-untyped-call]
    return registry


@contextmanager
def _served(host: str, port: int, registry: CollectorRegistry) -> Iterator[None]:
    """Serve a registry from a thread. If the port is in use, log it and go on without metrics."""
    from prometheus_client import start_http_server  # noqa: PLC0415

    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        _log.warning("no /metrics: port %d on %s: %s", port, host, error.strerror)
        yield
        return
    server.set_app(_with_head(cast("WSGIApplication", server.get_app())))
    # A forked child would keep the port open when its parent has ended.
    os.register_at_fork(after_in_child=lambda: _close(server.socket.fileno()))
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _with_head(app: WSGIApplication) -> WSGIApplication:
    """Serve HEAD as GET, without the body. prometheus_client responds with 405."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        is_head = environ["REQUEST_METHOD"] == "HEAD"
        started: list[Any] = []
        asked = {**environ, "REQUEST_METHOD": "GET"} if is_head else environ
        body = list(app(asked, lambda *head: started.extend(head)))  # type: ignore[arg-type]
        headers = {**dict(started[1]), "Content-Length": str(sum(map(len, body)))}
        if "Allow" in headers:
            headers["Allow"] = "GET, HEAD, OPTIONS"
        start_response(started[0], [*headers.items()])
        return [] if is_head else body

    return answer


def _close(descriptor: int) -> None:
    with suppress(OSError):
        os.close(descriptor)
