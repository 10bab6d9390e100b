"""Webhooks of the payment service: what is believed, and what is not."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.adapters.payment_service.webhooks import WebhookVerifier
from orders.application.errors import InvalidWebhook
from orders.application.ports import PaymentEvent, PaymentEventType, UnknownPaymentEvent
from orders.domain.money import Money
from orders.domain.payments import (
    DisputeStatus,
    NextAction,
    PaymentReport,
    ProviderStatus,
    ReportedDispute,
    ReportedRefund,
    ReportedRefundStatus,
)

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
KEY = bytes(range(32))
NEW_KEY = bytes(range(32, 64))
PAYMENT = {
    "id": "pay_1",
    "reference": "order:1",
    "status": "captured",
    "amount": 1999,
    "currency": "EUR",
    "captured": 1999,
    "refunded": 0,
    "decline_code": None,
}
BODY = msgspec.json.encode({"type": "payment.captured", "data": PAYMENT})


def secret(key: bytes) -> str:
    return f"whsec_{base64.b64encode(key).decode()}"


def signature(body: bytes, *, key: bytes = KEY, message: str = "msg_1", at: datetime = NOW) -> str:
    signed = f"{message}.{int(at.timestamp())}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def headers(
    body: bytes = BODY, *, at: datetime = NOW, changed: dict[str, str] | None = None
) -> dict[str, str]:
    given = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signature(body, at=at),
    }
    return given | (changed or {})


@pytest.fixture
def verifier() -> WebhookVerifier:
    return WebhookVerifier([secret(KEY)])


def test_reads_a_message_that_is_signed_well(verifier: WebhookVerifier) -> None:
    assert verifier.verify(headers(), BODY, NOW) == PaymentEvent(
        id="msg_1",
        type=PaymentEventType.CAPTURED,
        payment=PaymentReport(
            provider_id="pay_1",
            reference="order:1",
            status=ProviderStatus.CAPTURED,
            amount=Money(1999, "EUR"),
            captured=1999,
            refunded=0,
        ),
    )


def test_agrees_with_the_example_that_the_standard_publishes() -> None:
    # The standard's example.
    verifier = WebhookVerifier(["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])  # not a secret
    example = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    signed_at = datetime.fromtimestamp(1614265330, UTC)

    # Its signature fits, so only the body, which is no payment event, is complained about.
    with pytest.raises(InvalidWebhook, match="body"):
        verifier.verify(example, b'{"test": 2432232314}', signed_at)
    with pytest.raises(InvalidWebhook, match="no signature matches"):
        verifier.verify(example, b'{"test": 2432232315}', signed_at)


@pytest.mark.parametrize("name", list(PaymentEventType))
def test_knows_every_type(verifier: WebhookVerifier, name: PaymentEventType) -> None:
    body = msgspec.json.encode({"type": name.value, "data": PAYMENT})

    event = verifier.verify(headers(body), body, NOW)

    assert isinstance(event, PaymentEvent)
    assert event.type is name


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_refuses_a_message_without_one_of_the_headers(
    verifier: WebhookVerifier, missing: str
) -> None:
    given = headers()
    del given[missing]

    with pytest.raises(InvalidWebhook):
        verifier.verify(given, BODY, NOW)


@pytest.mark.parametrize("position", [0, 20, len(BODY) - 1])
def test_refuses_a_changed_body(verifier: WebhookVerifier, position: int) -> None:
    changed = bytearray(BODY)
    changed[position] ^= 1

    with pytest.raises(InvalidWebhook, match="no signature matches"):
        verifier.verify(headers(), bytes(changed), NOW)


@pytest.mark.parametrize(
    "changed", [{"webhook-id": "msg_2"}, {"webhook-timestamp": str(int(NOW.timestamp()) + 1)}]
)
def test_refuses_a_changed_id_or_time(verifier: WebhookVerifier, changed: dict[str, str]) -> None:
    with pytest.raises(InvalidWebhook, match="no signature matches"):
        verifier.verify(headers(changed=changed), BODY, NOW)


@pytest.mark.parametrize("seconds", [-300, 300])
def test_takes_a_message_five_minutes_off(verifier: WebhookVerifier, seconds: int) -> None:
    at = NOW + timedelta(seconds=seconds)

    assert verifier.verify(headers(at=at), BODY, NOW).id == "msg_1"


@pytest.mark.parametrize("seconds", [-301, 301])
def test_refuses_a_message_further_off(verifier: WebhookVerifier, seconds: int) -> None:
    at = NOW + timedelta(seconds=seconds)

    with pytest.raises(InvalidWebhook, match="too far in the past or in the future"):
        verifier.verify(headers(at=at), BODY, NOW)


@pytest.mark.parametrize("timestamp", ["", "now", "-1", "1e9", " 1", "1" * 13, "\u0661", "1\n"])
def test_refuses_a_time_that_is_no_number(verifier: WebhookVerifier, timestamp: str) -> None:
    with pytest.raises(InvalidWebhook):
        verifier.verify(headers(changed={"webhook-timestamp": timestamp}), BODY, NOW)


@pytest.mark.parametrize(
    "given",
    [
        "",
        "v1",
        "v1,",
        signature(BODY).removeprefix("v1,"),
        signature(BODY).replace("v1,", "v1a,"),
        signature(BODY).rstrip("="),
        signature(BODY, key=NEW_KEY),
        "v1,\udcff",
        "v1,ünï",
    ],
)
def test_refuses_other_signatures(verifier: WebhookVerifier, given: str) -> None:
    with pytest.raises(InvalidWebhook, match="no signature matches"):
        verifier.verify(headers(changed={"webhook-signature": given}), BODY, NOW)


def test_one_good_signature_among_others_is_enough(verifier: WebhookVerifier) -> None:
    several = f"v1a,xyz {signature(BODY, key=NEW_KEY)} {signature(BODY)}"

    assert verifier.verify(headers(changed={"webhook-signature": several}), BODY, NOW).id == "msg_1"


def test_takes_both_secrets_while_one_replaces_the_other() -> None:
    both = WebhookVerifier([secret(KEY), secret(NEW_KEY)])
    by_new = headers(changed={"webhook-signature": signature(BODY, key=NEW_KEY)})

    assert both.verify(headers(), BODY, NOW) == both.verify(by_new, BODY, NOW)
    with pytest.raises(InvalidWebhook, match="no signature matches"):
        WebhookVerifier([secret(NEW_KEY)]).verify(headers(), BODY, NOW)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        msgspec.json.encode({"type": 1, "data": PAYMENT}),
        msgspec.json.encode({"type": "", "data": PAYMENT}),
        msgspec.json.encode({"type": "payment.refunded", "data": PAYMENT | {"refunds": [{}]}}),
        msgspec.json.encode({"type": "payment.captured", "data": PAYMENT | {"amount": "1"}}),
        msgspec.json.encode({"type": "payment.captured", "data": PAYMENT | {"currency": "XXX"}}),
        msgspec.json.encode({"type": "payment.captured"}),
    ],
)
def test_refuses_a_well_signed_body_that_it_does_not_know(
    verifier: WebhookVerifier, body: bytes
) -> None:
    with pytest.raises(InvalidWebhook, match="body"):
        verifier.verify(headers(body), body, NOW)


@pytest.mark.parametrize(
    ("data", "reference"),
    [
        (PAYMENT, "order:1"),
        ({"reference": 7}, None),
        ({"object": "payout"}, None),
        (["order:1"], None),
        (None, None),
    ],
)
def test_a_type_that_it_does_not_know_names_the_payment_at_most(
    verifier: WebhookVerifier, data: object, reference: str | None
) -> None:
    body = msgspec.json.encode({"type": "payment.partially_captured", "data": data})

    event = verifier.verify(headers(body), body, NOW)

    assert event == UnknownPaymentEvent(id="msg_1", reference=reference)


REFUND = {"id": "re_1", "reference": "order:refund:1", "amount": 700, "status": "failed"}


def test_reads_what_only_some_payment_services_report(verifier: WebhookVerifier) -> None:
    more = {
        "refunds": [REFUND, {"id": "re_2", "amount": 1, "status": "pending"}],
        "disputes": [{"id": "dp_1", "amount": 400, "status": "won", "network": "card"}],
        "next_action": {"type": "redirect", "url": "https://bank.example/3ds?id=1"},
        "authorized_until": "2026-11-08T13:00:00.123456+01:00",
    }
    body = msgspec.json.encode({"type": "payment.dispute_closed", "data": PAYMENT | more})

    event = verifier.verify(headers(body), body, NOW)

    assert isinstance(event, PaymentEvent)
    report = event.payment
    assert report.refunds == (
        ReportedRefund(
            id="re_1",
            reference="order:refund:1",
            amount=700,
            status=ReportedRefundStatus.FAILED,
        ),
        ReportedRefund(id="re_2", amount=1, status=ReportedRefundStatus.PENDING),
    )
    assert report.disputes == (ReportedDispute(id="dp_1", amount=400, status=DisputeStatus.WON),)
    assert report.next_action == NextAction(type="redirect", url="https://bank.example/3ds?id=1")
    assert report.authorized_until == datetime(2026, 11, 8, 12, 0, 0, 123_000, tzinfo=UTC)


@pytest.mark.parametrize(
    "next_action",
    [
        {"type": "display_qr", "url": "https://bank.example/"},
        {"type": "redirect", "url": "http://bank.example/"},
        {"type": "redirect", "url": "https://user:pass@bank.example/"},
        {"type": "redirect"},
        "https://bank.example/",
        7,
    ],
)
def test_an_address_that_nobody_may_be_sent_to_is_left_out(
    verifier: WebhookVerifier, next_action: object
) -> None:
    """The rest of the report counts."""
    body = msgspec.json.encode(
        {"type": "payment.requires_action", "data": PAYMENT | {"next_action": next_action}}
    )

    event = verifier.verify(headers(body), body, NOW)

    assert isinstance(event, PaymentEvent)
    assert (event.payment.captured, event.payment.next_action) == (1999, None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"refunds": [REFUND | {"status": "lost"}]},
        {"refunds": [REFUND | {"amount": 0}]},
        {"refunds": [REFUND] * 251},
        {"disputes": [{"id": "dp 1", "amount": 1, "status": "open"}]},
        {"disputes": [{"id": "dp_1", "amount": 1.5, "status": "open"}]},
        {"authorized_until": "2026-11-08T13:00:00"},
    ],
    ids=str,
)
def test_a_part_that_is_not_as_published_is_not_guessed_at(
    verifier: WebhookVerifier, wrong: dict[str, object]
) -> None:
    body = msgspec.json.encode({"type": "payment.refunded", "data": PAYMENT | wrong})

    with pytest.raises(InvalidWebhook, match="body"):
        verifier.verify(headers(body), body, NOW)


@given(
    message=st.text(max_size=20),
    timestamp=st.text(max_size=20),
    given_signature=st.text(max_size=60),
    body=st.binary(max_size=60),
)
def test_nothing_unsigned_gets_in_or_breaks_the_check(
    message: str, timestamp: str, given_signature: str, body: bytes
) -> None:
    given_headers = {
        "webhook-id": message,
        "webhook-timestamp": timestamp,
        "webhook-signature": given_signature,
    }
    with pytest.raises(InvalidWebhook):
        WebhookVerifier([secret(KEY)]).verify(given_headers, body, NOW)


@pytest.mark.parametrize(
    "secrets",
    [
        [],
        [""],
        ["whsec_"],
        [base64.b64encode(KEY).decode()],
        [secret(bytes(23))],
        ["whsec_no base64!"],
        [secret(KEY), "whsec_"],
    ],
)
def test_does_not_start_with_a_weak_secret(secrets: list[str]) -> None:
    with pytest.raises(ValueError, match="secret") as refusal:
        WebhookVerifier(secrets)
    assert base64.b64encode(KEY).decode() not in str(refusal.value)
