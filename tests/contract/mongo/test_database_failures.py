"""Whatever a database answers is an outage, but for what it says of our own data."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Final

import pytest
from pymongo.errors import (
    BulkWriteError,
    CollectionInvalid,
    ConfigurationError,
    InvalidName,
    InvalidOperation,
    OperationFailure,
    ProtocolError,
    PyMongoError,
    WaitQueueTimeoutError,
)

from orders.adapters.contracts.events.event_samples import logged_events
from orders.adapters.contracts.samples import NOW, STAFF, a_new_order
from orders.adapters.mongo.backlog import MongoBacklog
from orders.adapters.mongo.connection import Database, open_mongo
from orders.adapters.mongo.driver_errors import translate_driver_errors
from orders.adapters.mongo.event_log import MongoEventLog
from orders.adapters.mongo.orders import MongoOrders, probe
from orders.adapters.mongo.outbox import MongoOutbox
from orders.application.errors import StoreUnavailable
from orders.application.event_ports import KeptEvents, Lag, WaitingEvents
from orders.application.ports import OrderFilter
from orders.domain.order.order import Order
from tests.support.database.failing_database import FailPoint
from tests.support.database.faulty_proxy import ForgetfulProxy

OUTAGES: Final = {
    1: "InternalError",
    6: "HostUnreachable",
    8: "UnknownError",
    11: "UserNotFound",
    13: "Unauthorized",
    18: "AuthenticationFailed",
    20: "IllegalOperation",
    43: "CursorNotFound",
    50: "MaxTimeMSExpired",
    59: "CommandNotFound",
    64: "WriteConcernTimeout",
    79: "UnknownReplWriteConcern",
    91: "ShutdownInProgress",
    96: "OperationFailed",
    100: "UnsatisfiableWriteConcern",
    112: "WriteConflict",
    133: "FailedToSatisfyReadPreference",
    134: "ReadConcernMajorityNotAvailableYet",
    146: "ExceededMemoryLimit",
    148: "ReadConcernMajorityNotEnabled",
    189: "PrimarySteppedDown",
    202: "NetworkInterfaceExceededTimeLimit",
    211: "KeyNotFound",
    262: "ExceededTimeLimit",
    290: "TransactionExceededLifetimeLimitSeconds",
    320: "IndexBuilderOutOfDiskSpace",
    8000: "AtlasError",
    9001: "SocketException",
    10107: "NotWritablePrimary",
    11600: "InterruptedAtShutdown",
    11601: "Interrupted",
    13388: "a version of a shard that is old",
    13435: "NotPrimaryNoSecondaryOk",
    14031: "OutOfDiskSpace",
    16500: "too many requests, as hosted services say",
    40324: "a stage that an engine does not know",
}
# No fail point answers 121 or 11000: those carry more than a code.
REFUSALS: Final = {
    2: "BadValue",
    9: "FailedToParse",
    14: "TypeMismatch",
    15: "Overflow",
    22: "InvalidBSON",
    28: "PathNotViable",
    40: "ConflictingUpdateOperators",
    52: "DollarPrefixedFieldName",
    53: "InvalidIdField",
    56: "EmptyFieldName",
    57: "DottedFieldName",
    66: "ImmutableField",
    10334: "BSONObjectTooLarge",
    17280: "KeyTooLong",
    17419: "the document would become too large",
    17420: "the same, in another place",
}
LABELLED: Final[Sequence[tuple[int, list[str]]]] = (
    (2, ["RetryableWriteError"]),
    (2, ["SystemOverloadedError", "RetryableError"]),
    (462, []),
    (462, ["RetryableWriteError"]),
    (462, ["NoWritesPerformed", "RetryableWriteError"]),
    (462, ["SystemOverloadedError"]),
    (462, ["SystemOverloadedError", "RetryableError"]),
    (462, ["TransientTransactionError"]),
)
COMMANDS: Final = ("find", "insert", "update", "aggregate", "getMore")


@pytest.fixture
async def service(database_uri: str, database_name: str) -> AsyncIterator[Database]:
    """A connection that gives up soon: overloaded servers are asked again until then."""
    async with open_mongo(database_uri, database=database_name, timeout_seconds=1) as opened:
        yield opened


def calls_of(database: Database, order: Order) -> list[Callable[[], Awaitable[object]]]:
    """Everything that the service asks of a database."""
    orders, outbox, log = MongoOrders(database), MongoOutbox(database), MongoEventLog(database)
    events = logged_events()
    waiting = WaitingEvents(order_id=order.id, events=events)
    lag = Lag(confirmed=0, again_at=NOW)
    kept = KeptEvents(order_id=order.id, first=1, last=1, lags={"kafka": lag})
    lease = timedelta(seconds=1)
    return [
        lambda: orders.add(a_new_order()),
        lambda: orders.save(order),
        lambda: orders.get(order.id),
        lambda: orders.get_durable(order.id),
        lambda: orders.get_state(order.id),
        lambda: orders.find_by_number("shop", "N"),
        lambda: orders.list(OrderFilter(tenant="shop"), newest_first=True, after=None, limit=1),
        lambda: orders.claim_scheduled(now=NOW, lease=lease, limit=1),
        lambda: outbox.claim(now=NOW, lease=lease, limit=1),
        lambda: outbox.remove({order.id: 1}),
        lambda: outbox.keep([kept]),
        lambda: outbox.claim_for("kafka", now=NOW, lease=lease, limit=1),
        lambda: outbox.confirm("kafka", {order.id: 1}),
        lambda: outbox.defer("kafka", [waiting], until=NOW),
        lambda: outbox.park("kafka", waiting, reason="too-large", now=NOW),
        lambda: outbox.parked(limit=1),
        lambda: outbox.resend(order.id, "kafka"),
        lambda: outbox.unreadable(limit=1),
        lambda: outbox.waiting_of(order.id),
        lambda: log.append(events),
        lambda: log.timeline(order.id),
        lambda: log.after(0, tenant="shop", limit=1),
        lambda: log.cause_of(order.id),
        lambda: MongoBacklog(database).measure(now=NOW),
        lambda: probe(database),
    ]


async def outcome_of(call: Callable[[], Awaitable[object]]) -> BaseException | None:
    try:
        await call()
    except Exception as error:  # noqa: BLE001 - what it raises is what the test is about
        return error
    return None


async def require_outages(calls: Sequence[Callable[[], Awaitable[object]]]) -> None:
    outcomes = await asyncio.gather(*map(outcome_of, calls))
    assert [type(each) for each in outcomes] == [StoreUnavailable] * len(calls)


@pytest.mark.parametrize("code", OUTAGES, ids=lambda code: OUTAGES[code].replace(" ", "-"))
async def test_what_a_database_says_of_itself_is_an_outage(
    database: Database, service: Database, point: FailPoint, code: int
) -> None:
    await MongoOrders(database).add(order := a_new_order())
    order.hold("address", by=STAFF, now=NOW)
    point.fail(*COMMANDS, errorCode=code)

    await require_outages(calls_of(service, order))


@pytest.mark.parametrize(("code", "labels"), LABELLED)
async def test_what_may_be_tried_again_is_an_outage(
    database: Database, service: Database, point: FailPoint, code: int, labels: list[str]
) -> None:
    """462 is what an overloaded server says; a label outweighs a code."""
    await MongoOrders(database).add(order := a_new_order())
    order.hold("address", by=STAFF, now=NOW)
    point.fail(*COMMANDS, errorCode=code, errorLabels=labels)

    await require_outages(calls_of(service, order))


async def test_a_closed_connection_is_an_outage(
    database: Database, service: Database, point: FailPoint
) -> None:
    await MongoOrders(database).add(order := a_new_order())
    order.hold("address", by=STAFF, now=NOW)
    point.fail(*COMMANDS, closeConnection=True)

    await require_outages(calls_of(service, order))


@pytest.mark.parametrize("code", REFUSALS, ids=lambda code: REFUSALS[code].replace(" ", "-"))
async def test_what_a_database_says_of_our_data_stays_what_it_is(
    database: Database, point: FailPoint, code: int
) -> None:
    """It would be refused for ever: whoever sends it must not be asked to try again."""
    orders = MongoOrders(database)
    await orders.add(order := a_new_order())
    order.hold("address", by=STAFF, now=NOW)
    point.fail("insert", "update", errorCode=code)

    for call in (lambda: orders.add(a_new_order()), lambda: orders.save(order)):
        refusal = await outcome_of(call)
        assert isinstance(refusal, OperationFailure)
        assert refusal.code == code


@pytest.mark.parametrize(
    "error",
    [
        ConfigurationError("the DNS response does not answer the question"),
        InvalidOperation("Cannot use AsyncMongoClient after close"),
        ProtocolError("an answer of an unknown kind"),
        WaitQueueTimeoutError("no connection in time"),
        CollectionInvalid("collection is a view"),
        OperationFailure("no code at all"),
        BulkWriteError({"writeErrors": [], "writeConcernErrors": []}),
        BulkWriteError({"writeErrors": [{"code": 112}], "writeConcernErrors": []}),
        BulkWriteError({"writeErrors": [{"code": 11000}], "writeConcernErrors": [{"code": 64}]}),
    ],
    ids=repr,
)
async def test_what_the_driver_says_is_an_outage(error: PyMongoError) -> None:
    @translate_driver_errors
    async def fails() -> None:
        raise error

    with pytest.raises(StoreUnavailable) as raised:
        await fails()

    assert type(error).__name__ in str(raised.value)
    assert str(error) not in str(raised.value), "what it says may quote what is stored"


@pytest.mark.parametrize(
    "error",
    [
        InvalidName("collection names cannot be empty"),
        BulkWriteError({"writeErrors": [{"code": 121}], "writeConcernErrors": []}),
    ],
    ids=repr,
)
async def test_what_the_driver_will_never_send_stays_what_it_is(error: PyMongoError) -> None:
    @translate_driver_errors
    async def fails() -> None:
        raise error

    with pytest.raises(type(error)):
        await fails()


async def test_names_that_cannot_be_looked_up_are_an_outage() -> None:
    uri = "mongodb+srv://orders.example.invalid/"
    async with open_mongo(uri, database="nowhere", timeout_seconds=0.5) as database:
        await require_outages(calls_of(database, a_new_order()))


async def test_a_client_that_is_closed_is_an_outage(database_uri: str, database_name: str) -> None:
    async with open_mongo(database_uri, database=database_name) as database:
        await probe(database)

    with pytest.raises(StoreUnavailable):
        await probe(database)


# -- what other engines answer ----------------------------------------------------------------


@pytest.fixture
async def other_engine(proxy: ForgetfulProxy, database_name: str) -> AsyncIterator[Database]:
    async with open_mongo(proxy.uri, database=database_name, timeout_seconds=10) as opened:
        yield opened


_DUPLICATE_KEY: Final = b"\x10code\x00" + (11000).to_bytes(4, "little")


def _coded(code: int) -> bytes:
    return b"\x10code\x00" + code.to_bytes(4, "little")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        pytest.param(b"keyPattern", b"keyUnknown", id="duplicates-without-their-key"),
        pytest.param(_DUPLICATE_KEY, _coded(112), id="collisions-as-write-conflicts"),
        pytest.param(_DUPLICATE_KEY, _coded(1), id="collisions-as-anything"),
    ],
)
async def test_a_log_needs_no_reason_for_what_was_not_written(
    other_engine: Database, proxy: ForgetfulProxy, said: bytes, told: bytes
) -> None:
    events = logged_events()
    await MongoEventLog(other_engine).append(events[:4])
    proxy.retell(said, told)

    # Processes that know no position: each meets one that is taken, or an event that is logged.
    await MongoEventLog(other_engine).append(events[2:5])
    await MongoEventLog(other_engine).append([events[5], events[0], events[6]])
    await MongoEventLog(other_engine).append([events[1], events[7]])

    feed = await MongoEventLog(other_engine).after(0, tenant="shop", limit=100)
    found = [(each.position, each.recorded.sequence) for each in feed.events]
    assert found == [(n, n) for n in range(1, 9)]


@pytest.mark.parametrize(
    ("said", "told", "expected"),
    [
        pytest.param(
            b"keyPattern",
            b"keyUnknown",
            ["DuplicateOrder", "ConcurrentUpdate"],
            id="duplicates-without-their-key",
        ),
        # That a number is taken is not known then. Whoever tries again draws another one.
        pytest.param(
            _DUPLICATE_KEY,
            _coded(112),
            ["DuplicateOrder", "StoreUnavailable"],
            id="collisions-as-write-conflicts",
        ),
    ],
)
async def test_a_collision_is_told_by_what_is_stored(
    other_engine: Database, proxy: ForgetfulProxy, said: bytes, told: bytes, expected: list[str]
) -> None:
    proxy.retell(said, told)
    orders = MongoOrders(other_engine)
    await orders.add(first := a_new_order())

    outcomes = [
        type(await outcome_of(partial(orders.add, each))).__name__
        for each in (a_new_order(order_id=first.id), a_new_order(number=first.state.number))
    ]

    assert outcomes == expected
