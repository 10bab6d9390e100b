"""Is it alive, and should it be sent requests."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

from litestar import Response, get
from litestar.di import NamedDependency
from msgspec import Struct

TAGS: Final = ["Operation"]
PATHS: Final = ("/livez", "/readyz")


class Health(Struct, frozen=True):
    """`status` is ok, draining or unavailable."""

    status: str


class Readiness:
    """Whether requests should come here: not while draining, nor without the orders' store."""

    def __init__(
        self, is_draining: Callable[[], bool], can_serve: Callable[[], Awaitable[bool]]
    ) -> None:
        self.is_draining = is_draining
        self._can_serve = can_serve

    async def status(self) -> str:
        """Ok, draining or unavailable. Takes at most as long as a look at the store may."""
        if self.is_draining():
            return "draining"
        return "ok" if await self._can_serve() else "unavailable"


@get(
    "/livez", operation_id="livez", summary="Liveness: does the process run", tags=TAGS, security=[]
)
async def livez() -> Health:
    """Answers as long as the event loop turns, whatever else is down."""
    return Health("ok")


@get(
    "/readyz",
    operation_id="readyz",
    summary="Readiness: should the process get requests",
    tags=TAGS,
    security=[],
)
async def readyz(
    readiness: NamedDependency[Readiness],
) -> Response[Health]:
    """200, or 503 while draining or without the orders' store."""
    status = await readiness.status()
    code = HTTPStatus.OK if status == "ok" else HTTPStatus.SERVICE_UNAVAILABLE
    return Response(Health(status), status_code=code)


HEALTH_HANDLERS: Final = (livez, readyz)
