"""Is it alive, and should it be sent requests."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.support.api import Api, assert_problem


@pytest.fixture(autouse=True)
def as_before(api: Api) -> Iterator[None]:
    yield
    api.front.can_serve = True
    api.front.is_draining = False


async def ask(api: Api, path: str, **headers: str) -> httpx.Response:
    answer = await api.client.get(path, headers=headers)
    api.front.published.judge(answer)
    return answer


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
async def test_needs_no_token_and_minds_no_bad_one(api: Api, path: str) -> None:
    for headers in ({}, {"Authorization": "Bearer nonsense"}):
        answer = await ask(api, path, **headers)
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
        assert answer.headers["cache-control"] == "no-store, no-transform"


async def test_is_not_ready_but_alive_without_the_store(api: Api) -> None:
    api.front.can_serve = False

    answer = await ask(api, "/readyz")

    assert_problem(answer, 503, "store-unavailable")
    assert answer.headers["retry-after"] == "1"
    assert (await ask(api, "/livez")).status_code == 200


async def test_is_not_ready_but_alive_and_serving_while_it_drains(api: Api) -> None:
    api.front.is_draining = True

    answer = await ask(api, "/readyz")

    assert_problem(answer, 503, "draining")
    assert answer.headers["retry-after"] == "1"
    assert (await ask(api, "/livez")).status_code == 200
    assert (await api.place()).status_code == 201
