"""One request, one meaning: requests and addresses that could be read in two ways."""

from __future__ import annotations

import pytest

from tests.support.api import Api, assert_problem

TOKEN = {"Authorization": "Bearer ada"}


@pytest.mark.parametrize(
    "path",
    [
        "/v1/orders/",
        "//v1/orders",
        "/v1//orders",
        "/V1/ORDERS",
        "/v1%2Forders",
        "/v1/orders%2f",
        "/v1/orders/{id}%2Fpayments",
        "/v1/orders/urn:uuid:{id}",
        "/v1/orders/{{{id}}}",
        "/v1/orders/%7B{id}%7D/payments",
        "/v1/orders/{wide}",
        "/v1/orders/{torn}/payments",
    ],
)
async def test_an_address_has_one_spelling(api: Api, path: str) -> None:
    order_id = (await api.place()).json()["id"]
    wide = order_id.translate({ord(digit): ord(digit) + 0xFEE0 for digit in "0123456789"})
    torn = "-".join(order_id)
    spelled = path.format(id=order_id, wide=wide, torn=torn)
    answer = await api.client.get(f"http://orders.test{spelled}", headers=TOKEN)
    assert_problem(answer, 404, "not-found")


@pytest.mark.parametrize("coding", ["identity", "gzip, chunked", "chunked, identity"])
async def test_no_transfer_coding_but_chunked_is_read(api: Api, coding: str) -> None:
    answer = await api.client.get("/v1/orders", headers=TOKEN | {"Transfer-Encoding": coding})
    assert_problem(answer, 400, "bad-request")
    assert answer.headers["connection"] == "close"


async def test_a_request_has_one_length(api: Api) -> None:
    lengths = {"Transfer-Encoding": "chunked", "Content-Length": "2"}
    answer = await api.client.post("/v1/orders", content=b"{}", headers=TOKEN | lengths)
    assert_problem(answer, 400, "bad-request")
    assert answer.headers["connection"] == "close"
