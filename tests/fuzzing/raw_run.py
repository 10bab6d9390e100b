"""Ten thousand spoiled requests: who sends them, what every answer is held to, what is left."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Final

import httpx

from tests.fuzzing.raw_client import Answer
from tests.fuzzing.raw_mutations import OF_ALL, OF_BODIES, Raw
from tests.support.published_api import Published

_INSIDES: Final = (b"traceback", b"litestar", b"msgspec", b"pymongo", b"uvicorn", b'.py"', b"errno")


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """What there is to ask about. `orders` are as they were answered."""

    orders: Sequence[Mapping[str, Any]]
    message: bytes
    """A message of the payment service about a payment of ours, unsigned."""
    webhook_secret: str
    tokens: Sequence[str | None]


def good_requests(document: Mapping[str, Any], targets: Targets, random: Random) -> list[Raw]:
    """One request as described for each operation."""
    requests = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            headers = [(b"Host", b"orders"), (b"Accept", b"application/json")]
            body = _body(document, operation)
            if body:
                headers.append((b"Content-Type", b"application/json"))
            if path.endswith("/payment-events"):
                body = targets.message
            raw = Raw(method.upper().encode(), path.encode(), tuple(headers), body)
            requests.append(replace(raw, sign=path.endswith("/payment-events")))
    random.shuffle(requests)
    return requests


def spoiled(
    good: Sequence[Raw], targets: Targets, random: Random, count: int
) -> Iterator[tuple[int, Raw]]:
    """So many requests, each spoiled once or twice."""
    with_body = [raw for raw in good if raw.body]
    for number in range(count):
        # Three of four are about a body, if there is one.
        of_body = number % 4 != 3
        raw = random.choice(with_body if of_body else good)
        raw = _addressed_to_somebody(raw, targets, random)
        kinds = OF_BODIES if of_body else OF_ALL
        for mutation in random.choices(kinds, k=random.choice((1, 1, 2))):
            raw = mutation(raw, random)
            raw = replace(raw, story=(*raw.story, mutation.__name__))
        yield number, _signed(raw, targets, random) if raw.sign else raw


def _addressed_to_somebody(raw: Raw, targets: Targets, random: Random) -> Raw:
    order = random.choice(targets.orders)
    path = raw.target.decode()
    for name, value in (
        ("order_id", order["id"]),
        ("part_id", random.choice("123")),
        ("number", order["number"]),
        ("external_reference", order["external_reference"]),
    ):
        path = path.replace(f"{{{name}}}", value)
    raw = replace(raw, target=path.encode())
    token = random.choice(targets.tokens)
    if token is not None and not raw.sign:
        raw = raw.with_header(b"Authorization", f"Bearer {token}".encode())
    if raw.method != b"GET":
        raw = raw.with_header(b"Idempotency-Key", b"%032x" % random.getrandbits(128))
    return raw.with_header(b"If-Match", b"*") if raw.method == b"PATCH" else raw


def _signed(raw: Raw, targets: Targets, random: Random) -> Raw:
    name, at = b"msg_%x" % random.getrandbits(64), b"%d" % time.time()
    secret = base64.b64decode(targets.webhook_secret.removeprefix("whsec_"))
    if random.random() < 0.3:
        secret = bytes(32)
    code = hmac.digest(secret, name + b"." + at + b"." + raw.body, hashlib.sha256)
    for header, value in (
        (b"webhook-id", name),
        (b"webhook-timestamp", at),
        (b"webhook-signature", b"v1," + base64.b64encode(code)),
    ):
        if header not in {each for each, _ in raw.headers}:
            raw = replace(raw, headers=(*raw.headers, (header, value)))
    return raw


def _body(document: Mapping[str, Any], operation: Mapping[str, Any]) -> bytes:
    content = operation.get("requestBody", {}).get("content", {})
    for media_type in content.values():
        # A body that may be left out may also be null.
        schema = media_type["schema"].get("oneOf", [media_type["schema"]])[0]
        name = schema["$ref"].rpartition("/")[2]
        example = document["components"]["schemas"][name]["examples"][0]
        return json.dumps(example, separators=(",", ":")).encode()
    return b""


@dataclass
class Judge:
    """Holds every answer to what all answers promise, and notes what may be left of it."""

    published: Published
    always: Mapping[str, str]
    versions: dict[str, int] = field(default_factory=dict)
    """The version of every order that an answer told of a change of."""
    booked: int = 0
    seen: Counter[str] = field(default_factory=Counter)

    def __call__(self, number: int, raw: Raw, answer: Answer | None) -> None:
        if answer is None:
            assert not raw.framed, "no answer"
            self.seen["no answer, as the request has no end"] += 1
            return
        assert answer.status < 500, answer
        self.seen[str(answer.status)] += 1
        for name, value in self.always.items():
            assert answer.values(name.encode()) == [value.encode()], (name, answer)
        assert not any(word in answer.body.lower() for word in _INSIDES), answer
        if answer.status >= 400 and raw.method != b"HEAD":
            self._judge_problem(answer)
        if answer.status < 300 and raw.method in {b"POST", b"PATCH"}:
            self._note_change(raw, answer)
        self._judge_by_description(raw, answer)

    def _judge_problem(self, answer: Answer) -> None:
        assert answer.values(b"content-type") == [b"application/problem+json"], answer
        problem = json.loads(answer.body)
        assert problem["status"] == answer.status, answer
        assert problem["type"] == f"/problems/{problem['code']}", answer
        assert len(problem["trace_id"]) == 32, answer

    def _note_change(self, raw: Raw, answer: Answer) -> None:
        if answer.status == 204:
            self.booked += 1  # the payment service alone is answered with nothing
        elif b"dry_run=true" not in raw.target:
            order = json.loads(answer.body)
            if "version" not in order:
                return  # a quote
            known = self.versions.get(order["id"], 0)
            self.versions[order["id"]] = max(known, order["version"])

    def _judge_by_description(self, raw: Raw, answer: Answer) -> None:
        if answer.status == 405:
            assert answer.values(b"allow") not in ([], [b""]), answer
            return
        if not raw.method.isupper() or b"/.." in raw.target:
            return  # httpx would take it for another
        try:
            request = httpx.Request(raw.method.decode(), f"http://orders{raw.target.decode()}")
        except (httpx.InvalidURL, UnicodeDecodeError):
            return
        headers = [(name, value) for name, value in answer.headers if name != b"transfer-encoding"]
        self.published.judge(
            httpx.Response(answer.status, headers=headers, content=answer.body, request=request)
        )
