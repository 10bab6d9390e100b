"""The conditions of a request: its Idempotency-Key, its If-Match, and whether it is a dry run."""

import hashlib
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from litestar import Request as HttpRequest
from litestar.params import QueryParameter

from orders.application.requests import Request, RequestKey
from orders.entrypoints.http.problems import RequestRefused

IDEMPOTENCY_KEY: Final = "Idempotency-Key"
IF_MATCH: Final = "If-Match"
IF_NONE_MATCH: Final = "If-None-Match"
HEADERS: Final[Mapping[str, str]] = {
    IDEMPOTENCY_KEY: "A new key for each intent; retry safely with the same key and body.",
    IF_MATCH: 'The ETag of the order that the decision is based on, or its version: `"3"`.',
    IF_NONE_MATCH: 'The ETag of the order that the client has, or its version: `"3"`.',
}
"""The headers that are read here, by name, each with its published description.

Handlers do not declare them: Litestar would parse each for every request, and drop the result.
"""
NEEDS_KEY: Final = "needs_key"
"""In `opt` of a handler: its requests must carry an Idempotency-Key, unless they are dry runs."""
DryRun = Annotated[
    bool,
    QueryParameter(name="dry_run", description="Check and respond as usual, but change nothing."),
]

_RAW_KEY: Final = re.compile(r"[\x21\x23-\x7e][\x21-\x7e]*\Z")
# An sf-string of RFC 9651: what draft-ietf-httpapi-idempotency-key-header-07 asks for.
_QUOTED_KEY: Final = re.compile(r'"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])+)"\Z')
_TAG: Final = r'(?:W/)?"[\x21\x23-\x7e]*"'
# A list may have empty elements (RFC 9110, 5.6.1.2), and a tag a comma.
_TAGS: Final = re.compile(rf"[ \t,]*{_TAG}(?:[ \t]*,[ \t,]*{_TAG})*[ \t,]*\Z")
_EACH_TAG: Final = re.compile(r'(?:W/)?"([\x21\x23-\x7e]*)"')
# A gateway that compresses a response may put the content coding behind our version.
_VERSION: Final = re.compile(
    r"(0|[1-9][0-9]{0,15})(?:(?:--?|;)(?:x-)?(?:gzip|br|zstd|deflate|compress))?\Z"
)


class CommandRequestReader:
    """Reads from a command's headers what the use case needs to know of its request."""

    def __init__(self, *, max_key_length: int) -> None:
        """Refuse an Idempotency-Key of more than `max_key_length` characters."""
        self._max_key_length = max_key_length

    def __call__(
        self,
        request: HttpRequest[Any, Any, Any],
        data: object,
        *,
        needs_key: bool = False,
        needs_version: bool = False,
        dry_run: bool = False,
    ) -> Request:
        """The request as use cases take it.

        Raises:
            RequestRefused: 400 for a malformed or missing key, 428 for a missing version.
        """
        if_match = _header(request, IF_MATCH)
        if needs_version and if_match is None and not dry_run:
            raise RequestRefused(
                HTTPStatus.PRECONDITION_REQUIRED,
                "version-required",
                "Send If-Match with the ETag of the order that you read.",
            )
        value = _key(_header(request, IDEMPOTENCY_KEY), self._max_key_length)
        if value is None and needs_key and not dry_run:
            detail = "Send an Idempotency-Key, a new one for each intent."
            raise _bad_key("idempotency-key-missing", detail)
        key = None if value is None else _request_key(value, request, data)
        return Request(caller=request.user, key=key, if_match=versions(if_match), dry_run=dry_run)


def etag(version: int) -> str:
    """The entity tag of an order at a version."""
    return f'"{version}"'


def versions(header: str | None) -> frozenset[int] | None:
    """The versions that an If-Match or If-None-Match names; None for any.

    A version is recognised in every form that compressing gateways give our tag: `"3"`, `W/"3"`,
    `"3-gzip"`, `W/"3-br"`. RFC 9110, 8.8.3.2 forbids weak tags in If-Match since two states may
    share one; no two states of an order share a version. Other tags match nothing.

    Raises:
        RequestRefused: 400 if the header is no list of entity tags (RFC 9110, 8.8.3).
    """
    if header is None or header == "*":
        return None
    if not _TAGS.match(header):
        detail = 'Send an entity tag such as "3": the version of the order, in quotes.'
        raise RequestRefused(HTTPStatus.BAD_REQUEST, "invalid-etag", detail)
    tags = (_VERSION.match(tag) for tag in _EACH_TAG.findall(header))
    return frozenset(int(tag[1]) for tag in tags if tag)


def not_modified(request: HttpRequest[Any, Any, Any], version: int) -> bool:
    """Whether the caller has this version already."""
    header = _header(request, IF_NONE_MATCH)
    if header is None:
        return False
    known = versions(header)
    return known is None or version in known


def _request_key(value: str, request: HttpRequest[Any, Any, Any], data: object) -> RequestKey:
    fingerprint = hashlib.sha256(msgspec.json.encode(data, order="deterministic")).hexdigest()
    return RequestKey(value=value, operation=_operation(request), fingerprint=fingerprint)


def _operation(request: HttpRequest[Any, Any, Any]) -> str:
    """The method and path; not as sent, for an id in a path can be spelled in several ways."""
    parts = " ".join(str(part) for part in request.path_params.values())
    return f"{request.method} {request.scope['path_template']} {parts}"


def _key(header: str | None, longest: int) -> str | None:
    if header is None:
        return None
    quoted = _QUOTED_KEY.match(header)
    key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else header
    if not quoted and not _RAW_KEY.match(header):
        raise _bad_key("idempotency-key-invalid", "An Idempotency-Key is printable ASCII.")
    if len(key) > longest:
        detail = f"An Idempotency-Key has at most {longest} characters."
        raise _bad_key("idempotency-key-invalid", detail)
    return key


def _bad_key(code: str, detail: str) -> RequestRefused:
    return RequestRefused(HTTPStatus.BAD_REQUEST, code, detail)


def _header(request: HttpRequest[Any, Any, Any], name: str) -> str | None:
    wanted = name.lower().encode()
    values = [value.decode("latin-1") for key, value in request.scope["headers"] if key == wanted]
    if len(values) > 1 and name == IDEMPOTENCY_KEY:
        raise _bad_key("idempotency-key-invalid", "Send exactly one Idempotency-Key.")
    return ", ".join(values) if values else None
