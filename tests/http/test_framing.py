"""One request, one meaning: requests and addresses that could be read in two ways."""

from __future__ import annotations

import pytest

from tests.http.calling import Api, assert_problem

TOKEN = {"Authorization": "Bearer ada"}


@pytest.mark.parametrize("path", ["/v1/orders/", "//v1/orders", "/v1//orders", "/V1/ORDERS"])
async def test_an_address_has_one_spelling(api: Api, path: str) -> None:
    answer = await api.client.get(f"http://orders.test{path}", headers=TOKEN)
    assert_problem(answer, 404, "not-found")


@pytest.mark.parametrize("coding", ["identity", "gzip, chunked", "chunked, identity"])
async def test_no_transfer_coding_but_chunked_is_read(api: Api, coding: str) -> None:
    answer = await api.client.get("/v1/orders", headers=TOKEN | {"Transfer-Encoding": coding})
    assert_problem(answer, 400, "bad-request")
    assert answer.headers["connection"] == "close"
