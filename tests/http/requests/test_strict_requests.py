"""What the HTTP edge reads, and what it refuses before any use case sees it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar import Litestar, get, patch, post
from litestar.params import FromQuery, JSONBody, QueryParameter
from litestar.testing import TestClient

from orders.entrypoints.http.middleware.strict_requests import StrictMergePatch, StrictRequests
from orders.entrypoints.http.problems import EXCEPTION_HANDLERS, RequestRefused
from orders.entrypoints.http.strict_json import MAX_COSTLY, decode_json


class Line(msgspec.Struct, forbid_unknown_fields=True):
    sku: Annotated[str, msgspec.Meta(pattern=r"^[A-Z0-9]+\Z")]
    quantity: Annotated[int, msgspec.Meta(ge=1, le=100_000)]


class Basket(msgspec.Struct, forbid_unknown_fields=True):
    lines: list[Line]
    metadata: dict[str, Any] = {}
    by_name: dict[str, Line] | msgspec.UnsetType = msgspec.UNSET
    placed_at: datetime | None = None


class Reason(msgspec.Struct, forbid_unknown_fields=True):
    reason: str


@post("/baskets")
async def place(data: JSONBody[Basket]) -> Basket:
    return data


@post("/cancel")
async def cancel(data: JSONBody[Reason | None] = None) -> str:
    return data.reason if data else "none given"


@patch("/baskets", dto=StrictMergePatch)
async def change(data: JSONBody[Reason]) -> Reason:
    return data


@get("/baskets")
async def baskets(
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 10,
    status: FromQuery[list[str] | None] = None,
    placed_by: Annotated[str, QueryParameter(name="by")] = "",
) -> dict[str, Any]:
    return {"limit": limit, "status": status, "by": placed_by}


def an_app(max_body_bytes: int = 1000, **limits: Any) -> Litestar:
    return Litestar(
        [place, cancel, change, baskets],
        plugins=[StrictRequests(**limits)],
        request_max_body_size=max_body_bytes,
        exception_handlers=EXCEPTION_HANDLERS,
        openapi_config=None,
        logging_config=None,
    )


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient[Litestar]]:
    with TestClient(an_app(max_body_bytes=20_000)) as client:
        yield client


A_LINE = '{"sku":"A1","quantity":2}'

MALFORMED = {
    "empty braces cut off": b"{",
    "cut off": b'{"lines":[{"sku":"A1"',
    "two texts": b'{"lines":[]}{}',
    "trailing comma": b'{"lines":[],}',
    "single quotes": b"{'lines':[]}",
    "byte order mark": b'\xef\xbb\xbf{"lines":[]}',
    "invalid UTF-8 in a string": b'{"lines":[{"sku":"\xff","quantity":1}]}',
    "UTF-16": '{"lines":[]}'.encode("utf-16"),
    "overlong UTF-8": b'{"metadata":{"a":"\xc0\xaf"}}',
    "UTF-8 surrogate": b'{"metadata":{"a":"\xed\xa0\x80"}}',
    "NaN": b'{"lines":[],"metadata":{"a":NaN}}',
    "Infinity": b'{"lines":[],"metadata":{"a":Infinity}}',
    "-Infinity": b'{"lines":[],"metadata":{"a":-Infinity}}',
    "leading zero": b'{"lines":[{"sku":"A1","quantity":01}]}',
    "lone high surrogate": rb'{"lines":[],"metadata":{"a":"\ud800"}}',
    "lone low surrogate": rb'{"lines":[],"metadata":{"a":"\udc00x"}}',
    "surrogates in the wrong order": rb'{"lines":[],"metadata":{"a":"\udc00\ud800"}}',
    "control character": b'{"lines":[],"metadata":{"a":"\x01"}}',
    "duplicate member": b'{"lines":[{"sku":"A1","quantity":1,"quantity":9999}]}',
    "duplicate by escape": rb'{"lines":[],"metadata":{"a":1,"\u0061":2}}',
    "duplicate with quotes inside": rb'{"lines":[],"metadata":{"\"\\":1,"\"\u005c":"\""}}',
    "duplicate empty name": b'{"lines":[],"metadata":{"":1,"":1}}',
    "duplicate in an unknown member": b'{"lines":[],"x":{"a":1,"a":1}}',
    "1 500 arrays": b'{"lines":[],"x":' + b"[" * 1500 + b"]" * 1500 + b"}",
    "3 000 objects": b'{"a":' * 3000,
    "9 000 open arrays": b"[" * 9000,
}

MEANINGLESS = {
    "array": (b"[]", ""),
    "null": (b"null", ""),
    "string": (b'"x"', ""),
    "quantity as text": (b'{"lines":[{"sku":"A1","quantity":"2"}]}', "/lines/0/quantity"),
    "quantity 2.0": (b'{"lines":[{"sku":"A1","quantity":2.0}]}', "/lines/0/quantity"),
    "quantity 1e2": (b'{"lines":[{"sku":"A1","quantity":1e2}]}', "/lines/0/quantity"),
    "quantity 1.5": (b'{"lines":[{"sku":"A1","quantity":1.5}]}', "/lines/0/quantity"),
    "quantity true": (b'{"lines":[{"sku":"A1","quantity":true}]}', "/lines/0/quantity"),
    "quantity null": (b'{"lines":[{"sku":"A1","quantity":null}]}', "/lines/0/quantity"),
    "quantity 0": (b'{"lines":[{"sku":"A1","quantity":0}]}', "/lines/0/quantity"),
    "quantity -0": (b'{"lines":[{"sku":"A1","quantity":-0}]}', "/lines/0/quantity"),
    "sku as number": (b'{"lines":[{"sku":1,"quantity":2}]}', "/lines/0/sku"),
    "sku as operator": (b'{"lines":[{"sku":{"$gt":""},"quantity":2}]}', "/lines/0/sku"),
    "sku with newline": (rb'{"lines":[{"sku":"A\n","quantity":2}]}', "/lines/0/sku"),
    "sku missing": (b'{"lines":[{"quantity":2}]}', "/lines/0"),
    "unknown member": (b'{"lines":[],"status":"paid"}', "/status"),
    "unknown member in a line": (
        f'{{"lines":[{A_LINE},{{"sku":"A1","quantity":2,"a/b~c":0}}]}}'.encode(),
        "/lines/1/a~1b~0c",
    ),
    "unknown member without a name": (b'{"lines":[{"sku":"A1","quantity":2,"":0}]}', "/lines/0/"),
    "unknown member of a named entry": (b'{"lines":[],"by_name":{"a":{"x":1}}}', "/by_name"),
    "unknown member of great length": (b'{"' + b"x" * 5000 + b'":1}', ""),
    "2**63": (b'{"lines":[],"metadata":{"a":[{"b":9223372036854775808}]}}', ""),
    "-2**63-1": (b'{"lines":[],"metadata":{"a":-9223372036854775809}}', ""),
    "2**64": (b'{"lines":[],"metadata":{"a":18446744073709551616}}', ""),
    "5 000 digits": (b'{"lines":[],"metadata":{"a":' + b"1" * 5000 + b"}}", ""),
    "1e400": (b'{"lines":[],"metadata":{"a":1e400}}', ""),
    "time without zone": (b'{"lines":[],"placed_at":1}', "/placed_at"),
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_refuses_what_is_not_json_in_one_reading(client: TestClient[Litestar], body: bytes) -> None:
    answer = client.post("/baskets", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed-body")
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(("body", "pointer"), MEANINGLESS.values(), ids=MEANINGLESS)
def test_refuses_what_means_no_basket_and_points_at_it(
    client: TestClient[Litestar], body: bytes, pointer: str
) -> None:
    answer = client.post("/baskets", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-body")
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


@pytest.mark.parametrize(
    "body",
    [
        '{"lines":[{"sku":"A1","quantity":2}]}',
        '  {"lines" : [ ] } \n',
        '{"lines":[],"metadata":{"a":"[[[[{{{{","b":"\\"]]]\\\\","c\\"":{"\\\\":[[]]}}}',
        '{"lines":[],"metadata":{"\U0001f600":"\\ud83d\\ude00 \\u0022 \\u005c"}}',
        '{"lines":[],"metadata":{"a":9223372036854775807,"b":-9223372036854775808,"c":1e300}}',
        '{"lines":[],"metadata":{"a":"99999999999999999999999"}}',
        '{"lines":[],"metadata":{"a":{"a":{"a":1}},"b":[{"a":1},{"a":1}]}}',
    ],
)
def test_reads_what_is_meant(client: TestClient[Litestar], body: str) -> None:
    answer = client.post("/baskets", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 201, answer.text
    assert answer.json() == {"metadata": {}, "placed_at": None, **json.loads(body)}


def nested(depth: int) -> bytes:
    return b'{"lines":[],"metadata":{"[":' + b"[" * (depth - 2) + b"]" * (depth - 2) + b"}}"


def test_reads_the_deepest_nesting_allowed_and_refuses_one_level_more() -> None:
    assert decode_json(nested(32), Basket, max_depth=32).lines == []
    with pytest.raises(RequestRefused, match="nested deeper than 32 levels"):
        decode_json(nested(33), Basket, max_depth=32)


def test_brackets_in_strings_do_not_hide_depth() -> None:
    hidden = b'["]",' * 40 + b"0" + b',"["]' * 40
    with pytest.raises(RequestRefused, match="nested deeper"):
        decode_json(hidden, list)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(-1e9, 1e9) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(values, st.booleans())
def test_reads_every_json_value_as_the_standard_library_does(value: Any, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    try:
        body = text.encode()
    except UnicodeEncodeError:
        return
    assert decode_json(body, object, max_depth=100) == json.loads(body)


@given(st.dictionaries(st.text(), values, min_size=1, max_size=5), st.data())
def test_refuses_every_repeated_name(members: dict[str, Any], data: st.DataObject) -> None:
    repeated = data.draw(st.sampled_from(sorted(members)))
    pairs = [*members.items(), (repeated, data.draw(values))]
    text = ",".join(f"{json.dumps(name)}:{json.dumps(value)}" for name, value in pairs)
    with pytest.raises(RequestRefused, match=r"has a member twice|not valid JSON"):
        decode_json(f"[{{{text}}}]".encode(), object, max_depth=100)


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json",
        "Application/JSON; charset=UTF-8",
        'application/json;charset="utf-8"',
        "application/json ; odata=verbose ;charset=utf-8; ",
        'application/json;v="1; \\"charset=latin-1"',
    ],
)
def test_takes_json_in_utf8(client: TestClient[Litestar], media_type: str) -> None:
    answer = client.post("/baskets", content=b'{"lines":[]}', headers={"content-type": media_type})
    assert answer.status_code == 201


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("content-type", "text/plain")],
        [("content-type", "application/json; charset=latin-1")],
        [("content-type", 'application/json; charset="latin-1"')],
        [("content-type", "application/json; charset=utf-8; charset=latin-1")],
        [("content-type", "application/json; v=1; CHARSET=utf-16")],
        [("content-type", "application/json; v")],
        [("content-type", 'application/json; v="1')],
        [("content-type", "application/json" + "; " * 10_000 + "x")],
        [("content-type", "application/json;" + " ;" + " \t" * 10_000 + "x")],
        [("content-type", "application/jsonp")],
        [("content-type", "application/merge-patch+json")],
        [("content-type", "application/json"), ("content-type", "text/plain")],
        [("content-type", "application/json"), ("content-encoding", "gzip")],
    ],
)
def test_refuses_every_other_media_type_and_encoding(
    client: TestClient[Litestar], headers: list[tuple[str, str]]
) -> None:
    answer = client.post("/baskets", content=b'{"lines":[]}', headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported-media-type")
    is_encoded = "content-encoding" in dict(headers)
    assert answer.headers.get("accept-encoding") == ("identity" if is_encoded else None)
    accepted = None if is_encoded else "application/json"
    assert answer.headers.get("accept") == answer.headers.get("accept-post") == accepted


def test_says_which_patches_it_takes(client: TestClient[Litestar]) -> None:
    json_patch = {"content-type": "application/json-patch+json"}
    answer = client.patch("/baskets", content=b"[]", headers=json_patch)
    assert answer.status_code == 415
    taken = "application/merge-patch+json, application/json"
    assert answer.headers["accept-patch"] == answer.headers["accept"] == taken


def test_takes_a_merge_patch_where_the_handler_says_so(client: TestClient[Litestar]) -> None:
    for media_type in (
        "application/merge-patch+json",
        "application/merge-patch+json; charset=utf-8",
        "application/json",
    ):
        answer = client.patch(
            "/baskets", content=b'{"reason":"x"}', headers={"content-type": media_type}
        )
        assert answer.json() == {"reason": "x"}


def test_a_body_may_be_left_out_only_where_the_handler_has_a_default(
    client: TestClient[Litestar],
) -> None:
    assert client.post("/cancel").text == "none given"
    assert client.post("/cancel", json={"reason": "late"}).text == "late"
    typed = {"content-type": "application/json"}
    for null in (b"null", b" null\r\n"):
        assert client.post("/cancel", content=null, headers=typed).text == "none given"
        assert client.post("/cancel", content=null).status_code == 415
    for other in (b"nul", b"Null", b"null null", b"null,"):
        assert client.post("/cancel", content=other, headers=typed).status_code == 400
    missing = client.post("/baskets", headers={"content-type": "application/json"})
    assert missing.status_code == 400
    assert missing.json()["detail"] == "a JSON body is required"


@pytest.mark.parametrize(
    "query", ["nope=1", "limit=1&limit=2", "status[$ne]=PAID", "limit=5&", "%ff=1", "LIMIT=1", "=1"]
)
def test_refuses_undeclared_and_repeated_query_parameters(
    client: TestClient[Litestar], query: str
) -> None:
    answer = client.get(f"/baskets?{query}")
    if query == "limit=5&":
        assert answer.status_code == 200
    else:
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid-query")


@pytest.mark.parametrize("limit", ["abc", "0", "-1", "101", "1000000", "1.5", "", "%00"])
def test_refuses_a_parameter_out_of_bounds_without_repeating_it(
    client: TestClient[Litestar], limit: str
) -> None:
    answer = client.get(f"/baskets?by=secret-person&limit={limit}")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["parameter"] == "limit"
    assert "secret-person" not in answer.text


def test_takes_declared_parameters_by_their_public_name(client: TestClient[Litestar]) -> None:
    answer = client.get("/baskets?limit=3&status=a&status=b&by=me")
    assert answer.json() == {"limit": 3, "status": ["a", "b"], "by": "me"}


async def answer_to(
    app: Litestar, *chunks: bytes, headers: list[tuple[bytes, bytes]]
) -> tuple[int, int, dict[str, Any]]:
    """Send chunks and then nothing more. Returns the status, the chunks taken, the problem."""
    waiting = list(chunks)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if not waiting:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": waiting.pop(0), "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    scope: Any = {
        "type": "http",
        "method": "POST",
        "path": "/baskets",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json"), *headers],
    }
    await app(scope, receive, send)  # type: ignore[arg-type]
    return sent[0]["status"], len(chunks) - len(waiting), json.loads(sent[1]["body"])


async def test_a_body_declared_too_large_is_refused_before_any_of_it_is_read() -> None:
    status, taken, problem = await answer_to(
        an_app(max_body_bytes=100), b"x", headers=[(b"content-length", b"101")]
    )
    assert (status, taken, problem["code"]) == (413, 0, "body-too-large")


async def test_an_undeclared_body_is_cut_off_at_the_limit() -> None:
    status, taken, _ = await answer_to(an_app(max_body_bytes=100), *[b"x" * 40] * 9, headers=[])
    assert (status, taken) == (413, 3)


async def test_a_body_that_never_ends_is_given_up() -> None:
    async with asyncio.timeout(3):
        status, _, problem = await answer_to(an_app(body_timeout_seconds=0.02), b"{", headers=[])
    assert (status, problem["code"]) == (408, "body-timeout")


def test_a_number_beyond_all_bounds_is_found_whatever_strings_say() -> None:
    for body in (
        rb'["null","\u006eull",1e400]',
        b"[null,-1e999]",
        b"[" + b"9" * 400 + b".0]",
    ):
        with pytest.raises(RequestRefused) as refused:
            decode_json(body, list)
        assert refused.value.status == 422
    assert decode_json(rb'["null","\u006eull",null,1e300]', list) == ["null", "null", None, 1e300]


@pytest.mark.parametrize(
    "number", ["9223372036854775808", "-9223372036854775809", "123456789012345678901234567890"]
)
def test_a_long_number_is_bounded_where_it_is_one(number: str) -> None:
    for kept in (f'["{number}"]', f"[0.{number.strip('-')}]", f"[{number}.5]", f"[{number}E2]"):
        assert decode_json(kept.encode(), list) == json.loads(kept)
    for refused in (f"[{number}]", f'{{"a":{number} }}', f"[1.5,{number},1e3]"):
        with pytest.raises(RequestRefused, match="does not fit the schema"):
            decode_json(refused.encode(), dict if "{" in refused else list)


def test_so_many_costly_parts_are_read_and_no_more() -> None:
    for unit in (b"[]", b"{}", b"1.5", b"1e1", b"1E1"):
        least = MAX_COSTLY - unit.startswith((b"[", b"{"))  # the list itself is one
        decode_json(b"[" + b",".join([unit] * (least - 1)) + b"]", list)
        with pytest.raises(RequestRefused, match="more than 65536"):
            decode_json(b"[" + b",".join([unit] * (least + 1)) + b"]", list)
    decode_json(b"[" + b",".join([b'"[{.eE"'] * MAX_COSTLY) + b"]", list)
