"""Order numbers that people read out, and ids that follow from the request."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.domain.errors import InvalidValue
from orders.domain.identifiers import (
    ALPHABET,
    derive_order_id,
    order_number,
    read_order_number,
)
from orders.domain.payments import (
    authorization_key,
    capture_key,
    order_of_reference,
    refund_key,
    void_key,
)
from tests.support.orders import an_order_id

RANDOMNESS = st.integers(0, 2**60 - 1)
TEXT = st.text(max_size=8)


@given(RANDOMNESS)
def test_a_number_reads_as_itself(randomness: int) -> None:
    number = order_number(randomness)
    assert read_order_number(number) == number
    assert len(number) == 15
    assert set(number) <= {*ALPHABET, "-"}


@given(RANDOMNESS)
def test_every_single_wrong_character_is_noticed(randomness: int) -> None:
    number = order_number(randomness)
    for place, right in enumerate(number):
        if right == "-":
            continue
        for wrong in set(ALPHABET) - {right}:
            with pytest.raises(InvalidValue):
                read_order_number(number[:place] + wrong + number[place + 1 :])


@given(RANDOMNESS, RANDOMNESS)
def test_different_randomness_gives_different_numbers(one: int, other: int) -> None:
    assert (order_number(one) == order_number(other)) == (one == other)
    assert order_number(one) == order_number(one + 2**60)


def test_the_check_character_is_fixed() -> None:
    # Published numbers must stay readable, so the sum may never change.
    assert order_number(0) == "0000-0000-00000"
    assert order_number(1) == "1000-0000-00001"
    assert order_number(2**60 - 1) == "ZZZZ-ZZZZ-ZZZZG"


@given(RANDOMNESS)
def test_reading_forgives_how_people_write(randomness: int) -> None:
    number = order_number(randomness)
    loose = number.replace("1", "I").replace("0", "O")
    for written in (
        number.lower(),
        number.replace("-", ""),
        number.replace("-", " "),
        f" {number} ",
        loose,
        loose.lower().replace("i", "l"),
    ):
        assert read_order_number(written) == number


@pytest.mark.parametrize("text", ["", "1000-0000-0000", "1000-0000-000010", "1U00-0000-00001", "é"])
def test_anything_else_is_no_number(text: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        read_order_number(text)
    assert refused.value.field == "number"


@given(TEXT, TEXT, TEXT)
def test_an_id_is_a_uuid_of_version_eight(tenant: str, subject: str, key: str) -> None:
    order_id = derive_order_id(tenant=tenant, subject=subject, request_key=key)
    assert order_id.version == 8
    assert order_id.variant == "specified in RFC 4122"
    assert order_id == derive_order_id(tenant=tenant, subject=subject, request_key=key)


@given(st.tuples(TEXT, TEXT, TEXT), st.tuples(TEXT, TEXT, TEXT))
def test_another_request_has_another_id(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    ids = {
        derive_order_id(tenant=tenant, subject=subject, request_key=key)
        for tenant, subject, key in (one, other)
    }
    assert len(ids) == len({one, other})


def test_shifting_text_between_the_parts_gives_another_id() -> None:
    parts = [
        ("ab", "c", "d"),
        ("a", "bc", "d"),
        ("a", "b", "cd"),
        ("abc", "", "d"),
        ("", "abcd", ""),
        ("1:a", "b", "c"),
        ("a", "1:b", "c"),
        ("a1:b", "", "c"),
    ]
    ids = {derive_order_id(tenant=t, subject=s, request_key=k) for t, s, k in parts}
    assert len(ids) == len(parts)


def test_a_payments_reference_names_its_order_and_no_other_key_does() -> None:
    order_id = an_order_id()
    assert order_of_reference(authorization_key(order_id, "1")) == order_id
    keys = {
        authorization_key(order_id, "1"): f"{order_id}:1",
        capture_key(order_id, "1", 2): f"{order_id}:1:capture:2",
        void_key(order_id, "1", 2): f"{order_id}:1:void:2",
        refund_key(order_id, "1"): f"{order_id}:refund:1",
    }
    assert all(key == spelled for key, spelled in keys.items())
    for key in (*list(keys)[1:], "", "1", ":1", "order:1", str(order_id), f"{order_id}:"):
        assert order_of_reference(key) is None
