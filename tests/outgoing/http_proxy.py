"""An HTTP proxy on loopback: CONNECT for https, whole URLs for http; it can demand a password."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class HttpProxy:
    """What it was asked. Every host is this machine to it; a name needs no DNS."""

    url: str = ""
    credential: str | None = None
    """`name:password`; without the right one it answers 407."""
    refuses: int | None = None
    """A status that it answers everything with."""
    requests: list[str] = field(default_factory=list)
    """Method and target of each."""
    heads: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection with one request."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            method, target, _ = head.split("\r\n")[0].split(" ")
            self.requests.append(f"{method} {target}")
            self.heads.append(head)
            status = self.refuses or (None if self._may(head) else 407)
            if status is not None:
                writer.write(f"HTTP/1.1 {status} No\r\ncontent-length: 0\r\n\r\n".encode())
                await writer.drain()
                return
            await self._pass_on(method, target, head, (reader, writer))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # whoever asked has gone
        finally:
            writer.close()

    def _may(self, head: str) -> bool:
        if self.credential is None:
            return True
        encoded = base64.b64encode(self.credential.encode()).decode()
        return f"proxy-authorization: basic {encoded}".lower() in head.lower()

    async def _pass_on(
        self,
        method: str,
        target: str,
        head: str,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        port = urlsplit(f"//{target}" if method == "CONNECT" else target).port
        server = await asyncio.open_connection("127.0.0.1", port)
        if method == "CONNECT":
            client[1].write(b"HTTP/1.1 200 Connected\r\n\r\n")
        else:
            path = urlsplit(target)._replace(scheme="", netloc="").geturl()
            server[1].write(head.replace(target, path, 1).encode("latin-1"))
        await asyncio.gather(pump(client[0], server[1]), pump(server[0], client[1]))


async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Pass on what comes, to the end."""
    with suppress(ConnectionError):
        while part := await source.read(65_536):
            sink.write(part)
            await sink.drain()
    with suppress(OSError, RuntimeError):
        sink.close()


@asynccontextmanager
async def http_proxy(*, credential: str | None = None) -> AsyncIterator[HttpProxy]:
    """A proxy that listens, until the block is left."""
    proxy = HttpProxy(credential=credential)
    tasks: set[asyncio.Task[None]] = set()

    def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.ensure_future(proxy.serve(reader, writer)))

    server = await asyncio.start_server(served, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
