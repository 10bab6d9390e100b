"""What a caller's connection takes, for how long, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import time
from collections.abc import Iterator
from typing import Any

import pytest

from orders.entrypoints.admission import AdmissionQueue
from orders.entrypoints.http.middleware.overload import WHOLE_BODY, OverloadProtection
from orders.entrypoints.http.middleware.response_headers import ALWAYS
from orders.entrypoints.observability import metrics
from orders.entrypoints.server import head_limits, serve, uvicorn_protocol
from orders.entrypoints.server.head_limits import MAX_HEAD_BYTES, MAX_HEADERS
from orders.entrypoints.server.supervisor import Draining
from tests.support.observed_api import an_app
from tests.support.served_api import Line, served
from tests.support.shop import Shop

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
CLOSE = b"\r\nConnection: close\r\n\r\n"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACED = f"traceparent: 00-{TRACE}-00f067aa0ba902b7-01\r\n".encode()


SMUGGLED = {b"lf": b"/a\nx-evil: 1", b"crlf": b"/a\r\nx-evil: 1", b"cr": b"/a\rx", b"nul": b"/\0"}


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the method, the path and the length of the body."""
    if scope["type"] == "lifespan":
        for event in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{event}.complete"})
        return
    body, more = b"", scope["path"] not in {"/unread", "/closing"}
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    said = f"{scope['method']} {scope['path']} {len(body)}".encode()
    if scope["path"] == "/headers":
        said = b",".join(name for name, _ in scope["headers"])
    fields = [(b"content-length", b"%d" % len(said))]
    if scope["path"] == "/closing":
        fields.append((b"connection", b"close"))
    if scope["path"] == "/smuggled":
        fields.append((b"location", SMUGGLED[scope["query_string"]]))
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": said})


async def slow(scope: Any, receive: Any, send: Any) -> None:
    """Answers as `echo` does, but not at once."""
    if scope["type"] == "http":
        await asyncio.sleep(0.1)
    await echo(scope, receive, send)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with served(echo) as port:
        yield port


@pytest.fixture
def line(port: int) -> Iterator[Line]:
    with Line(port) as line:
        yield line


@pytest.fixture
def refusing() -> Iterator[int]:
    """A server that has too much to do for anything."""
    overload = OverloadProtection(echo, AdmissionQueue(1, 1), request_seconds=10)
    overload._queue.refuses = lambda *, is_list: True  # type: ignore[method-assign]
    overload._queue.has_capacity = lambda: False  # type: ignore[method-assign]
    with served(overload, overload) as port:
        yield port


def assert_refused(line: Line, status: int, code: str) -> None:
    """The connection ends with a problem, as any other has it."""
    answered, headers, body = line.hear()
    problem = json.loads(body)
    assert (answered, problem["status"], problem["code"]) == (status, status, code)
    assert headers["content-type"] == "application/problem+json"
    assert headers["connection"] == "close"
    assert "date" in headers
    for name, value in ALWAYS.items():
        assert headers[name.decode()] == value.decode()
    assert len(problem["trace_id"]) == 32
    assert problem["trace_id"] != "0" * 32
    assert line.is_closed()


def test_one_request_after_the_other(line: Line) -> None:
    for _ in range(3):
        line.say(GET)
        assert line.hear()[::2] == (200, b"GET /a 0")


def test_requests_sent_ahead_are_answered_in_their_order(line: Line) -> None:
    paths = [b"/%d" % number for number in range(20)]
    line.say(b"".join(GET.replace(b"/a", path) for path in paths))
    assert [line.hear()[2] for _ in paths] == [b"GET %b 0" % path for path in paths]


def test_a_request_may_come_byte_by_byte(line: Line) -> None:
    chunked = (
        b"POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\nTrailer: x\r\n\r\n"
    )
    for place in range(len(chunked)):
        line.say(chunked[place : place + 1])
    assert line.hear()[2] == b"POST /b 5"


def test_what_nobody_reads_of_a_body_is_not_taken_for_a_request(line: Line) -> None:
    hidden = GET.replace(b"/a", b"/hidden")
    line.say(b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(hidden))
    assert line.hear()[2] == b"POST /unread 0"
    line.say(hidden + GET)
    assert line.hear()[2] == b"GET /a 0"


def test_the_application_knows_whether_the_whole_body_has_arrived() -> None:
    """Such a request waits for its slot before it runs, and an early refusal costs little."""

    async def whole(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope["path"] = "/whole" if WHOLE_BODY in scope.get("extensions", {}) else "/late"
        await echo(scope, receive, send)

    head = b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n"
    with served(whole) as port, Line(port) as line:
        line.say(head + b"abc")
        assert line.hear()[2] == b"POST /whole 3"
        line.say(head)
        time.sleep(0.1)  # until the request runs without its body
        line.say(b"abc")
        assert line.hear()[2] == b"POST /late 3"


def test_whoever_has_said_all_still_hears(line: Line) -> None:
    line.say(GET)
    line.socket.shutdown(1)
    assert line.hear()[0] == 200
    assert line.is_closed()


def test_whoever_ends_within_a_body_hears_nothing_of_it(line: Line) -> None:
    line.say(b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
    line.socket.shutdown(1)
    assert line.is_closed()


@pytest.mark.parametrize(
    "malformed",
    [
        b"\x00\xff\r\n\r\n",
        b"GET\r\n\r\n",
        b"BREW /a HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /a HTTP/9.9\r\n\r\n",
        b"GET /a HTTP/2.0\r\nHost: x\r\n\r\n",
        b"GET /\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT http://x/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
        b"GET /a HTTP/1.1\nHost: x\n\n",
        b"GET /a HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: x\r\n y\r\n\r\n",
        b"GET /a HTTP/1.1\r\nX: a\x00b\r\n\r\n",
        b"POST /b HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /b HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nabc\r\n",
        b"POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n",
    ],
)
def test_what_cannot_be_read_in_one_way_is_refused(line: Line, malformed: bytes) -> None:
    line.say(malformed)
    assert_refused(line, 400, "bad-request")


def test_what_came_before_something_malformed_is_answered(line: Line) -> None:
    line.say(GET + GET + b"\x00")
    assert [line.hear()[0] for _ in range(2)] == [200, 200]
    assert line.is_closed()


BROKEN = b"POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\nZZ"


def test_what_came_before_a_malformed_body_is_answered() -> None:
    with served(slow) as port, Line(port) as line:
        line.say(GET + GET + BROKEN)
        assert [line.hear()[2] for _ in range(2)] == [b"GET /a 0"] * 2
        line.socket.shutdown(1)
        assert line.is_closed()


def test_what_was_answered_is_not_answered_again(line: Line, refusing: int) -> None:
    """Whoever sends on would take it for their next answer."""
    for each in (line, Line(refusing)):
        with each:
            each.say(BROKEN[:-2].replace(b"/b", b"/unread"))
            assert each.hear()[0] in {200, 503}
            each.say(b"ZZ")
            each.socket.shutdown(1)
            assert each.is_closed()


def test_whoever_goes_away_before_their_answers_leaves_no_trace(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with served(slow) as port:
        with Line(port) as line:
            line.say(GET * 3)
            assert line.hear()[0] == 200
            line.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        time.sleep(0.3)
    assert not caplog.records


@pytest.mark.parametrize(
    "large",
    [
        b"GET /a HTTP/1.1\r\nX: " + b"a" * MAX_HEAD_BYTES + b"\r\n\r\n",
        b"GET /a HTTP/1.1\r\nX: " + b"a" * 400_000,
        b"GET /" + b"a" * MAX_HEAD_BYTES + b" HTTP/1.1\r\n\r\n",
        b"GET /a HTTP/1.1\r\n" + b"X: a\r\n" * (MAX_HEADERS + 1) + b"\r\n",
    ],
    ids=["header", "header without an end", "address", "headers"],
)
def test_a_head_has_its_bounds(line: Line, large: bytes) -> None:
    line.say(large)
    assert_refused(line, 431, "header-too-large")


def test_a_head_within_its_bounds_is_taken(line: Line) -> None:
    fields = b"X: a\r\n" * (MAX_HEADERS - 1)
    line.say(b"GET /a HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n")
    assert line.hear()[0] == 200


def test_a_head_is_not_charged_with_what_came_before_it(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(head_limits, "MAX_HEAD_BYTES", 1_000)
    body = b"Content-Length: 2000\r\n\r\n" + b"a" * 2_000
    line.say(b"POST /b HTTP/1.1\r\nHost: x\r\n" + body + GET[:-2])
    assert line.hear()[0] == 200
    line.say(GET[-2:])
    assert line.hear()[0] == 200


def test_what_comes_behind_a_body_does_not_pass_for_a_header(line: Line) -> None:
    line.say(
        b"POST /headers HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"1\r\na\r\n0\r\nAuthorization: Bearer x\r\n\r\n"
    )
    assert line.hear()[2] == b"host,transfer-encoding"


TRAILERS = b"0\r\n" + b"X: a\r\n" * 100_000


@pytest.mark.parametrize(
    "tail",
    [TRAILERS, b"64\r\n" + b"a" * 100 + b"\r\n" + TRAILERS, b"1;" + b"a" * 600_000],
    ids=["trailers", "trailers of a small body", "extension of a chunk"],
)
def test_what_comes_round_a_body_has_its_bound(line: Line, tail: bytes) -> None:
    line.say(b"POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    line.say(tail)
    assert_refused(line, 431, "header-too-large")


def test_a_body_may_come_in_chunks_of_a_byte(line: Line) -> None:
    line.say(b"POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    line.say(b"1\r\na\r\n" * 100_000 + b"0\r\n\r\n")
    assert line.hear()[2] == b"POST /b 100000"


def test_nothing_is_carried_out_behind_the_last_answer(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever reads that the connection is closed repeats what they have sent behind it."""
    carried_out: list[str] = []

    async def noted(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            carried_out.append(scope["path"])
        await slow(scope, receive, send)

    with served(noted) as port, Line(port) as line:
        line.say(GET.replace(b"/a", b"/closing") + GET + GET[:-2])
        assert line.hear()[2] == b"GET /closing 0"
        line.socket.shutdown(1)
        assert line.is_closed()
    assert carried_out == ["/closing"]
    assert not caplog.records


def test_so_many_requests_may_be_sent_ahead(line: Line) -> None:
    line.say(GET * 1_000)
    answered = 0
    with contextlib.suppress(AssertionError):
        while line.hear()[0] == 200:
            answered += 1
    assert answered == uvicorn_protocol.MAX_PIPELINED + 1


@pytest.mark.parametrize("path", [b"/closing", b"\x00"])
def test_why_it_was_in_vain_can_be_read_while_sending(line: Line, path: bytes) -> None:
    """A socket that is closed with something unread forgets what it has sent."""
    head = b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 20000000\r\n\r\n"
    line.say(head + b"x" * 1_000_000)
    for _ in range(10):
        line.say(b"x" * 1_000_000)
    assert line.hear()[0] in {200, 400}
    line.socket.shutdown(1)
    assert line.is_closed()


OFFERS = {
    "h2c": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
    "h2c without settings": b"connection: upgrade\r\nupgrade: h2c\r\n",
    "websocket": b"Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n",
    "TLS": b"Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n",
    "several": b"Connection: Upgrade\r\nUpgrade: foo/2, h2c ,websocket\r\n",
    "several lines": b"Connection: x\r\nConnection: Upgrade\r\nUpgrade: a\r\nUpgrade: b\r\n",
    "no name": b"Connection: Upgrade\r\nUpgrade:\r\n",
    "no offer": b"",
}
BODIES = {
    "length": b"Content-Length: 5\r\n\r\nab\r\nc",
    "chunked": (
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nab\r\r\n2;ext=1\r\n\nc\r\n0\r\nTrailer: x\r\n\r\n"
    ),
}


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_body_behind_an_offer_of_another_protocol_is_read(
    line: Line, offer: bytes, body: bytes
) -> None:
    """RFC 9110, 7.8."""
    offering = b"POST /b HTTP/1.1\r\nHost: x\r\n" + offer + body
    line.say(GET + offering + offering + GET)
    assert [line.hear()[2] for _ in range(4)] == [b"GET /a 0", *[b"POST /b 5"] * 2, b"GET /a 0"]
    for place in range(len(offering)):
        line.say(offering[place : place + 1])
    assert line.hear()[2] == b"POST /b 5"
    head, _, content = offering.partition(b"\r\n\r\n")
    line.say(head + b"\r\n\r\n")
    line.say(content + GET)
    assert [line.hear()[2] for _ in range(2)] == [b"POST /b 5", b"GET /a 0"]


def test_an_offer_without_a_body_is_answered_as_if_it_were_not_there(line: Line) -> None:
    line.say(GET.replace(b"\r\n\r\n", b"\r\n" + OFFERS["websocket"] + b"\r\n") + GET)
    assert [line.hear()[::2] for _ in range(2)] == [(200, b"GET /a 0")] * 2


def test_an_offer_changes_nothing_of_how_a_connection_ends(line: Line) -> None:
    offer = OFFERS["h2c"].replace(b"Connection: ", b"Connection: close, ")
    line.say(b"POST /b HTTP/1.1\r\nHost: x\r\n" + offer + BODIES["length"] + GET)
    answered, headers, body = line.hear()
    assert (answered, headers["connection"], body) == (200, "close", b"POST /b 5")
    assert line.is_closed()


@pytest.mark.parametrize(
    "framing",
    [
        b"Transfer-Encoding: gzip\r\n\r\n",
        b"Transfer-Encoding: chunked, gzip\r\n\r\n",
        b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    ],
)
def test_behind_an_offer_a_length_is_no_less_clear(line: Line, framing: bytes) -> None:
    line.say(b"POST /b HTTP/1.1\r\nHost: x\r\n" + OFFERS["h2c"] + framing)
    assert_refused(line, 400, "bad-request")


def test_a_refused_offer_takes_its_body_with_it(refusing: int) -> None:
    hidden = GET.replace(b"/a", b"/hidden")
    length = b"Content-Length: %d\r\n\r\n" % len(hidden)
    with Line(refusing) as line:
        line.say(b"POST /b HTTP/1.1\r\nHost: x\r\n" + OFFERS["h2c"] + length + hidden + GET)
        assert [line.hear()[0] for _ in range(2)] == [503, 503]
        line.socket.shutdown(1)
        assert line.is_closed()


def test_what_comes_behind_a_body_behind_an_offer_has_its_bound(line: Line) -> None:
    line.say(b"POST /b HTTP/1.1\r\nHost: x\r\n" + OFFERS["h2c"])
    line.say(b"Transfer-Encoding: chunked\r\n\r\n")
    line.say(TRAILERS)
    assert_refused(line, 431, "header-too-large")


def test_a_body_comes_when_it_is_asked_for(line: Line) -> None:
    line.say(b"POST /b HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
    assert line._heard.readline() == b"HTTP/1.1 100 Continue\r\n"
    assert line._heard.readline() == b"\r\n"
    line.say(b"abc")
    assert line.hear()[2] == b"POST /b 3"


def test_a_body_is_not_asked_for_in_words_that_its_sender_does_not_know(line: Line) -> None:
    """RFC 9110, 10.1.1."""
    head = b"POST /b HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
    line.say(head + b"abc")
    assert line.hear()[2] == b"POST /b 3"


def test_whoever_is_not_asked_for_the_body_is_not_misread(line: Line) -> None:
    """They may send the body all the same, or their next request: no one can tell."""
    line.say(
        b"POST /unread HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
    )
    assert line.hear()[1]["connection"] == "close"
    assert line.is_closed()


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little time for a head."""
    monkeypatch.setattr(uvicorn_protocol, "HEAD_TIMEOUT_SECONDS", 0.2)


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("said", [b"", b"\r\n", GET[:-2], GET + GET[:-2]])
def test_a_head_that_does_not_come_in_time_is_not_waited_for(port: int, said: bytes) -> None:
    with Line(port) as line:
        line.say(said)
        if said.startswith(GET):
            assert line.hear()[0] == 200
        assert line.is_closed()


@pytest.mark.usefixtures("hurried")
def test_dripping_a_body_that_nobody_reads_keeps_no_connection(port: int) -> None:
    with Line(port) as line:
        line.say(b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        assert line.hear()[0] == 200
        with pytest.raises(ConnectionError):  # noqa: PT012  # it drips until it may not
            for _ in range(1_000_000):
                line.say(b"a")
                line.socket.settimeout(0.01)
                try:
                    if not line.socket.recv(1):
                        raise ConnectionResetError
                except TimeoutError:
                    pass


def test_a_refusal_of_head_has_no_body(refusing: int) -> None:
    with Line(refusing) as line:
        line.say(GET.replace(b"GET", b"HEAD") + GET.replace(b"\r\n\r\n", CLOSE))
        line.socket.shutdown(1)
        head, _, rest = line.read().partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ")
        assert rest.startswith(b"HTTP/1.1 503 ")


def test_whoever_reads_no_refusal_is_not_refused_for_ever(refusing: int) -> None:
    """Refusals would pile up: each is some fifty times as long as what it answers."""
    with Line(refusing) as line:
        with contextlib.suppress(ConnectionError):
            for _ in range(20):
                line.say(GET * 1_000)
                time.sleep(0.02)
            line.socket.shutdown(1)
        assert line.read().count(b"HTTP/1.1 503 ") < 20_000


def test_says_how_long_an_idle_connection_is_kept() -> None:
    with served(echo) as port, Line(port) as line:
        line.say(GET)
        announced = line.hear()[1]["keep-alive"]
    seconds = int(announced.removeprefix("timeout="))
    # Whichever protocol serves, it waits a second longer.
    assert seconds + 1 == uvicorn_protocol.HEAD_TIMEOUT_SECONDS == serve._KEEP_ALIVE_SECONDS


LARGE = 20_000_000


async def large(scope: Any, receive: Any, send: Any) -> None:
    """Answers with more than the system takes off our hands."""
    if scope["type"] == "lifespan":
        await echo(scope, receive, send)
        return
    fields = [(b"content-length", b"%d" % LARGE)]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": b"a" * LARGE})


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("said", [GET, GET + GET, GET.replace(b"\r\n\r\n", CLOSE)])
def test_whoever_reads_no_answer_keeps_no_connection(said: bytes) -> None:
    with served(large) as port, Line(port) as line:
        line.say(said)
        time.sleep(0.7)
        assert len(line.read()) < LARGE


def test_callers_who_do_not_read_keep_nobody_out() -> None:
    overload = OverloadProtection(large, AdmissionQueue(1, 100), request_seconds=10)
    with served(overload, overload) as port, Line(port) as silent, Line(port) as other:
        silent.say(GET + GET)  # the second answer waits for the first to be read
        other.say(GET)
        assert other.hear()[0] == 200


Answer = tuple[int, dict[str, str], Any]


def asked(line: Line, head: bytes, body: bytes = b"", fields: bytes = TRACED) -> Answer:
    """What is answered; the date aside."""
    length = b"Content-Length: %d\r\n" % len(body)
    line.say(head + b" HTTP/1.1\r\nHost: x\r\n" + fields + length + b"\r\n" + body)
    status, headers, said = line.hear()
    headers.pop("date")
    return status, headers, json.loads(said)


def test_at_once_and_on_its_way_overload_is_refused_with_the_same_words(shop: Shop) -> None:
    draining = Draining()
    app = an_app(shop, cors_origins=("https://shop.example",), is_draining=draining)
    overload: OverloadProtection = app.state.overload
    overload._queue.refuses = lambda *, is_list: True  # type: ignore[method-assign]
    overload._queue.has_capacity = lambda: False  # type: ignore[method-assign]
    before = metrics.overload.refused
    with served(app, overload, is_draining=draining) as port, Line(port) as line:
        at_once = asked(line, b"POST /v1/orders", b"x" * 70_000)
        assert asked(line, b"GET /v1/orders?limit=1") == asked(line, b"GET /v1/orders/x") == at_once
        assert (at_once[0], at_once[1]["retry-after"]) == (503, "1")
        assert (at_once[2]["code"], at_once[2]["trace_id"]) == ("overloaded", TRACE)
        assert asked(line, b"GET /livez")[0] == 200
        assert metrics.overload.refused == before + 3

        fields = TRACED + b"Origin: https://shop.example\r\n"
        foreign = asked(line, b"GET /v1/orders/x", fields=fields)
        assert foreign[1]["access-control-allow-origin"] == "https://shop.example"
        assert foreign[::2] == at_once[::2]

        draining.begin()
        on_its_way = asked(line, b"GET /v1/orders/x")
        assert on_its_way[1].pop("connection") == "close"
        assert on_its_way[1].pop("vary") == "Origin"  # of an answer that nobody keeps
        assert on_its_way == at_once
        assert metrics.overload.refused == before + 5


@pytest.mark.parametrize("how", SMUGGLED)
def test_no_header_becomes_two(line: Line, how: bytes) -> None:
    line.say(GET.replace(b"/a", b"/smuggled?" + how))
    assert line.is_closed()


def test_an_answer_without_a_length_is_sent_in_chunks() -> None:
    async def unmeasured(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await echo(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ab", "more_body": True})
        await send({"type": "http.response.body", "body": b"c"})

    with served(unmeasured) as port, Line(port) as line:
        line.say(GET.replace(b"HTTP/1.1\r\n", b"HTTP/1.1\r\nConnection: close\r\n"))
        head, _, body = line.read().partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head
    assert b"connection: close" in head
    assert body == b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
