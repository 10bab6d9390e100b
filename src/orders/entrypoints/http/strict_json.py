"""Decodes one JSON text, and refuses it if it is ambiguous or expensive."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final, TypeVar

import msgspec

from orders.entrypoints.http.problems import InvalidMember, RequestRefused, without_values

T = TypeVar("T")

MAX_DEPTH: Final = 32
MAX_COSTLY: Final = 65_536
"""Objects, arrays and numbers that are not whole: each takes longer to read than all else. Only an
order of more than 10 000 lines would have as many.
"""

_DECODER: Final = msgspec.json.Decoder(float_hook=float)
"""msgspec takes up to 10 µs to parse a float, Python a twentieth of that."""
_INT64: Final = range(-(2**63), 2**63)
_NINES: Final = bytes.maketrans(b"012345678", b"999999999")
_LONG_NUMBER: Final = re.compile(rb"[-+.0-9eE]{19,}")
_TO_ONE_BRACKET: Final = bytes.maketrans(b"{}", b"[]")
_NEITHER_BRACKET_NOR_QUOTE: Final = bytes(set(range(256)) - set(b'[]{}"'))
_UNKNOWN_MEMBER: Final = re.compile(
    r"Object contains unknown field `(.{0,64}?)`(?: - at `\$|\Z)", re.DOTALL
)
_PATH: Final = re.compile(r" - at `\$((?:\.\w+|\[\d+\])*)(`?)")


def decode_json(body: bytes, expected: type[T], *, max_depth: int = MAX_DEPTH) -> T:
    """Read one JSON text as `expected`, without coercion. Linear in time, not recursive.

    Raises:
        RequestRefused: 400 for what is not JSON in UTF-8, is nested deeper than `max_depth` or
            names a member twice; 422 for an integer beyond 64 bits, a wrong type or an unknown
            member, with a pointer to it.
    """
    _require_utf8(body)
    text = _without_escapes(body)
    _require_bounds(text, max_depth)
    try:
        value = _DECODER.decode(body)
    except msgspec.ValidationError as error:
        raise _meaningless("a number is out of range") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise malformed("The body is not valid JSON.") from error
    written = _without_escapes(msgspec.json.encode(value))
    # Reading keeps one of two members of a name, so writing has fewer strings. This costs a third
    # of a Python hook that looks at each object's names.
    if text.count(b'"') != written.count(b'"'):
        raise malformed("An object has a member twice.")
    if _is_infinite(text, written) or _is_beyond_int64(text):
        raise _meaningless("a number is out of range")
    try:
        return msgspec.convert(value, expected)
    except msgspec.ValidationError as error:
        raise _meaningless(without_values(str(error)), pointer=_pointer(str(error))) from None


def _require_utf8(body: bytes) -> None:
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise malformed("The body is not UTF-8.") from error


def _without_escapes(text: bytes) -> bytes:
    """Remove escaped backslashes and quotes: every remaining quote begins or ends a string."""
    return text.replace(rb"\\", b"").replace(rb"\"", b"") if b"\\" in text else text


def _outside_strings(text: bytes) -> bytes:
    return b"".join(text.replace(b'""', b"").split(b'"')[::2])


def _require_bounds(text: bytes, max_depth: int) -> None:
    """Count what costs, then peel the innermost brackets `max_depth` times: none may be left."""
    brackets = text.translate(_TO_ONE_BRACKET, _NEITHER_BRACKET_NOR_QUOTE)
    brackets = _outside_strings(brackets)
    opening = brackets.count(b"[")
    if 2 * opening != len(brackets):
        raise malformed("The body is not valid JSON.")
    if opening > MAX_COSTLY or _fractions(text) > MAX_COSTLY:
        raise malformed(f"The body has more than {MAX_COSTLY} objects, arrays or fractions.")
    for _ in range(max_depth):
        brackets = brackets.replace(b"[]", b"")
    if brackets:
        raise malformed(f"The body is nested deeper than {max_depth} levels.")


def _fractions(text: bytes) -> int:
    """Return at least the number of fractions. `true` and `false` count, because of their e."""
    marks = (b".", b"e", b"E")
    count = sum(map(text.count, marks))
    return count if count <= MAX_COSTLY else sum(map(_outside_strings(text).count, marks))


def _is_infinite(text: bytes, written: bytes) -> bool:
    """Whether a float is infinite: it is encoded as null.

    Strings may contain "null", too, so a difference is checked again without strings.
    """
    if text.count(b"null") == written.count(b"null"):
        return False
    read, wrote = (_outside_strings(each).count(b"null") for each in (text, written))
    return read != wrote


def _is_beyond_int64(text: bytes) -> bool:
    if b"9" * 19 not in text.translate(_NINES):
        return False
    return any(
        int(number) not in _INT64
        for number in _LONG_NUMBER.findall(_outside_strings(text))
        if number.lstrip(b"-").isdigit()
    )


def _pointer(message: str) -> str:
    """Return the JSON pointer in a message of msgspec, with the names that we declared.

    msgspec does not say which entry of an object with any names it means: the pointer ends there.
    """
    path = _PATH.search(message)
    pointer = re.sub(r"[.\[]", "/", path[1]).replace("]", "") if path else ""
    unknown = _UNKNOWN_MEMBER.match(message)
    if unknown and (path is None or path[2]):
        return f"{pointer}/{unknown[1].replace('~', '~0').replace('/', '~1')}"
    return pointer


def malformed(detail: str) -> RequestRefused:
    """The refusal of a body that cannot be read, 400."""
    return RequestRefused(HTTPStatus.BAD_REQUEST, "malformed-body", detail)


def _meaningless(detail: str, *, pointer: str = "") -> RequestRefused:
    return RequestRefused(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "invalid-body",
        "The body does not fit the schema.",
        errors=[InvalidMember(detail, pointer=pointer)],
    )
