"""No body costs much more to read than a plain one of its size, whatever is in it.

Processor time, as the smallest of some tries, against that of a plain body in the same run: how
fast the machine is, and what else it does, changes nothing.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from litestar import Litestar

from orders.entrypoints.http.problems import RequestRefused
from orders.entrypoints.http.schemas.requests import PlaceOrderBody
from orders.entrypoints.http.strict_json import MAX_COSTLY, decode_json
from orders.entrypoints.server import serve
from tests.support.observed_api import Caller, an_app
from tests.support.shop import Shop

SIZE = 2**20
MOST = 4.0
"""Times as long as a plain body takes. Those here that once took longer took 5 to 26 times."""


def filled(unit: bytes, before: bytes = b"", after: bytes = b"") -> bytes:
    return before + unit * ((SIZE - len(before) - len(after)) // len(unit)) + after


def members(*, after: bytes = b"") -> bytes:
    """The members of an object, each as small as can be, of different names."""
    return b",".join(b'"%x":""' % number for number in range((SIZE - 100) // 12)) + after


A_LINE = b'{"sku":"A1","name":"Pen","quantity":2}'
PLAIN = filled(A_LINE + b",", b'{"currency":"EUR","lines":[', A_LINE + b"]}")
NESTED = b"[" * 31 + b"]" * 31 + b","
COSTLY = {
    "open brackets": filled(b"["),
    "closed brackets": filled(b"]"),
    "half of each": b"[" * (SIZE // 2) + b"]" * (SIZE // 2),
    "one open, all closed": filled(b"]", b"["),
    "pairs": filled(b"[],", b"[", b"[]]"),
    "pairs side by side": filled(b"[]"),
    "as deep as may be": filled(NESTED, b"[", b"0]"),
    "as deep as may be, as many as may be": (
        b"[" + NESTED * (MAX_COSTLY // 31 - 1) + b"0," * 200_000 + b"0]"
    ),
    "objects": filled(b'{"":{}},', b"[", b"{}]"),
    "deep objects": filled(b'{"":' * 30 + b"1" + b"}" * 30 + b",", b"[", b"{}]"),
    "brackets in strings": filled(b'"[",', b"[", b'""]'),
    "brackets in open strings": filled(b'"['),
    "brackets and quotes in strings": filled(b'"\\"[",', b"[", b'""]'),
    "brackets and strings": filled(b'[""],{"":""},', b"[", b"0]"),
    "digits": filled(b"1"),
    "zeros": filled(b"0,", b"[", b"0]"),
    "zeros and a long number": filled(b"0,", b"[9223372036854775807,", b"0]"),
    "zeros and a long number as text": filled(b"0,", b'["99999999999999999999",', b"0]"),
    "numbers of 18 digits": filled(b"922337203685477580,", b"[9223372036854775807,", b"0]"),
    "numbers of 19 digits": filled(b"9223372036854775807,", b"[", b"0]"),
    "numbers of 20 digits": filled(b"18446744073709551615,", b"[", b"0]"),
    "the largest fractions": filled(b"1.7976931348623157e308,", b"[", b"0]"),
    "the largest fractions, as many as may be": (
        b"[" + b"1.7976931348623157e308," * (MAX_COSTLY // 2 - 1) + b"0," * 100_000 + b"0]"
    ),
    "the largest numbers with an exponent": filled(b"17976931348623157e292,", b"[", b"0]"),
    "the smallest fractions": filled(b"2.2250738585072014e-308,", b"[", b"0]"),
    "fractions between two": filled(
        b"0.500000000000000166533453693773481063544750213623046875,", b"[", b"0]"
    ),
    "long fractions": filled(b"0." + b"3" * 500 + b"e-300,", b"[", b"0]"),
    "one fraction": filled(b"1", b"[0.", b"]"),
    "exponents": filled(b"1e9,", b"[", b"0]"),
    "one exponent": filled(b"1", b"[1e", b"]"),
    "words": filled(b"true,", b"[", b"0]"),
    "quotes": filled(b'"'),
    "empty strings": filled(b'"",', b"[", b'""]'),
    "one string": filled(b"a", b'["', b'"]'),
    "one string of no ASCII": filled("é".encode(), b'["', b'"]'),
    "backslashes": filled(b"\\"),
    "escaped backslashes": filled(b"\\\\", b'["', b'"]'),
    "escaped quotes": filled(b'\\"', b'["', b'"]'),
    "escaped letters": filled(b"\\u0041", b'["', b'"]'),
    "escaped controls": filled(b"\\u0000", b'["', b'"]'),
    "escaped surrogates": filled(b"\\ud83d\\ude00", b'["', b'"]'),
    "blanks": filled(b" ", b"", b"[]"),
    "commas": filled(b",", b"[", b"]"),
    "members": b"{" + members(after=b"}"),
    "members of one name": filled(b'"":0,', b"{", b'"":0}'),
    "a long name": filled(b"a", b'{"', b'":1}'),
    "a name like a path": filled(b"` - at `$", b'{"', b'":1}'),
    "lines": filled(
        b'{"sku":"","name":"","quantity":1},', b'{"currency":"EUR","lines":[', A_LINE + b"]}"
    ),
}


def seconds(work: Callable[[], object], *, tries: int = 3) -> float:
    least = float("inf")
    for _ in range(tries):
        began = time.process_time()
        work()
        least = min(least, time.process_time() - began)
    return least


def read(body: bytes) -> None:
    with suppress(RequestRefused):
        decode_json(body, PlaceOrderBody)


@pytest.fixture(scope="module")
def plain() -> Iterator[float]:
    """What a plain body takes, with garbage collected as the service has it."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*serve._GC_THRESHOLDS)
    yield seconds(lambda: read(PLAIN), tries=7)
    gc.set_threshold(*before)
    gc.unfreeze()


@pytest.mark.parametrize("body", COSTLY.values(), ids=COSTLY)
def test_a_body_takes_no_longer_than_a_few_plain_ones(plain: float, body: bytes) -> None:
    assert seconds(lambda: read(body)) < MOST * plain


ITEMS = b",".join(b'{"line_id":"%d","quantity":1}' % number for number in range(31_500))
WHOLE = {
    "lines": ("POST", "/orders", PLAIN),
    "lines to quote": ("POST", "/orders/quote", PLAIN),
    "metadata": ("POST", "/orders", b'{"currency":"EUR","lines":[],"metadata":{%b}}' % members()),
    "metadata to change": ("PATCH", "{order}", b'{"metadata":{%b}}' % members()),
    "items": ("POST", "{order}/cancellations", b'{"reason":"customer","items":[%b]}' % ITEMS),
    "items to change": ("POST", "{order}/changes", b'{"reason":"other","items":[%b]}' % ITEMS),
    "a note": ("POST", "{order}/notes", filled(b"a", b'{"text":"', b'"}')),
    "fractions": ("POST", "/orders", COSTLY["the largest fractions"]),
    "a webhook": ("POST", "/payment-events", PLAIN),
}


@pytest.fixture(scope="module")
def app() -> Litestar:
    return an_app(Shop())


@pytest.mark.parametrize(("method", "path", "body"), WHOLE.values(), ids=WHOLE)
async def test_a_request_takes_no_longer_than_to_read_a_few_plain_bodies(
    plain: float, app: Litestar, method: str, path: str, body: bytes
) -> None:
    assert 0.8 * SIZE < len(body) <= SIZE
    root = Caller(app, "root")
    path = path.format(order=f"/orders/{(await root.place()).json()['id']}")
    headers = {"content-type": "application/json", "if-match": "*", "idempotency-key": "other"}
    least = float("inf")
    for _ in range(3):
        began = time.process_time()
        answer: Any = await root.client.request(method, path, content=body, headers=headers)
        least = min(least, time.process_time() - began)
        assert 400 <= answer.status_code < 500, answer.text
    assert least < MOST * plain


@pytest.mark.parametrize(("count", "code"), [(1_000, "invalid-value"), (1_001, "invalid-body")])
async def test_of_far_too_much_metadata_nothing_is_looked_at(
    app: Litestar, count: int, code: str
) -> None:
    root = Caller(app, "root")
    body = {"metadata": {f"n{number}": "" for number in range(count)}}
    placed = await root.place("far-too-much", **body)
    order = (await root.place()).json()["id"]
    edited = await root.client.patch(f"/orders/{order}", json=body, headers={"if-match": "*"})
    for answer in (placed, edited):
        assert (answer.status_code, answer.json()["code"]) == (422, code)
        assert answer.json()["errors"][0]["pointer"] == "/metadata"
