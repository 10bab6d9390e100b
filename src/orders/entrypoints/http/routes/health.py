"""Whether the process is alive, and whether it should be sent requests."""

from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Final

from litestar import get
from litestar.di import NamedDependency
from msgspec import Struct

from orders.entrypoints.http.problems import RETRY_AFTER_SECONDS, RequestRefused

TAGS: Final = ["Operation"]
PATHS: Final = ("/livez", "/readyz")


class Health(Struct, frozen=True):
    """`status` is ok: a probe that fails responds with a problem instead."""

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

    async def require(self) -> None:
        """Takes as long as the checks may take in all.

        Raises:
            RequestRefused: 503 while the process drains.
            ApplicationError: 503 if a check fails.
        """
        if self.is_draining():
            raise RequestRefused(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "draining",
                "The process is about to end. Send requests to another replica.",
                headers={"retry-after": str(RETRY_AFTER_SECONDS)},
            )
        for check in self._checks:
            await check()


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
async def readyz(readiness: NamedDependency[Readiness]) -> Health:
    """200, or 503 while the process drains, the database does not answer, or no key is known."""
    await readiness.require()
    return Health("ok")


HEALTH_HANDLERS: Final = (livez, readyz)
