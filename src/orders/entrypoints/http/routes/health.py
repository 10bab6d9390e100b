"""Whether the process is alive, and whether it should be sent requests."""

from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Final

from litestar import Response, get
from litestar.di import NamedDependency
from msgspec import Struct

from orders.application.errors import ApplicationError

TAGS: Final = ["Operation"]
PATHS: Final = ("/livez", "/readyz")


class Health(Struct, frozen=True):
    """`status` is ok, draining or unavailable."""

    status: str


class Readiness:
    """Whether requests should come here: not while draining, nor while a check fails.

    A check raises an `ApplicationError` if what it checks cannot be reached.
    """

    def __init__(
        self, is_draining: Callable[[], bool], checks: Sequence[Callable[[], Awaitable[object]]]
    ) -> None:
        self.is_draining = is_draining
        self._checks = checks

    async def status(self) -> str:
        """`ok`, `draining` or `unavailable`. Takes as long as the checks may take in all."""
        if self.is_draining():
            return "draining"
        try:
            for check in self._checks:
                await check()
        except ApplicationError:
            return "unavailable"
        return "ok"


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
