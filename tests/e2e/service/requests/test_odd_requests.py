"""Group H: odd addresses, queries, headers and framing."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from uuid import UUID

import pytest

from tests.support.processes.service import Caller, Running, body, key


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"])
def test_h_405(ada: Caller, method: str) -> None:
    answer = ada(method, "/v1/orders")
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}


@pytest.mark.parametrize(
    "order_id",
    [
        "not-an-id", "0", "-1", "%00", "%0a", "..%2f..%2fetc", "%7B%22$ne%22:1%7D", "null",
        "undefined", "*", "a" * 4000, "%ff%fe", "%E2%82%AC", "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff", "%F0%9F%A6%89",
        "{00000000-0000-0000-0000-000000000000}",
        "urn:uuid:00000000-0000-0000-0000-000000000000", "quote", "by-number", "by-reference",
    ],
)  # fmt: skip
def test_h_id(ada: Caller, order_id: str) -> None:
    for suffix in ("", "/actions", "/events"):
        answer = ada.get(f"/v1/orders/{order_id}{suffix}")
        assert answer.status_code in {400, 404, 405, 422}
    answer = ada.post(f"/v1/orders/{order_id}/cancel")
    assert answer.status_code in {400, 404, 405, 422}


@pytest.mark.parametrize("part", ["0", "-1", "1%0a", "%00", "1.0", "01", "$", "2", "a" * 999])
def test_h_id_of_a_part(ada: Caller, admin: Caller, part: str) -> None:
    order = ada.placed(body(payment={"method": "tok_ok"}))
    for step in ("capture", "void", "dismiss"):
        answer = admin.post(f"/v1/orders/{order['id']}/payments/{part}/{step}")
        assert answer.status_code in {400, 404, 422}, answer.text
    assert ada.order(order["id"]) == order


@pytest.mark.parametrize("number", ["x", "%00", "%0a", "0000-0000-00001", "%F0%9F%A6%89", "ß" * 13])
def test_h_id_by_number(ada: Caller, number: str) -> None:
    assert ada.get(f"/v1/orders/by-number/{number}").status_code in {400, 404, 422}


@pytest.mark.parametrize(
    "reference", ["%0a", "%00", "%20", "r" * 256, "%E2%82%AC", "%2e%2e", "$ne"]
)
def test_h_id_by_reference(ada: Caller, reference: str) -> None:
    assert ada.get(f"/v1/orders/by-reference/{reference}").status_code in {400, 404, 405, 422}


@pytest.mark.parametrize(
    "path",
    ["/v1/orders/", "//v1/orders", "/V1/ORDERS", "/v1//orders", "/v1/./orders", "/v1/orders;x"],
)
def test_h_slash(running: Running, ada: Caller, path: str) -> None:
    for caller, good in ((ada, {200, 308, 404}), (running.nobody(), {308, 401, 404})):
        bearer = f"Authorization: Bearer {caller.token}\r\n" if caller.token else ""
        said = running.say(
            f"GET {path} HTTP/1.1\r\nHost: x\r\n{bearer}Connection: close\r\n\r\n".encode()
        )
        assert int(said[9:12]) in good, said[:300]


@pytest.mark.parametrize(
    "limit", ["abc", "0", "-1", "1000000", "101", "1.5", "", "1e1", "%00", "\uff19"]
)
def test_h_q(running: Running, ada: Caller, limit: str) -> None:
    assert ada.get(f"/v1/orders?limit={limit}").status_code in {400, 422}
    auditor = running.someone("auditor")
    assert auditor.get(f"/v1/events?limit={limit}").status_code in {400, 422}
    assert auditor.get(f"/v1/events?after={limit or '-'}x").status_code in {400, 422}


@pytest.mark.parametrize(
    "query",
    [
        "status[$ne]=PAID", "status={%22$ne%22:1}", "status=", "status=PENDING", "sort=status",
        "sort=-created_at;drop", "number[$gt]=", "customer_id[$ne]=x", "created_from=yesterday",
        "created_from=2026-01-01T00:00:00", "created_from=9999-99-99", "created_before=0",
        "outstanding=maybe", "limit=1&limit=2", "sort=created_at&sort=-created_at", "Limit=1",
        "$where=1", "status=pending&unknown=1", "a=%ff", "dry_run=true", "access_token=x",
        "created_from=0001-01-01T00:00:00%2B14:00x", "number=%00",
    ],
)  # fmt: skip
def test_h_qop(ada: Caller, query: str) -> None:
    ada.placed()
    answer = ada.get(f"/v1/orders?{query}")
    assert answer.status_code in {400, 422}
    assert "PAID" not in answer.text


@pytest.mark.parametrize(
    "query",
    [
        "created_from=0001-01-01T00:00:00%2B14:00", "created_before=9999-12-31T23:59:59-14:00",
        "created_from=1969-12-31T23:59:59Z", "created_before=9999-12-31T23:59:59.999999Z",
        "customer_id=%00", "external_reference=%00", "customer_id=" + "a" * 5000, "customer_id=%ff",
        "external_reference=%F0%9F%A6%89", "customer_id=$ne", "customer_id=%0a",
    ],
)  # fmt: skip
def test_h_qop_at_the_edge_of_what_can_be_said(ada: Caller, query: str) -> None:
    ada.placed()
    assert ada.get(f"/v1/orders?{query}").status_code in {200, 400, 422}


def test_h_cursor(ada: Caller) -> None:
    for _ in range(3):
        ada.placed()
    cursor = ada.get("/v1/orders?limit=1").json()["next_cursor"]
    bad = ["", "AAAA", "x" * 54, cursor + "A", cursor[:-1], cursor + "=", "%00", "%E2%82%AC", "é"]
    bad += [
        f"{cursor[:place]}{'A' if cursor[place] != 'A' else 'B'}{cursor[place + 1 :]}"
        for place in range(len(cursor))
    ]
    for tampered in bad:
        assert ada.get(f"/v1/orders?limit=1&cursor={tampered}").status_code == 400, tampered
    other_list = ada.get(f"/v1/orders?limit=1&sort=created_at&cursor={cursor}")
    assert other_list.status_code == 400


def smuggling(ada: Caller) -> dict[str, bytes]:
    """Requests that two servers on the way could cut apart in two ways."""
    hidden = b"GET /v1/orders?limit=100 HTTP/1.1\r\nHost: hidden\r\n\r\n"
    head = (
        f"POST /v1/orders HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ada.token}\r\n"
        "Content-Type: application/json\r\nIdempotency-Key: k\r\n"
    ).encode()
    tail = b"0\r\n\r\n" + hidden
    length = b"Content-Length: %d\r\n" % len(tail)
    chunked = b"Transfer-Encoding: chunked\r\n"
    return {
        "cl-te": head + length + chunked + b"\r\n" + tail,
        "te-cl": head + chunked + length + b"\r\n" + tail,
        "cl-cl": head + b"Content-Length: 5\r\n" + length + b"\r\n" + tail,
        "cl-list": head + b"Content-Length: 5, 6\r\n\r\n" + tail,
        "te-obscured": head + b"Transfer-Encoding: xchunked\r\n" + length + b"\r\n" + tail,
        "te-space": head + b"Transfer-Encoding : chunked\r\n" + length + b"\r\n" + tail,
        "te-twice": head + b"Transfer-Encoding: identity\r\n" + chunked + b"\r\n" + tail,
        "te-1.0": head.replace(b"HTTP/1.1", b"HTTP/1.0") + chunked + b"\r\n" + tail,
        "cl-sign": head + b"Content-Length: +5\r\n\r\n" + tail,
        "cl-hex": head + b"Content-Length: 0x5\r\n\r\n" + tail,
        "bare-lf": head.replace(b"\r\n", b"\n") + b"Content-Length: 0\n\n",
        "folded": head + b"X: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    }  # fmt: skip


@pytest.mark.parametrize(
    "kind",
    [
        "cl-te", "te-cl", "cl-cl", "cl-list", "te-obscured", "te-space", "te-twice", "te-1.0",
        "cl-sign", "cl-hex", "bare-lf", "folded",
    ],
)  # fmt: skip
def test_h_clte(running: Running, ada: Caller, kind: str) -> None:
    said = running.say(smuggling(ada)[kind], timeout_seconds=0.5)
    # Refused, or processed as one; the hidden request would be answered with a 401 of its own.
    assert said.count(b"HTTP/1.1 ") + said.count(b"HTTP/1.0 ") <= 1, said
    assert said[9:10] in {b"4", b""}, said
    assert ada.orders() == []


@pytest.mark.parametrize(
    "chunks", [b"zz\r\nx\r\n", b"-1\r\n\r\n", b"ffffffffffffffffff\r\nx", b"5\r\nabc"]
)
def test_h_clte_broken_chunks(running: Running, ada: Caller, chunks: bytes) -> None:
    head = (
        f"POST /v1/orders HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ada.token}\r\n"
        "Content-Type: application/json\r\nIdempotency-Key: k\r\nTransfer-Encoding: chunked\r\n\r\n"
    ).encode()
    with running.connect(5) as connection:
        connection.sendall(head + chunks)
        connection.shutdown(socket.SHUT_WR)
        said = connection.recv(65536)
    assert said[9:10] in {b"4", b""}, said
    assert ada.orders() == []


@pytest.mark.parametrize(
    "hosts",
    [
        "",
        "Host: a\r\nHost: b\r\n",
        "Host: a\r\nHost: a\r\n",
        "Host: a b\r\n",
        "Host: a/b\r\n",
        "Host: a,b\r\n",
        "Host: a, b\r\n",
    ],
)
def test_h_host(running: Running, ada: Caller, hosts: str) -> None:
    said = running.say(
        f"GET /v1/orders HTTP/1.1\r\n{hosts}Authorization: Bearer {ada.token}\r\n"
        "Connection: close\r\n\r\n".encode()
    )
    assert said.startswith(b"HTTP/1.1 400 "), said[:200]


@pytest.mark.parametrize(
    ("hosts", "status"),
    [
        ("", b"200"),
        ("Host: a\r\n", b"200"),
        ("Host: a\r\nHost: b\r\n", b"400"),
        ("Host: a,b\r\n", b"400"),
    ],
)
def test_h_host_in_http_1_0(running: Running, ada: Caller, hosts: str, status: bytes) -> None:
    """As nginx speaks to the service unless told otherwise."""
    said = running.say(
        f"GET /v1/orders HTTP/1.0\r\n{hosts}Authorization: Bearer {ada.token}\r\n\r\n".encode()
    )
    assert said.split()[1] == status, said[:200]


@pytest.mark.parametrize(
    "target", ["*", "http://other/v1/orders", "orders", "/v1/orders#x", "/%", "/%zz"]
)
def test_h_target(running: Running, target: str) -> None:
    said = running.say(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert said[9:10] == b"4", said[:200]


@pytest.mark.parametrize("what", ["one", "many"])
def test_h_big(running: Running, ada: Caller, what: str) -> None:
    big = b"X-Big: " + b"a" * 1024 * 1024 + b"\r\n"
    many = b"".join(b"X-%d: a\r\n" % number for number in range(1_000))
    said = running.say(
        b"GET /livez HTTP/1.1\r\nHost: x\r\n" + (big if what == "one" else many) + b"\r\n"
    )
    assert said[9:12] in {b"431", b"400", b""}, said[:200]
    assert ada.get("/v1/orders").status_code == 200


def test_h_slowhdr(running: Running) -> None:
    started = time.monotonic()
    with running.connect(1) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        with suppress(ConnectionError):
            while time.monotonic() - started < 30:
                connection.sendall(b"a")
                with suppress(TimeoutError):
                    if not connection.recv(4096):
                        break
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    "header",
    [
        "X-Forwarded-For", "X-Real-IP", "Forwarded", "X-User-Id", "X-Tenant", "X-Roles",
        "X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override", "X-Forwarded-Prefix",
        "X-Forwarded-Host", "X-Authenticated-User", "X-Forwarded-User",
    ],
)  # fmt: skip
def test_h_xff(running: Running, ada: Caller, bob: Caller, header: str) -> None:
    order = ada.placed()
    for value in (
        ada.subject,
        "203.0.113.77",
        "t2",
        "admin",
        f"/v1/orders/{order['id']}",
        "DELETE",
    ):
        answer = bob.get("/v1/orders", headers={header: value})
        assert (answer.status_code, answer.json()["items"]) == (200, [])
    assert running.nobody().get("/v1/orders", headers={header: ada.subject}).status_code == 401
    assert "203.0.113.77" not in running.logged()


@pytest.mark.parametrize("accept", ["application/xml", "text/html", "*/*", "", "x", "image/*;q=0"])
def test_h_accept(ada: Caller, accept: str) -> None:
    for path in ("/v1/orders", f"/v1/orders/{UUID(int=1)}"):
        answer = ada.get(path, headers={"Accept": accept})
        assert answer.status_code in {200, 404, 406}
        assert "json" in answer.headers["content-type"]


def test_h_etag(ada: Caller) -> None:
    order = ada.placed()
    path = f"/v1/orders/{order['id']}"
    tag = ada.get(path).headers["etag"]
    for known in (tag, f"W/{tag}", "*", f'"x", {tag}'):
        answer = ada.get(path, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == tag
    for stale in ('"0"', '"999"', 'W/"999"', '"x"', '"1", "0"' if tag != '"1"' else '"7"'):
        refused = ada.post(f"{path}/cancel", headers={"If-Match": stale})
        assert refused.status_code == 412, stale
    for through_a_gateway in (f"W/{tag}", f'{tag[:-1]}-gzip"'):
        checked = ada.post(f"{path}/cancel?dry_run=true", headers={"If-Match": through_a_gateway})
        assert checked.status_code == 200, through_a_gateway
    for malformed in ("1", "", "x", '"', "'1'"):
        refused = ada.post(f"{path}/cancel", headers={"If-Match": malformed})
        assert refused.status_code in {400, 412}, malformed
    assert ada("PATCH", path, json={"note": "x"}).status_code == 428
    assert ada.order(order["id"]) == order
    assert ada.post(f"{path}/cancel", with_key=key(), headers={"If-Match": tag}).status_code == 200
