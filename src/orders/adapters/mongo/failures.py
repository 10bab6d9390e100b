"""What the database's errors mean: it refuses what we sent, or it did not do its work.

Only the refusals are listed. Whatever else a server, a proxy or a hosted service may say (who we
are, who is primary, how full its disk is, how much we may ask) says nothing of our data, and may
be different in a moment.
"""

from __future__ import annotations

from typing import Any, Final

from pymongo.errors import BulkWriteError, InvalidName, OperationFailure, PyMongoError

from orders.application.errors import StoreUnavailable

_MAY_BE_TRIED_AGAIN: Final = ("RetryableWriteError", "RetryableReadError", "RetryableError")
DUPLICATE_KEY: Final = frozenset({11000, 11001, 12582})

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
"""The codes that say: never, as it is. From MongoDB's list of error codes."""


def is_refusal(error: PyMongoError) -> bool:
    """Whether the database will never take what was sent; all else may be tried again."""
    if isinstance(error, BulkWriteError) and _not_at_a_majority(error):
        return False
    if any(map(error.has_error_label, _MAY_BE_TRIED_AGAIN)):
        return False
    return isinstance(error, InvalidName) or _code(error) in _REFUSALS


def described(error: PyMongoError) -> str:
    """What kind of error it is. Not its text: that may hold what is stored, and where."""
    code = _code(error)
    return type(error).__name__ + (f" {code}" if code is not None else "")


def first_refused(error: BulkWriteError) -> dict[str, Any]:
    """The first of several writes that was not done; those before it were, and no other.

    Raises:
        StoreUnavailable: If what is stored is not at a majority. The driver tells of that in the
            errors of several writes only: of a single one it tells the refusal, and no more.
    """
    if _not_at_a_majority(error):
        raise StoreUnavailable("it is not at a majority yet") from error
    refused: dict[str, Any] = error.details["writeErrors"][0]
    return refused


def _not_at_a_majority(error: BulkWriteError) -> bool:
    return bool(error.details["writeConcernErrors"])


def _code(error: PyMongoError) -> int | None:
    if isinstance(error, BulkWriteError):
        refused = error.details["writeErrors"] or error.details["writeConcernErrors"]
        return refused[0].get("code") if refused else None
    return error.code if isinstance(error, OperationFailure) else None
