"""The documentation page runs from our own address, under its own policy, without inline code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
from litestar import Litestar, get
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.testing import TestClient

from orders.entrypoints.http.middleware.response_headers import ResponseHeaders
from orders.entrypoints.http.middleware.strict_requests import StrictRequests
from orders.entrypoints.http.problems import EXCEPTION_HANDLERS
from orders.entrypoints.http.routes.docs_ui import docs_router


@get("/orders")
async def orders() -> list[str]:
    return []


def docs_app() -> Litestar:
    return Litestar(
        [orders, docs_router()],
        plugins=[StrictRequests()],
        before_send=[ResponseHeaders()],
        exception_handlers=EXCEPTION_HANDLERS,
        openapi_config=OpenAPIConfig(
            title="Order Service", version="1", render_plugins=[JsonRenderPlugin()]
        ),
        logging_config=None,
    )


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient[Litestar]]:
    with TestClient(docs_app()) as client:
        yield client


class Page(HTMLParser):
    """Collects what a page loads, and fails on anything a strict policy would block."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        assert "style" not in given
        assert not [name for name in given if name.startswith("on")]
        assert tag not in {"style", "base", "form", "iframe"}
        self._inside = tag
        if tag in {"script", "link", "img"}:
            address = given.get("src") or given.get("href")
            assert address, "inline"
            self.loads.append(address)

    def handle_data(self, data: str) -> None:
        assert self._inside != "script" or not data.strip()


def test_the_page_loads_everything_from_here_and_runs_nothing_inline(
    client: TestClient[Litestar],
) -> None:
    page = client.get("/schema/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-store, no-transform"
    policy = page.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "style-src 'self';" in policy
    assert "unsafe" not in policy
    loads = Page(page.text).loads
    assert len(loads) == 4
    for address in loads:
        asset = client.get(address)
        assert asset.status_code == 200
        assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert asset.headers["x-content-type-options"] == "nosniff"
        assert re.search(r"-[0-9a-f]{16}\.(js|css|png)\Z", address)


def test_the_page_reads_the_published_document(client: TestClient[Litestar]) -> None:
    [start] = [a for a in Page(client.get("/schema/docs").text).loads if "/start-" in a]
    address = re.search(r'url: "(.*)"', client.get(start).text)
    assert address
    document = client.get(address[1])
    assert document.json()["openapi"].startswith("3.1")
    assert list(document.json()["paths"]) == ["/orders"]


@pytest.mark.parametrize("name", ["nothing.js", "swagger-ui.css", "..%2f__init__.py", "%00"])
def test_there_is_no_other_file(client: TestClient[Litestar], name: str) -> None:
    assert client.get(f"/schema/docs/{name}").status_code == 404
