"""What `HttpPayments` does when the payment service misbehaves."""

from __future__ import annotations

import asyncio
import gzip
import random
import socket
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import islice

import msgspec
import pytest
from aiohttp import web
from opentelemetry import baggage, context, trace

from orders.adapters.payment_service.circuit_breaker import BreakerRules
from orders.adapters.payment_service.client import HttpPayments
from orders.adapters.payment_service.resilience import CallLimits, Timing
from orders.application.errors import (
    ApplicationError,
    PaymentDeclined,
    PaymentNotAttempted,
    PaymentRefused,
    PaymentUnavailable,
)
from orders.domain.money import Money
from orders.domain.payments import PaymentReport, ProviderStatus
from tests.support.payments.payment_stub import (
    Step,
    StubPaymentService,
    answers,
    books,
    breaks_off,
    hangs,
    hangs_up,
    payment,
    running,
)

AMOUNT = Money(1999, "EUR")
BOOKED = PaymentReport(
    provider_id="pay_1",
    reference="order:1",
    status=ProviderStatus.CAPTURED,
    amount=AMOUNT,
    captured=1999,
    refunded=0,
)
NEVER_OPEN = BreakerRules(minimum_calls=10**9)
SECRET = "internal-host-42"


@dataclass
class FakeTime:
    """A clock that stands still, and sleeps that only are written down."""

    seconds: float = 1000.0
    waits: list[float] = field(default_factory=list)
    chance: random.Random = field(default_factory=random.SystemRandom)

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    @property
    def timing(self) -> Timing:
        return Timing(clock=lambda: self.seconds, sleep=self._sleep, jitter=self.chance.random)


@pytest.fixture
def fake() -> FakeTime:
    return FakeTime()


NO_HURRY = CallLimits(connect_seconds=60, read_seconds=60, total_seconds=60, slot_seconds=60)
"""For tests of anything but time limits: the machine may be busy with other things."""


async def pay(payments: HttpPayments) -> PaymentReport:
    return await payments.authorize(
        reference="order:1", amount=AMOUNT, method="tok_ok", capture=True
    )


async def outcome(payments: HttpPayments) -> PaymentReport | ApplicationError:
    try:
        return await pay(payments)
    except ApplicationError as error:
        return error


async def test_the_limits_are_those_of_the_design() -> None:
    assert CallLimits() == CallLimits(
        connect_seconds=1.0, read_seconds=5.0, total_seconds=8.0, tries=3, in_flight=32
    )
    assert CallLimits().breaker == BreakerRules(
        window_seconds=30, minimum_calls=20, failure_ratio=0.5, open_seconds=10.0, probes=3
    )


async def test_a_hanging_service_is_left_at_the_deadline_and_the_connection_given_back() -> None:
    limits = CallLimits(read_seconds=2, total_seconds=3)
    timing = Timing(jitter=lambda: 0.0)
    async with (
        running(hangs) as stub,
        HttpPayments(stub.url, limits=limits, timing=timing) as payments,
    ):
        began = time.monotonic()
        with pytest.raises(PaymentUnavailable):
            await pay(payments)
        # Three calls would take six seconds.
        assert 2.99 <= time.monotonic() - began < 5.9
        assert len(stub.seen) == 2
        await asyncio.wait_for(stub.left.wait(), 5)


async def test_repeats_with_one_key_after_jittered_waits() -> None:
    runs = [FakeTime(), FakeTime()]
    for run in runs:
        async with (
            running(answers(503), answers(503), books()) as stub,
            HttpPayments(stub.url, timing=run.timing) as payments,
        ):
            assert await pay(payments) == BOOKED
            assert [seen.key for seen in stub.seen] == ["order:1"] * 3
            assert len({seen.body for seen in stub.seen}) == 1

    assert [len(run.waits) for run in runs] == [2, 2]
    assert runs[0].waits != runs[1].waits
    assert all(0 <= wait <= 2 for run in runs for wait in run.waits)


@pytest.mark.parametrize(
    "first",
    [
        answers(408),
        answers(409, {"code": "in_progress"}),
        answers(425),
        answers(429),
        answers(500),
        answers(502, b"<html>"),
        answers(503),
        answers(504),
        hangs_up,
        breaks_off,
    ],
)
async def test_repeats_what_another_try_may_settle(fake: FakeTime, first: Step) -> None:
    async with (
        running(first, books()) as stub,
        HttpPayments(stub.url, timing=fake.timing) as payments,
    ):
        assert await pay(payments) == BOOKED
        assert [seen.key for seen in stub.seen] == ["order:1"] * 2


async def test_gives_up_after_three_tries(fake: FakeTime) -> None:
    async with (
        running(answers(503)) as stub,
        HttpPayments(stub.url, timing=fake.timing) as payments,
    ):
        with pytest.raises(PaymentUnavailable):
            await pay(payments)
        assert len(stub.seen) == 3


async def test_a_refused_connection_is_an_unknown_outcome(fake: FakeTime) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        async with HttpPayments(url, timing=fake.timing) as payments:
            with pytest.raises(PaymentUnavailable):
                await pay(payments)
    assert len(fake.waits) == 2


@pytest.mark.parametrize("status", [429, 503])
async def test_comes_back_no_sooner_than_asked(fake: FakeTime, status: int) -> None:
    async with (
        running(answers(status, Retry_After="2"), books()) as stub,
        HttpPayments(stub.url, timing=fake.timing) as payments,
    ):
        assert await pay(payments) == BOOKED
    assert len(fake.waits) == 1
    assert 2 <= fake.waits[0] <= 4


async def test_understands_a_date_to_come_back_at(fake: FakeTime) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=4), usegmt=True)
    async with (
        running(answers(429, Retry_After=date), books()) as stub,
        HttpPayments(stub.url, timing=fake.timing) as payments,
    ):
        assert await pay(payments) == BOOKED
    assert 2 < fake.waits[0] <= 6


@pytest.mark.parametrize("wanted", ["8", "3600", "9" * 400])
async def test_gives_up_at_once_when_the_deadline_is_too_short(fake: FakeTime, wanted: str) -> None:
    async with (
        running(answers(429, Retry_After=wanted)) as stub,
        HttpPayments(stub.url, timing=fake.timing) as payments,
    ):
        with pytest.raises(PaymentUnavailable):
            await pay(payments)
        assert (len(stub.seen), fake.waits) == (1, [])


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 415, 422, 451])
async def test_a_refused_request_is_sent_once_and_its_text_stays_here(
    fake: FakeTime, status: int
) -> None:
    async with (
        running(answers(status, {"code": SECRET})) as stub,
        HttpPayments(stub.url, timing=fake.timing) as payments,
    ):
        with pytest.raises(PaymentRefused) as refusal:
            await pay(payments)
        assert len(stub.seen) == 1
    assert SECRET not in str(refusal.value)


@pytest.mark.parametrize("first", [answers(503), hangs_up])
@pytest.mark.parametrize("status", [401, 422])
async def test_a_refusal_after_no_answer_does_not_settle_the_outcome(
    fake: FakeTime, first: Step, status: int
) -> None:
    async with (
        running(first, answers(status)) as stub,
        HttpPayments(stub.url, timing=fake.timing) as payments,
    ):
        with pytest.raises(PaymentUnavailable):
            await pay(payments)
        assert len(stub.seen) == 2


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"code":"card_declined"}', "card_declined"),
        (b'{"code":"Card declined by <b>"}', "declined"),
        (b'{"code":"card_declined\\n"}', "declined"),
        (b'{"code":"' + b"x" * 65 + b'"}', "declined"),
        (b'{"code":7}', "declined"),
        (b"no json", "declined"),
        (b'"' + b" " * 2**20 + b'"', "declined"),
    ],
)
async def test_a_decline_is_final_and_its_code_is_clean(
    fake: FakeTime, body: bytes, code: str
) -> None:
    async with (
        running(answers(402, body)) as stub,
        HttpPayments(stub.url, timing=fake.timing) as payments,
    ):
        with pytest.raises(PaymentDeclined) as refusal:
            await pay(payments)
        assert (len(stub.seen), refusal.value.decline_code) == (1, code)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("target", ["other", "http://169.254.169.254/latest", "file:///etc/passwd"])
async def test_no_redirect_is_followed(fake: FakeTime, status: int, target: str) -> None:
    async with running(books()) as other:
        location = other.url if target == "other" else target
        async with (
            running(answers(status, Location=location)) as stub,
            HttpPayments(stub.url, timing=fake.timing) as payments,
        ):
            with pytest.raises(PaymentUnavailable):
                await pay(payments)
            assert len(stub.seen) == 1
        assert not other.seen


@pytest.mark.parametrize("status", [202, 204, 304, 501])
async def test_other_answers_prove_nothing(fake: FakeTime, status: int) -> None:
    async with (
        running(answers(status, b"")) as stub,
        HttpPayments(stub.url, timing=fake.timing) as payments,
    ):
        with pytest.raises(PaymentUnavailable):
            await pay(payments)
        assert len(stub.seen) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        {"id": "pay_1"},
        payment(id="../pay_1"),
        payment(id="pay_1\n"),
        payment(id="x" * 65),
        payment(reference=""),
        payment(status="booked"),
        payment(amount="1999"),
        payment(amount=19.99),
        payment(amount=-1),
        payment(amount=2**53),
        payment(amount=2**70),
        payment(captured=True),
        payment(refunded=None),
        payment(currency="eur"),
        payment(currency="XXX"),
        payment(currency="EUR\n"),
        payment(decline_code=7),
        b'{"id":"\xff"}',
        b'{"id":"\\ud800"}',
        b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"x":"' + b" " * 2**20 + b'"}',
    ],
)
async def test_an_unreadable_answer_is_an_unknown_outcome(fake: FakeTime, body: object) -> None:
    async with (
        running(answers(201, body)) as stub,
        HttpPayments(stub.url, timing=fake.timing) as payments,
    ):
        with pytest.raises(PaymentUnavailable):
            await pay(payments)
        assert len(stub.seen) == 1


@pytest.mark.parametrize(("longer", "believed"), [(0, True), (1, False)])
async def test_reads_one_mebibyte_and_no_more(
    fake: FakeTime, *, longer: int, believed: bool
) -> None:
    body = msgspec.json.encode(payment())
    padded = body + b" " * (2**20 + longer - len(body))
    async with (
        running(answers(201, padded)) as stub,
        HttpPayments(stub.url, timing=fake.timing) as payments,
    ):
        assert (await outcome(payments) == BOOKED) is believed


async def test_a_compressed_answer_is_not_unpacked(fake: FakeTime) -> None:
    packed = gzip.compress(msgspec.json.encode(payment()))
    async with (
        running(answers(201, packed, Content_Encoding="gzip")) as stub,
        HttpPayments(stub.url, timing=fake.timing) as payments,
    ):
        assert isinstance(await outcome(payments), PaymentUnavailable)


async def test_tells_another_amount_or_reference_as_it_is(fake: FakeTime) -> None:
    changed = books(reference="order:2", amount=1, currency="USD", decline_code="Do not honour!")
    async with running(changed) as stub, HttpPayments(stub.url, timing=fake.timing) as payments:
        report = await pay(payments)
    assert (report.reference, report.amount) == ("order:2", Money(1, "USD"))
    assert report.decline_code == "declined"


async def test_a_late_answer_is_replayed_for_the_same_key(fake: FakeTime) -> None:
    booked: dict[str, int] = {}

    async def late(stub: StubPaymentService, request: web.Request) -> web.StreamResponse:
        first = not booked
        booked[request.headers["Idempotency-Key"]] = 1999
        return await (hangs if first else books())(stub, request)

    async with (
        running(late) as stub,
        HttpPayments(stub.url, limits=CallLimits(read_seconds=1), timing=fake.timing) as payments,
    ):
        assert await pay(payments) == BOOKED
        assert len(stub.seen) == 2
    assert booked == {"order:1": 1999}


async def test_an_open_circuit_asks_nothing_and_answers_at_once(fake: FakeTime) -> None:
    async with (
        running(answers(500)) as stub,
        HttpPayments(stub.url, timing=fake.timing) as payments,
    ):
        outcomes = [await outcome(payments) for _ in range(20)]
        assert not isinstance(outcomes[0], PaymentNotAttempted)

        for _ in range(280):
            # At once: the first step of the call is its last, so nothing in it was waited for.
            with pytest.raises(StopIteration) as done:
                outcome(payments).send(None)
            assert isinstance(done.value.value, PaymentNotAttempted)

        assert len(stub.seen) == 20


async def test_a_half_open_circuit_lets_three_of_a_hundred_through(fake: FakeTime) -> None:
    limits = replace(NO_HURRY, tries=1)
    async with (
        running(*[answers(500)] * 20, hangs) as stub,
        HttpPayments(stub.url, limits=limits, timing=fake.timing) as payments,
    ):
        for _ in range(20):
            await outcome(payments)
        fake.seconds += 9.9
        await outcome(payments)
        assert len(stub.seen) == 20

        fake.seconds += 0.1
        waiting = [asyncio.create_task(outcome(payments)) for _ in range(100)]
        await stub.has_seen(23)
        ended = asyncio.as_completed(waiting, timeout=10)
        outcomes = [await one for one in islice(ended, 97)]
        assert all(isinstance(one, PaymentUnavailable) for one in outcomes)
        assert (len(stub.seen), sum(not task.done() for task in waiting)) == (23, 3)

        stub.released.set()
        assert [await one for one in ended] == [BOOKED] * 3
        assert await asyncio.gather(*(outcome(payments) for _ in range(100))) == [BOOKED] * 100


async def test_calls_cut_off_by_the_deadline_open_the_circuit(fake: FakeTime) -> None:
    limits = CallLimits(read_seconds=5.0, total_seconds=0.5)
    async with (
        running(hangs) as stub,
        HttpPayments(stub.url, limits=limits, timing=fake.timing) as payments,
    ):
        await asyncio.gather(*(outcome(payments) for _ in range(20)))
        assert len(stub.seen) == 20

        assert isinstance(await outcome(payments), PaymentUnavailable)
        assert len(stub.seen) == 20


async def test_callers_who_go_away_do_not_open_the_circuit(fake: FakeTime) -> None:
    async with running(hangs) as stub, HttpPayments(stub.url, timing=fake.timing) as payments:
        waiting = [asyncio.create_task(pay(payments)) for _ in range(30)]
        await stub.has_seen(30)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert all(task.cancelled() for task in waiting)

        stub.released.set()
        assert await pay(payments) == BOOKED


async def test_declines_and_refusals_do_not_open_the_circuit(fake: FakeTime) -> None:
    steps = [answers(402, {"code": "no"}), answers(422)] * 20
    async with (
        running(*steps, books()) as stub,
        HttpPayments(stub.url, timing=fake.timing) as payments,
    ):
        for _ in range(40):
            await outcome(payments)
        assert await pay(payments) == BOOKED


async def test_repetitions_stay_within_a_tenth_of_the_calls(fake: FakeTime) -> None:
    fate = random.Random(7)

    async def fails_often(stub: StubPaymentService, request: web.Request) -> web.StreamResponse:
        return await (answers(503) if fate.random() < 0.3 else books())(stub, request)

    limits = CallLimits(breaker=NEVER_OPEN)
    async with (
        running(fails_often) as stub,
        HttpPayments(stub.url, limits=limits, timing=fake.timing) as payments,
    ):
        for _ in range(1000):
            await outcome(payments)

        # 30 % of the calls would like to be repeated, so all of the budget is used.
        assert 1100 <= len(stub.seen) <= 1110
    assert len({round(wait, 6) for wait in fake.waits}) > 90


async def test_at_most_32_calls_are_in_flight(fake: FakeTime) -> None:
    async with (
        running(hangs) as stub,
        HttpPayments(stub.url, limits=NO_HURRY, timing=fake.timing) as payments,
    ):
        waiting = asyncio.gather(*(outcome(payments) for _ in range(200)))
        await stub.has_seen(32)
        stub.released.set()

        assert await waiting == [BOOKED] * 200
        assert stub.most_in_flight == 32


async def test_waiting_for_a_free_slot_ends_with_the_deadline(fake: FakeTime) -> None:
    limits = CallLimits(total_seconds=0.3, in_flight=2)
    async with (
        running(hangs) as stub,
        HttpPayments(stub.url, limits=limits, timing=fake.timing) as payments,
    ):
        began = time.monotonic()
        outcomes = await asyncio.gather(*(outcome(payments) for _ in range(60)))

        assert all(isinstance(one, PaymentUnavailable) for one in outcomes)
        # One after the other, two at a time, they would take nine seconds.
        assert time.monotonic() - began < 8


@pytest.mark.parametrize(("waiting", "slot_seconds"), [(10, 0.05), (0, 60.0)])
async def test_whoever_gets_no_slot_soon_is_left_to_a_worker(
    fake: FakeTime, waiting: int, slot_seconds: float
) -> None:
    limits = CallLimits(in_flight=2, waiting=waiting, slot_seconds=slot_seconds)
    async with (
        running(hangs) as stub,
        HttpPayments(stub.url, limits=limits, timing=fake.timing) as payments,
    ):
        asked = [asyncio.create_task(outcome(payments)) for _ in range(2)]
        await stub.has_seen(2)
        for late in await asyncio.gather(*(outcome(payments) for _ in range(3))):
            assert type(late) is PaymentNotAttempted
        stub.released.set()
        assert await asyncio.gather(*asked) == [BOOKED] * 2
        assert await outcome(payments) == BOOKED
    assert len(stub.seen) == 3


async def test_whoever_was_asked_for_once_and_gets_no_slot_again_is_of_unknown_outcome(
    fake: FakeTime,
) -> None:
    limits = CallLimits(in_flight=1, waiting=0)
    sleeps, again = asyncio.Event(), asyncio.Event()

    async def sleep(_: float) -> None:
        sleeps.set()
        await again.wait()

    async with (
        running(answers(503), hangs) as stub,
        HttpPayments(stub.url, limits=limits, timing=replace(fake.timing, sleep=sleep)) as payments,
    ):
        first = asyncio.create_task(outcome(payments))
        await sleeps.wait()
        second = asyncio.create_task(outcome(payments))
        await stub.has_seen(2)
        again.set()
        assert type(await first) is PaymentUnavailable
        stub.released.set()
        assert await second == BOOKED


async def test_sends_our_credential_and_the_trace_and_nothing_of_the_user(
    fake: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    span = trace.NonRecordingSpan(
        trace.SpanContext(
            trace_id=0x0AF7651916CD43DD8448EB211C80319C,
            span_id=0xB7AD6B7169203331,
            is_remote=False,
            trace_flags=trace.TraceFlags(1),
        )
    )
    current = baggage.set_baggage("customer", "alice", trace.set_span_in_context(span))
    token = context.attach(current)
    try:
        async with running(answers(503, Set_Cookie="a=b"), books()) as stub:
            # By name, as a cookie jar would not keep the cookies of an address.
            url = stub.url.replace("127.0.0.1", "localhost")
            async with HttpPayments(url, credential="ours", timing=fake.timing) as payments:
                await pay(payments)
    finally:
        context.detach(token)

    assert len(stub.seen) == 2
    for seen in stub.seen:
        assert seen.headers == {
            "Host": url.removeprefix("http://"),
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Authorization": "Bearer ours",
            "User-Agent": "orders",
            "Idempotency-Key": "order:1",
            "Content-Type": "application/json",
            "Content-Length": str(len(seen.body)),
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        }


async def test_looks_up_exactly_the_reference(fake: FakeTime) -> None:
    reference = "a&b=c+d %/ü"
    steps = (
        answers(200, {"payments": [payment(), payment(id="pay_2", reference=reference)]}),
        answers(200, {"payments": [payment()]}),
        answers(200, {"payments": []}),
    )
    async with running(*steps) as stub, HttpPayments(stub.url, timing=fake.timing) as payments:
        found = await payments.find(reference)
        assert found is not None
        assert found.provider_id == "pay_2"
        assert await payments.find(reference) is None
        assert await payments.find(reference) is None

    assert stub.seen[0].method == "GET"
    assert stub.seen[0].raw_path == "/v1/payments?reference=a%26b%3Dc%2Bd%20%25%2F%C3%BC"


async def test_two_payments_of_one_reference_are_not_believed(fake: FakeTime) -> None:
    twice = answers(200, {"payments": [payment(), payment(id="pay_2")]})
    async with running(twice) as stub, HttpPayments(stub.url, timing=fake.timing) as payments:
        with pytest.raises(PaymentUnavailable):
            await payments.find("order:1")


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404])
async def test_a_refused_look_up_tells_nothing_of_the_payment(fake: FakeTime, status: int) -> None:
    async with (
        running(answers(status)) as stub,
        HttpPayments(stub.url, timing=fake.timing) as payments,
    ):
        with pytest.raises(PaymentUnavailable):
            await payments.find("order:1")
        assert len(stub.seen) == 1


async def test_an_id_cannot_lead_to_another_path(fake: FakeTime) -> None:
    async with running(books()) as stub, HttpPayments(stub.url, timing=fake.timing) as payments:
        await payments.void("../a?b#c", reference="order:1:void")

    assert stub.seen[0].raw_path == "/v1/payments/..%2Fa%3Fb%23c/voids"
