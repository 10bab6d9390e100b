"""A body that is lost on the way is never read as one that was left out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from typing import Any

import httpx
import msgspec
import pytest

from orders.entrypoints.http.routes.commands import COMMANDS, Command
from tests.http.server.test_connections import OFFERS
from tests.support.api import Api, a_body, assert_problem, id_of
from tests.support.api_commands import carry_out
from tests.support.observed_api import an_app
from tests.support.served_api import Line, served
from tests.support.shop import Shop

FIVE_LAMPS = {"sku": "LAMP", "name": "Lamp", "quantity": 5}
JSON = (b"content-type", b"application/json")
LENGTH = (b"content-length", b"14")
CHUNKED = (b"transfer-encoding", b"chunked")

Field = tuple[bytes, bytes]
Messages = list[dict[str, Any]]


def part(body: bytes = b"", *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


GONE = {"type": "http.disconnect"}
LOST: dict[str, tuple[list[Field], Messages]] = {
    "a length and nothing": ([JSON, LENGTH], [part()]),
    "a length without a type": ([LENGTH], [part()]),
    "a length and less": ([JSON, LENGTH], [part(b"{}")]),
    "a length and more": ([JSON, LENGTH], [part(b"{}" + b" " * 20)]),
    "a length, something, nobody": ([JSON, LENGTH], [part(b"{}", more=True), GONE]),
    "a length and nobody": ([JSON, LENGTH], [GONE]),
    "chunks and nothing": ([JSON, CHUNKED], [part()]),
    "chunks without a type": ([CHUNKED], [part()]),
    "chunks and nobody": ([JSON, CHUNKED], [part(b"{}", more=True), GONE]),
}
"""What a head promises, and what a server that lost the body makes of it."""


def may_be_left_out(command: Command[Any]) -> bool:
    if command.needs_body:
        return False
    return not any(field.required for field in msgspec.structs.fields(command.body))


LEAVE_OUT = [command for command in COMMANDS if may_be_left_out(command)]
WITH_MEMBERS = [command for command in LEAVE_OUT if command.body.__struct_fields__]


async def answer_to(api: Api, path: str, fields: list[Field], told: Messages) -> tuple[int, str]:
    """The status and the code of what the application answers to a server's messages."""
    messages, sent = iter(told), []

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    head = [(b"host", b"orders.test"), (b"authorization", b"Bearer root"), (b"if-match", b"*")]
    scope: Any = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": f"/v1{path}",
        "raw_path": f"/v1{path}".encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [*head, (b"idempotency-key", b"lost"), *fields],
        "client": ("127.0.0.1", 1),
        "state": {},
    }
    await api.front.app(scope, receive, send)
    return sent[0]["status"], json.loads(sent[1]["body"]).get("code", "")


@pytest.fixture
async def authorized(api: Api) -> str:
    """The path of an order of 2500 whose payment is authorised."""
    order = await api.placed(lines=[FIVE_LAMPS], payment={"method": "tok_ok"})
    return f"/orders/{order['id']}"


async def state(api: Api, path: str) -> tuple[Any, Any, Any]:
    """All that a command may change."""
    order = (await api.get(path, who="root")).json()
    return order, await api.shop.history(id_of(order)), dict(api.shop.provider.calls)


@pytest.mark.parametrize("command", LEAVE_OUT, ids=lambda command: command.operation.value)
async def test_no_command_runs_on_a_body_that_did_not_come(
    api: Api, authorized: str, command: Command[Any]
) -> None:
    path = authorized + command.path.replace("{part_id:str}", "1")
    before = await state(api, authorized)
    for lost in LOST.values():
        assert await answer_to(api, path, *lost) == (400, "malformed-body")
    assert await state(api, authorized) == before
    for honest in ([], [(b"content-length", b"0")]):
        assert (await answer_to(api, path, honest, [part()]))[1] != "malformed-body"


@pytest.mark.parametrize("command", LEAVE_OUT, ids=lambda command: command.operation.value)
async def test_a_type_of_body_promises_one_where_something_could_be_lost(
    api: Api, authorized: str, command: Command[Any]
) -> None:
    path = authorized + command.path.replace("{part_id:str}", "1")
    before = await state(api, authorized)
    _, code = await answer_to(api, path, [JSON, (b"content-length", b"0")], [part()])
    if command in WITH_MEMBERS:
        assert code == "malformed-body"
        assert await state(api, authorized) == before
    else:
        assert code != "malformed-body"


@pytest.mark.parametrize("command", LEAVE_OUT, ids=lambda command: command.operation.value)
async def test_null_is_as_no_body(api: Api, authorized: str, command: Command[Any]) -> None:
    """Several generated clients send it for a body that was left out."""
    path = authorized + command.path.replace("{part_id:str}", "1")
    options = {"who": "root", "dry_run": "true", "headers": {"If-Match": "*"}}
    without = await api.post(path, **options)
    null = await api.post(path, raw=b"null", **options)

    assert (null.status_code, seen(null)) == (without.status_code, seen(without))


def seen(answer: httpx.Response) -> dict[str, Any]:
    """What is answered, but for what differs between two answers to the same."""
    return {k: v for k, v in answer.json().items() if k not in {"trace_id", "updated_at"}}


async def test_null_repeats_a_request_without_a_body(api: Api, authorized: str) -> None:
    path = f"{authorized}/payments/1/capture"
    first = await api.post(path, who="root", key="once")
    again = await api.post(path, who="root", key="once", raw=b"null")

    assert (first.status_code, again.status_code) == (200, 200)
    assert again.headers["idempotency-replayed"] == "true"


async def test_null_is_no_body_where_one_is_needed(api: Api, authorized: str) -> None:
    for path in ("/orders", f"{authorized}/payments", f"{authorized}/holds"):
        assert_problem(await api.post(path, who="root", raw=b"null"), 422, "invalid-body")
    edited = await api.call("PATCH", authorized, raw=b"null", headers={"If-Match": "*"})
    assert_problem(edited, 422, "invalid-body")


def test_money_moves_by_commands_whose_body_may_be_lost() -> None:
    """Or the tests above would prove little."""
    assert {"capture", "refund", "cancel"} <= {each.operation.value for each in WITH_MEMBERS}


async def test_a_body_that_came_is_what_counts(api: Api, authorized: str) -> None:
    body = b'{"amount":500}'
    told = [part(body[:3], more=True), part(body[3:])]
    fields = [JSON, (b"content-length", b"%d" % len(body))]
    assert (await answer_to(api, f"{authorized}/payments/1/capture", fields, told))[0] == 200
    assert (await state(api, authorized))[0]["totals"]["captured"] == 500
    rest = await carry_out(api, authorized, "capture", body=None)
    assert rest.json()["totals"]["captured"] == 2_500


CAPTURE_500 = b'{"amount":500}'
FRAMED = {
    "length": b"Content-Length: 14\r\n\r\n" + CAPTURE_500,
    "chunked": b"Transfer-Encoding: chunked\r\n\r\n5\r\n"
    + CAPTURE_500[:5]
    + b"\r\n9\r\n"
    + CAPTURE_500[5:]
    + b"\r\n0\r\n\r\n",
}


class Till:
    """Takes money over a socket."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._keys = (b"till-%d" % number for number in count())

    def head(self, method: bytes, path: str, fields: bytes = b"") -> bytes:
        return (
            b"%b /v1%b HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer root\r\n"
            b"Content-Type: application/json\r\nIdempotency-Key: %b\r\n%b"
        ) % (method, path.encode(), next(self._keys), fields)

    def authorized(self, line: Line) -> str:
        """The path of a new order of 2500 whose payment is authorised."""
        body = a_body(lines=[FIVE_LAMPS], payment={"method": "tok_ok"})
        sent = msgspec.json.encode(body)
        line.say(self.head(b"POST", "/orders", b"Content-Length: %d\r\n\r\n" % len(sent)) + sent)
        status, _, answer = line.hear()
        assert status == 201, answer
        return f"/orders/{json.loads(answer)['id']}"

    def captured(self, path: str) -> int:
        with Line(self.port) as line:
            line.say(self.head(b"GET", path) + b"\r\n")
            captured: int = json.loads(line.hear()[2])["totals"]["captured"]
            return captured


@pytest.fixture(scope="module")
def till() -> Iterator[Till]:
    app = an_app(Shop())
    with served(app, app.state.overload) as port:
        yield Till(port)


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
@pytest.mark.parametrize("framed", FRAMED.values(), ids=FRAMED)
def test_who_offers_another_protocol_captures_what_they_say(
    till: Till, offer: bytes, framed: bytes
) -> None:
    with Line(till.port) as line:
        first, second = till.authorized(line), till.authorized(line)
        line.say(till.head(b"POST", f"{first}/payments/1/capture", offer) + framed)
        assert line.hear()[0] == 200
        capture = till.head(b"POST", f"{second}/payments/1/capture", offer) + framed
        for place in range(len(capture)):
            line.say(capture[place : place + 1])
        assert line.hear()[0] == 200
        line.say(till.head(b"GET", first) + b"\r\n")
        assert line.hear()[0] == 200
    assert (till.captured(first), till.captured(second)) == (500, 500)


@pytest.mark.parametrize("offer", [OFFERS["no offer"], OFFERS["h2c"]], ids=["none", "h2c"])
@pytest.mark.parametrize("framed", FRAMED.values(), ids=FRAMED)
def test_a_capture_that_is_cut_off_anywhere_takes_nothing(
    till: Till, offer: bytes, framed: bytes
) -> None:
    with Line(till.port) as line:
        path = till.authorized(line)
    capture = till.head(b"POST", f"{path}/payments/1/capture", offer) + framed
    for end in range(capture.index(b"\r\n\r\n"), len(capture)):
        with Line(till.port) as line:
            line.say(capture[:end])
            line.socket.shutdown(1)
            line.read()
    assert till.captured(path) == 0


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        (b"Content-Length: 2", b"{}"),
        (b"Content-Length: 4", b"null"),
        (b"Content-Length: 3\r\nContent-Encoding: gzip", b"\x1f\x8b\x08"),
        (b"Transfer-Encoding: chunked", b"0;a=b\r\nX: y\r\n\r\n"),
        (b"Expect: 100-continue\r\nTransfer-Encoding: chunked", b"0\r\n\r\n"),
        (b"Content-Length: 0", b""),
        (b"Connection: close", b""),
        (b"Content-Length: 1", b" "),
    ],
)
def test_nothing_but_an_object_without_an_amount_or_null_takes_all_there_is(
    till: Till, fields: bytes, body: bytes
) -> None:
    with Line(till.port) as line:
        path = till.authorized(line)
        capture = till.head(b"POST", f"{path}/payments/1/capture", fields + b"\r\n\r\n")
        line.say(capture + body)
        line.socket.shutdown(1)
        answers = line.read()
    takes_all = body in {b"{}", b"null"}
    assert answers.startswith((b"HTTP/1.1 200", b"HTTP/1.1 4", b"HTTP/1.1 100"))
    assert (b"HTTP/1.1 200" in answers) is takes_all
    assert till.captured(path) == (2_500 if takes_all else 0)
