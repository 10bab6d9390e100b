"""Ways to spoil a request. Each takes a good one and a source of randomness, and is seeded."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Final
from urllib.parse import quote

Header = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Raw:
    """A request as it goes over the wire. `framed` is False where its end may be unclear."""

    method: bytes
    target: bytes
    headers: tuple[Header, ...]
    body: bytes = b""
    framed: bool = True
    story: tuple[str, ...] = field(default=())
    sign: bool = False
    """Sign the body as the payment service does, whatever has become of it."""

    def text(self) -> bytes:
        """The bytes to send."""
        headers = list(self.headers)
        names = {name.lower() for name, _ in headers}
        if self.body and not names & {b"content-length", b"transfer-encoding"}:
            headers.append((b"Content-Length", b"%d" % len(self.body)))
        lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
        return self.method + b" " + self.target + b" HTTP/1.1\r\n" + lines + b"\r\n" + self.body

    def with_header(self, name: bytes, *values: bytes) -> Raw:
        """The request with these values of a header instead of any it had."""
        kept = [each for each in self.headers if each[0].lower() != name.lower()]
        return replace(self, headers=(*kept, *((name, value) for value in values)))


Mutation = Callable[[Raw, Random], Raw]

NUMBERS: Final = (
    b"1e400", b"-1e400", b"1.0", b"1e0", b"-0", b"-0.0", b"0.5", b"9223372036854775807",
    b"9223372036854775808", b"18446744073709551616", b"-9223372036854775809",
    b"9007199254740992", b"1" * 400, b"1" * 5_000, b"NaN", b"Infinity", b"-Infinity", b"01", b"+1",
    b"0x10", b"1_000", b"1.", b".5", b"1e", b"\xd9\xa1", b"true", b"null", b'"1"', b"[]", b"{}",
)  # fmt: skip
TEXTS: Final = (
    rb"\ud800", rb"\udc00\ud800", rb"\u0000", rb"\u0007", rb"\u000a", b"\x00", b"\x1f", b"\xff",
    b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x80\xae", b"\xcc\x81" * 40,
    b"a" * 70_000, rb"\x41", b"\\", rb"\u12", b"<script>", b"$where", b"$gt", b"__proto__",
    b"\xef\xbb\xbf", "\u0661".encode(), "\u00a0".encode(), b"{{7*7}}", b"${jndi:ldap://x}",
    b"' OR 1=1 --", b"../../etc/passwd", b"%00", b"%s%n",
)  # fmt: skip
IDS: Final = (
    "00000000-0000-0000-0000-000000000000", "not-an-id", "١٢٣", "..", "%2e%2e", "%00", "%ff",
    "%0d%0aX: y", "{}", "[]", "a" * 9_000, "0", "-1", "1.0", "null", "true", "$ne", "*", "%2F",
    "%25", "８c9e6b1e-2f0a-8d3b-9c58-0f6a4b1d2e3f", "{8c9e6b1e-2f0a-8d3b-9c58-0f6a4b1d2e3f}",
    "urn:uuid:8c9e6b1e-2f0a-8d3b-9c58-0f6a4b1d2e3f", "8c9e6b1e2f0a8d3b9c580f6a4b1d2e3f", ";x=y",
)  # fmt: skip
QUERIES: Final = (
    b"dry_run=true&dry_run=false", b"dry_run=1", b"dry_run=TRUE", b"dry_run=", b"dry_run[]=true",
    b"limit=0", b"limit=-1", b"limit=1e3", b"limit=1&limit=2", b"limit=%D9%A1", b"limit=" + b"9" * 300,
    b"status[$ne]=pending", b"status=%7B%22$ne%22:1%7D", b"status=pending&status=pending",
    b"customer_id=%00", b"customer_id=%FF", b"customer_id=", b"number=%", b"number=%zz", b"cursor=",
    b"cursor=AAAA", b"cursor=" + b"A" * 54, b"after=-1", b"after=9007199254740993", b"after=1.0",
    b"created_from=0000-00-00T00:00:00Z", b"created_from=9999-12-31T23:59:60Z", b"sort=__class__",
    b"created_from=2026-01-01T00:00:00%2B99:99", b"created_before=0001-01-01T00:00:00Z",
    b"created_from=2026-01-01T00:00:00.1234567890123Z", b"outstanding=1", b"access_token=x",
    b"&&&=&=", b"=", b"%3D", b"?", b"??", b"a=b;c=d", b"x" * 20_000, b"\xc3\xa9=\xc3\xa9",
    b"external_reference=" + b"a" * 300, b"external_reference=%F0%9F%98%80",
)  # fmt: skip
TYPES: Final = (
    b"", b"text/plain", b"application/xml", b"application/json; charset=utf-16", b"APPLICATION/JSON",
    b"application/json; charset=latin1", b"application/json;charset=UTF-8", b"application/jsonx",
    b"application/json, application/json", b"application/merge-patch+json", b"application/json;",
    b"application/json; boundary=x", b"multipart/form-data; boundary=x", b"*/*", b"application/*",
    b"application/x-www-form-urlencoded", b"application/json\x0b", b'application/json; a="', b"\xff",
    b"application/problem+json", b"application/octet-stream", b"application/vnd.api+json", b"json",
)  # fmt: skip
HEADERS: Final[tuple[tuple[bytes, tuple[bytes, ...]], ...]] = (
    (b"Idempotency-Key", (b"", b"a" * 300, b'"', b'""', b'"a', b"a b", b"\xc3\xa9", b'"\\x"', b"a,b", b"\x7f")),
    (b"If-Match", (b"", b"1", b'"1', b"W/1", b'"a" "b"', b",", b"*, *", b'"' + b"9" * 400 + b'"', b"\xff", b"null")),
    (b"If-None-Match", (b"", b"1", b'"1', b"*,*", b"\xff", b'W/"', b'w/"1"')),
    (b"Authorization", (b"", b"Bearer", b"Bearer ", b"Basic YTpi", b"Bearer a b", b"bearer x.y.z", b"Bearer " + b"a" * 9_000, b"Bearer \xff", b"Bearer e30.e30.", b"Bearer\tx", b"Bearer ..")),
    (b"Accept", (b"", b"text/html", b"application/json;q=0", b"*/*;q=x", b"\xff", b"a" * 5_000)),
    (b"Accept-Encoding", (b"gzip;q=0", b"identity;q=0", b"*;q=0", b"\xff")),
    (b"Content-Encoding", (b"gzip", b"identity, gzip", b"br", b"IDENTITY", b"")),
    (b"Expect", (b"100-continue", b"200-ok", b"")),
    (b"Cookie", (b"a=b", b"\xff", b"=" * 5_000)),
    (b"Origin", (b"null", b"https://evil.example", b"\xff")),
    (b"traceparent", (b"00-0-0-0", b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-00", b"\xff", b"ff-" + b"f" * 32)),
    (b"X-HTTP-Method-Override", (b"DELETE", b"PUT")),
    (b"X-Original-URL", (b"/v1/events",)),
    (b"X-Forwarded-For", (b"127.0.0.1", b"\xff", b"::1, x")),
    (b"Forwarded", (b"for=127.0.0.1;proto=https",)),
    (b"Range", (b"bytes=0-0", b"bytes=-1")),
    (b"Upgrade", (b"h2c", b"websocket")),
    (b"Origin-Agent-Cluster", (b"?0",)),
    (b"webhook-id", (b"", b"\xff", b"a" * 300)),
    (b"webhook-timestamp", (b"", b"0", b"-1", b"1e3", b"9" * 30, "\u0661".encode(), b"nan")),
    (b"webhook-signature", (b"", b"v1,", b"v1,AAAA", b"v2," + b"A" * 43 + b"=", b"v1," + b"\xff" * 20)),
)  # fmt: skip
METHODS: Final = (
    b"PUT", b"DELETE", b"TRACE", b"OPTIONS", b"HEAD", b"get", b"Post", b"PROPFIND", b"QUERY", b"X",
    b"GET", b"POST", b"PATCH", b"M" * 60,
)  # fmt: skip
_MEMBER: Final = re.compile(rb'"(\w+)":')
_NUMBER: Final = re.compile(rb"(?<=:)-?\d+")
_STRING: Final = re.compile(rb'(?<=:)"[^"]*"')


def bits(raw: Raw, random: Random) -> Raw:
    """Flip one to four bits of the body."""
    body = bytearray(raw.body or b"{}")
    for _ in range(random.randint(1, 4)):
        body[random.randrange(len(body))] ^= 1 << random.randrange(8)
    return replace(raw, body=bytes(body))


def truncated(raw: Raw, random: Random) -> Raw:
    """End the body early, and say so."""
    return replace(raw, body=raw.body[: random.randrange(len(raw.body) + 1)])


def spliced(raw: Raw, random: Random) -> Raw:
    """Put a part of the body into another place of it."""
    start, end = sorted(random.choices(range(len(raw.body) + 1), k=2))
    at = random.randrange(len(raw.body) + 1)
    return replace(raw, body=raw.body[:at] + raw.body[start:end] + raw.body[at:])


def doubled(raw: Raw, random: Random) -> Raw:
    """Name a member twice."""
    found = list(_MEMBER.finditer(raw.body))
    if not found:
        return replace(raw, body=b'{"a":1,"a":2}')
    one = random.choice(found)
    again = one[0] + random.choice((b"null", b"1", b'"x"', b"[]")) + b","
    return replace(raw, body=raw.body[: one.start()] + again + raw.body[one.start() :])


def renamed(raw: Raw, random: Random) -> Raw:
    """Name a member that there is not."""
    return _replaced(raw, random, _MEMBER, b'"' + random.choice(TEXTS) + b'":')


def renumbered(raw: Raw, random: Random) -> Raw:
    """Put a strange number for a number."""
    return _replaced(raw, random, _NUMBER, random.choice(NUMBERS))


def retyped(raw: Raw, random: Random) -> Raw:
    """Put a strange value for a text."""
    return _replaced(raw, random, _STRING, random.choice(NUMBERS))


def retold(raw: Raw, random: Random) -> Raw:
    """Put a strange text for a text."""
    return _replaced(raw, random, _STRING, b'"' + random.choice(TEXTS) + b'"')


def nested(raw: Raw, random: Random) -> Raw:
    """Put something deep for a value."""
    levels = random.choice((31, 32, 33, 1_000, 20_000))
    opening, closing = random.choice(((b"[", b"]"), (b'{"a":', b"}")))
    deep = opening * levels + b"1" + closing * random.choice((levels, levels - 1, 0))
    return _replaced(raw, random, _STRING if random.random() < 0.7 else _NUMBER, deep)


def encoded(raw: Raw, random: Random) -> Raw:
    """Write the body in another encoding, or with something before or behind it."""
    text = raw.body.decode("utf-8", "replace")
    ways: tuple[Callable[[], bytes], ...] = (
        lambda: text.encode("utf-16"), lambda: text.encode("utf-32-le"), lambda: text.encode("utf-7"),
        lambda: b"\xef\xbb\xbf" + raw.body, lambda: raw.body + b"\x00", lambda: raw.body + raw.body,
        lambda: raw.body + b" " * 70_000, lambda: b"\x0c" + raw.body, lambda: raw.body + b"//",
        lambda: b"[" + raw.body + b"]", lambda: b"", lambda: b" ", lambda: b"null", lambda: b'"a"',
        lambda: b"\xa0" + raw.body, lambda: raw.body.replace(b'"', b"'"),
    )  # fmt: skip
    return replace(raw, body=random.choice(ways)())


def typed(raw: Raw, random: Random) -> Raw:
    """Say that the body is something else, or say it twice."""
    chosen = random.choices(TYPES, k=random.choice((0, 1, 1, 1, 2)))
    return raw.with_header(b"Content-Type", *chosen)


def headed(raw: Raw, random: Random) -> Raw:
    """Send a strange value of a header, or two."""
    name, values = random.choice(HEADERS)
    return raw.with_header(name, *random.choices(values, k=random.choice((1, 1, 1, 2))))


def queried(raw: Raw, random: Random) -> Raw:
    """Ask in a strange way."""
    return replace(raw, target=raw.target.partition(b"?")[0] + b"?" + random.choice(QUERIES))


def addressed(raw: Raw, random: Random) -> Raw:
    """Put something strange for a segment of the path, or spell one otherwise."""
    path, mark, query = raw.target.partition(b"?")
    segments = path.split(b"/")
    at = random.randrange(min(1, len(segments) - 1), len(segments))
    strange = quote(random.choice(IDS), safe="%;*$[]{}:.").encode()
    spelled = b"".join(b"%%%02x" % byte for byte in segments[at])
    segments[at] = random.choice((strange, strange, spelled, segments[at].upper(), b""))
    return replace(raw, target=b"/".join(segments) + mark + query)


def asked(raw: Raw, random: Random) -> Raw:
    """Use another method."""
    return replace(raw, method=random.choice(METHODS))


def misframed(raw: Raw, random: Random) -> Raw:
    """Lie about where the body ends."""
    size = len(raw.body)
    lengths = (b"%d" % (size + 7), b"%d" % max(0, size - 3), b"-1", b"+5", b"0x5", b"5, 5", b"5,6",
               b"9" * 30, b"", b" 5", b"5 5", b"1e1", b"00%d" % size)  # fmt: skip
    codings = (b"chunked", b"identity", b"gzip, chunked", b"chunked, identity", b"xchunked", b"\x0bchunked",
               b"CHUNKED", b"chunked;q=1")  # fmt: skip
    chunks = (b"%x\r\n%s\r\n0\r\n\r\n" % (size, raw.body), b"zz\r\n", b"-1\r\n\r\n", b"5\r\nabc", b"0\r\n",
              b"ffffffffffffffffff\r\nx", b"0\r\nX: y\r\n\r\n", b"5;a=b\r\nabcde\r\n0\r\n\r\n")  # fmt: skip
    ways: tuple[Callable[[], Raw], ...] = (
        lambda: raw.with_header(b"Content-Length", random.choice(lengths)),
        lambda: raw.with_header(b"Content-Length", b"%d" % size, random.choice(lengths)),
        lambda: replace(
            raw.with_header(b"Transfer-Encoding", random.choice(codings)), body=random.choice(chunks)
        ),
        lambda: replace(
            raw.with_header(b"Transfer-Encoding", b"chunked").with_header(
                b"Content-Length", b"%d" % size
            ),
            body=random.choice(chunks),
        ),
        lambda: raw.with_header(b"Host", *random.choice(((), (b"a", b"b"), (b"",), (b"a b",)))),
        lambda: raw.with_header(b"X-Folded", b"a\r\n b"),
        lambda: replace(raw, headers=(*raw.headers, (b"X Bad", b"a"), (b"", b"b"))),
        lambda: replace(raw, headers=(*raw.headers, (b"X-Nul", b"a\x00b"))),
        lambda: replace(raw, target=random.choice((b"*", b"x", b"http://a/v1/orders", b"/\xff", b""))),
        lambda: replace(raw, headers=(*raw.headers, *((b"X-%d" % n, b"a") for n in range(300)))),
    )  # fmt: skip
    return replace(random.choice(ways)(), framed=False)


OF_BODIES: Final[tuple[Mutation, ...]] = (
    bits, truncated, spliced, doubled, renamed, renumbered, retyped, retold, nested, encoded,
)  # fmt: skip
OF_ALL: Final[tuple[Mutation, ...]] = (typed, headed, queried, addressed, asked, misframed)


def _replaced(raw: Raw, random: Random, what: re.Pattern[bytes], by: bytes) -> Raw:
    found = list(what.finditer(raw.body))
    if not found:
        return replace(raw, body=b'{"a":' + by + b"}")
    one = random.choice(found)
    return replace(raw, body=raw.body[: one.start()] + by + raw.body[one.end() :])
