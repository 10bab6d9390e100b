"""The API's documentation as a page: Swagger UI from our own address, without inline script."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from litestar import MediaType, Response, Router, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from swagger_ui_bundle import swagger_ui_path  # type: ignore[import-untyped]

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_CACHED: Final = "public, max-age=31536000, immutable"
_START: Final = """\
window.addEventListener("load", () => {{
  SwaggerUIBundle({{
    url: {schema_url},
    dom_id: "#docs",
    deepLinking: true,
    validatorUrl: null,
  }});
}});
"""
_PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Order Service API</title>
<link rel="icon" type="image/png" href="{icon}">
<link rel="stylesheet" href="{style}">
<script src="{bundle}"></script>
<script src="{start}"></script>
</head>
<body><div id="docs"></div></body>
</html>
"""


@dataclass(frozen=True, slots=True)
class _Asset:
    """A file of the page. Its name has its digest, so browsers may cache it without a limit."""

    name: str
    media_type: str
    content: bytes


def docs_router(*, path: str = "/schema/docs", schema_url: str = "/schema/openapi.json") -> Router:
    """Build the page at `path` and its files below it, for the OpenAPI document at `schema_url`."""
    assets = _assets(schema_url)
    by_name = {asset.name: asset for asset in assets.values()}
    page = _PAGE.format_map({role: f"{path}/{asset.name}" for role, asset in assets.items()})

    @get("/", media_type=MediaType.HTML, include_in_schema=False)
    async def docs() -> Response[str]:
        return Response(
            page, media_type=MediaType.HTML, headers={"content-security-policy": _POLICY}
        )

    @get("/{name:str}", include_in_schema=False)
    async def file(name: FromPath[str]) -> Response[bytes]:
        asset = by_name.get(name)
        if asset is None:
            raise NotFoundException
        return Response(
            asset.content, media_type=asset.media_type, headers={"cache-control": _CACHED}
        )

    return Router(path, route_handlers=[docs, file])


def _assets(schema_url: str) -> Mapping[str, _Asset]:
    start = _START.format(schema_url=json.dumps(schema_url)).encode()
    bundled = {
        "icon": ("favicon-32x32.png", "image/png"),
        "style": ("swagger-ui.css", "text/css; charset=utf-8"),
        "bundle": ("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    }
    assets = {
        role: _asset(name, media_type, (swagger_ui_path / name).read_bytes())
        for role, (name, media_type) in bundled.items()
    }
    return {**assets, "start": _asset("start.js", "text/javascript; charset=utf-8", start)}


def _asset(name: str, media_type: str, content: bytes) -> _Asset:
    stem, _, suffix = name.rpartition(".")
    digest = hashlib.sha256(content).hexdigest()[:16]
    return _Asset(f"{stem}-{digest}.{suffix}", media_type, content)
