"""What the driver's errors mean: the database refuses what we sent, or it is not available.

Only refusals are listed. Everything else that a server, a proxy or a hosted service may answer
(authentication, elections, a full disk, rate limits) is not about our data and may pass.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

from pymongo.errors import (
    BulkWriteError,
    InvalidName,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from orders.application.deadline import seconds_left
from orders.application.errors import StoreUnavailable

P = ParamSpec("P")
T = TypeVar("T")

# Only the text says it, up to a comma: then come names of hosts.
_REFUSED: Final = re.compile(r"certificate verify failed: ([A-Za-z -]+)")

DUPLICATE_KEY: Final = frozenset({11000, 11001, 12582})

_RETRYABLE_LABELS: Final = ("RetryableWriteError", "RetryableReadError", "RetryableError")
_REFUSALS: Final = DUPLICATE_KEY | {
    2,  # BadValue
    9,  # FailedToParse
    14,  # TypeMismatch
    15,  # Overflow
    16,  # InvalidLength
    22,  # InvalidBSON
    28,  # PathNotViable
    40,  # ConflictingUpdateOperators
    52,  # DollarPrefixedFieldName
    53,  # InvalidIdField
    54,  # NotSingleValueField
    56,  # EmptyFieldName
    57,  # DottedFieldName
    66,  # ImmutableField
    121,  # DocumentValidationFailure
    10334,  # BSONObjectTooLarge
    17280,  # KeyTooLong
    17419,  # the document would become too large
    17420,  # the same, in another place
}
"""Codes of MongoDB that stay the same however often the command is sent."""


def translate_driver_errors(
    call: Callable[P, Awaitable[T]],
) -> Callable[P, Coroutine[Any, Any, T]]:
    """Decorate a call to the database so that it raises `StoreUnavailable` for every error of the
    driver except refusals, which are faults of our own.

    It sends nothing when the deadline of the request has passed.
    """

    @wraps(call)
    async def translated(*args: P.args, **kwargs: P.kwargs) -> T:
        if seconds_left() <= 0:
            raise StoreUnavailable("the deadline of the request has passed")
        try:
            return await call(*args, **kwargs)
        except PyMongoError as error:
            if is_refusal(error):
                raise
            raise StoreUnavailable(f"the database call failed: {_kind_of(error)}") from error

    return translated


def is_refusal(error: PyMongoError) -> bool:
    """Return whether the database will never accept what was sent. All else may be retried."""
    if isinstance(error, BulkWriteError) and _is_below_majority(error):
        return False
    if any(map(error.has_error_label, _RETRYABLE_LABELS)):
        return False
    return isinstance(error, InvalidName) or _code(error) in _REFUSALS


def first_write_error(error: BulkWriteError) -> dict[str, Any]:
    """Return the first of several writes that failed. Those before it were done, and no other.

    Raises:
        StoreUnavailable: If no majority has what is stored. The driver reports that only in the
            error of several writes; the error of a single write holds just the refusal.
    """
    if _is_below_majority(error):
        raise StoreUnavailable("no majority of the servers has it yet") from error
    first: dict[str, Any] = error.details["writeErrors"][0]
    return first


def _kind_of(error: PyMongoError) -> str:
    """The class and code. Not the text: it may quote what is stored, and where."""
    code = _code(error)
    if isinstance(error, ServerSelectionTimeoutError) and (found := _REFUSED.search(str(error))):
        return f"its certificate is refused: {found[1]}"
    return type(error).__name__ + (f" {code}" if code is not None else "")


def _is_below_majority(error: BulkWriteError) -> bool:
    return bool(error.details["writeConcernErrors"])


def _code(error: PyMongoError) -> int | None:
    if isinstance(error, BulkWriteError):
        errors = error.details["writeErrors"] or error.details["writeConcernErrors"]
        return errors[0].get("code") if errors else None
    return error.code if isinstance(error, OperationFailure) else None
