"""What Schemathesis is told of this API beyond its description.

`schemathesis.toml` beside it lets some statuses pass that a description in JSON Schema cannot
rule out; the check here looks at their problem codes instead, so that nothing else passes.
"""

from __future__ import annotations

import re
from typing import Any, Final

import schemathesis

MEANING: Final = {
    # Members that contradict each other, or the world. A schema says nothing of that.
    "amount-too-large",
    "idempotency-key-reuse",
    "price-unknown",
    "total-changed",
    # What all but dry runs need, and what the order is not at.
    "idempotency-key-missing",
    "version-required",
    "stale-version",
    # Signed by the service, and by the payment service: nobody else can make one.
    "invalid-cursor",
    "invalid-webhook",
}
"""What a request may be refused for that is as the description wants it."""

MEANT_TOGETHER: Final = re.compile(
    r"/(?:number"  # its last character checks the others
    r"|discount|lines/\d+/discount"  # at most what the lines cost
    r"|items"  # each line once
    r"|(?:lines/\d+|shipping)/tax(?:_rate)?"  # not both, and no more than a price that includes it
    r"|expires_at|pay_within_seconds"  # one of them, and not in the past
    r"|due_in_days|terms"  # an invoice has a time to pay, other terms have none
    r"|manual|reference|undeliverable"  # with or instead of other members
    r"|manual/received_at|dispatched_at"  # not before the order, and not to come
    r"|(?:payment/)?method)"  # twelve digits without a letter are a card number
)
"""Where `invalid-value` may point to then."""

MEANT_BY_DETAIL: Final = {
    "updated_from needs sort=updated_at",
    "must be another for a credit of a line",
}
"""What `invalid-request` and `invalid-value` may say then, wherever they point to."""

NO_INTEGER: Final = re.compile(r"Expected `int(?: \| null)?`, got `float`")
"""2.0 is an integer for JSON Schema. Here it is none: what adds up money reads one spelling."""

_DECIDED: Final = {400, 406, 408, 412, 413, 415, 422, 428}


@schemathesis.check
def valid_requests_are_refused_for_their_meaning_only(
    ctx: schemathesis.CheckContext,
    response: schemathesis.Response,
    case: schemathesis.Case[Any],
) -> None:
    """Hold every refusal of a request of the published form to the lists above."""
    if is_valid(case) and response.status_code in _DECIDED:
        problem = response.json()
        assert is_about_meaning(problem), f"refused, though as described: {problem}"


def is_valid(case: schemathesis.Case[Any]) -> bool:
    """Whether a request is as described: all of it, not only the part that it is about.

    Where the coverage phase finds no value for a header's pattern, it sends `0`.
    """
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return False
    patterns = {
        parameter.name.lower(): parameter.definition.get("schema", {}).get("pattern", "")
        for parameter in case.operation.headers
    }
    sent = {name.lower(): str(value) for name, value in (case.headers or {}).items()}
    return all(re.search(patterns.get(name, ""), value) for name, value in sent.items())


def is_about_meaning(problem: dict[str, Any]) -> bool:
    """Whether a problem is none of form."""
    if problem["code"] == "invalid-body":
        return all(NO_INTEGER.fullmatch(each["detail"]) for each in problem["errors"])
    if problem["code"] not in {"invalid-request", "invalid-value"}:
        return problem["code"] in MEANING
    return all(
        each["detail"] in MEANT_BY_DETAIL or MEANT_TOGETHER.fullmatch(each.get("pointer", ""))
        for each in problem["errors"]
    )
