"""Addresses in settings: what cannot be used is named at the start, and shown nowhere."""

from __future__ import annotations

import logging
import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orders.entrypoints.container import Container
from orders.entrypoints.failures import SettingsError
from orders.entrypoints.server.child_processes import free_ports
from orders.entrypoints.settings.table import Settings
from tests.support.processes.orders_process import COMPLETE, command, environment, get, running

SECRET = "QZ7XK9WJ4VU2"
ENCODE = "in name and password, / must be written as %2F"
PORT = "a port is not a whole number from 1 to 65535"
PERCENT = "a % is not followed by two hexadecimal digits"
OPTION = "an option is unknown, or its value cannot be used"
TOGETHER = "its options contradict each other"
HOST = "its host is neither a name nor an address"
BASE = "paths are appended to it: it must end before any ? or #"
MONGO = f"mongodb://{SECRET}:{SECRET}"

REFUSED = [
    ("MONGO_URI", f"{MONGO}/{SECRET}@db/", ENCODE),
    ("MONGO_URI", f"{MONGO}@{SECRET}@db/", ENCODE),
    ("MONGO_URI", f"{MONGO}:{SECRET}@db/", ENCODE),
    ("MONGO_URI", f"{MONGO}?{SECRET}@db/", ENCODE),
    ("MONGO_URI", f"{MONGO}#{SECRET}@db/", ENCODE),
    ("MONGO_URI", f"{MONGO}%{SECRET}@db/", PERCENT),
    ("MONGO_URI", f"{MONGO}@db:{SECRET}/", PORT),
    ("MONGO_URI", f"{MONGO}@db:0/", PORT),
    ("MONGO_URI", f"{MONGO}@db:27017,db2:65536/", PORT),
    ("MONGO_URI", f"{MONGO}@,db/", "the host is missing"),
    ("MONGO_URI", f"{MONGO}@/", "the host is missing"),
    ("MONGO_URI", f"{MONGO}@db/?{SECRET}=1", OPTION),
    ("MONGO_URI", f"{MONGO}@db/?proxyHost=a", OPTION),
    ("MONGO_URI", f"{MONGO}@db/?tls={SECRET}", "the option tls cannot have its value"),
    ("MONGO_URI", f"{MONGO}@db/?retryWrites=1", "the option retryWrites cannot have its value"),
    (
        "MONGO_URI",
        f"{MONGO}@db/?authMechanism={SECRET}",
        "the option authMechanism cannot have its value",
    ),
    (
        "MONGO_URI",
        f"{MONGO}@db/?authMechanism=GSSAPI",
        "its authMechanism needs a package that is not installed: kerberos",
    ),
    ("MONGO_URI", f"{MONGO}@db/?tls=false&tlsCAFile=/etc/hosts", TOGETHER),
    ("MONGO_URI", f"{MONGO}@db/?w=0&journal=true", TOGETHER),
    ("MONGO_URI", f"{MONGO}@db,db2/?directConnection=true", TOGETHER),
    ("MONGO_URI", f"{MONGO}@db/?minPoolSize=17", TOGETHER),
    ("MONGO_URI", f"{MONGO}@db/?w=abc", "w and journal may only be majority and true"),
    ("MONGO_URI", f"{MONGO}@db/?journal=false", "w and journal may only be majority and true"),
    (
        "MONGO_URI",
        f"{MONGO}@db/?tlsCAFile=/{SECRET}",
        "the option tlsCAFile names a file that cannot be read",
    ),
    (
        "MONGO_URI",
        f"{MONGO}@db/?tls=true&tlsCAFile={Path(__file__)}",
        "an option names a file without a certificate or key that can be used",
    ),
    ("MONGO_URI", f"mongodb+srv://{SECRET}:{SECRET}@db.example:27017/", TOGETHER),
    ("REDIS_URI", f"redis://:{SECRET}/{SECRET}@cache/0", ENCODE),
    ("REDIS_URI", f"redis://:{SECRET}%@cache/0", PERCENT),
    ("REDIS_URI", f"redis://:{SECRET}@cache:{SECRET}/0", PORT),
    ("REDIS_URI", f"redis://:{SECRET}@cache/{SECRET}", "the database is not a number"),
    ("REDIS_URI", f"redis://:{SECRET}@cache/-1", "the database is not a number"),
    ("REDIS_URI", f"redis://:{SECRET}@cache/0?{SECRET}=1", OPTION),
    ("REDIS_URI", f"redis://:{SECRET}@cache/0?encoding={SECRET}", OPTION),
    ("REDIS_URI", f"redis://:{SECRET}@cache/0?protocol=9", OPTION),
    ("REDIS_URI", f"redis://:{SECRET}@cache/0?ssl_ca_certs=/etc/hosts", OPTION),
    (
        "REDIS_URI",
        f"rediss://:{SECRET}@cache/0?ssl_ca_certs=/{SECRET}",
        "an option names a file that cannot be read",
    ),
    ("REDIS_URI", f"redis://:{SECRET}@cache,cache2:{SECRET}/0", PORT),
    ("REDIS_URI", f"redis://:{SECRET}@cache,-{SECRET}/0", HOST),
    ("REDIS_URI", f"redis://:{SECRET}@cache/0?sentinel_password={SECRET}", OPTION),
    ("REDIS_URI", f"redis+sentinel://:{SECRET}@guard,,guard2/rates", "the host is missing"),
    ("REDIS_URI", f"redis+sentinel://:{SECRET}@guard/", "the name that the sentinels have"),
    ("REDIS_URI", f"redis+sentinel://:{SECRET}@guard", "the name that the sentinels have"),
    (
        "REDIS_URI",
        f"redis+sentinel://:{SECRET}@guard/rates/{SECRET}",
        "the database is not a number",
    ),
    ("REDIS_URI", f"rediss+sentinel://:{SECRET}@guard/rates?protocol=9", OPTION),
    ("RABBITMQ_URI", f"amqp://orders:{SECRET}@broker,broker2:{SECRET}/", PORT),
    ("RABBITMQ_URI", f"amqp://orders:{SECRET}@broker,/", "the host is missing"),
    ("RABBITMQ_URI", f"amqp://orders:{SECRET}/{SECRET}@broker/", ENCODE),
    ("RABBITMQ_URI", f"amqp://orders:{SECRET}%zz@broker/", PERCENT),
    ("RABBITMQ_URI", f"amqp://orders:{SECRET}@broker:{SECRET}/", PORT),
    ("RABBITMQ_URI", f"amqp://orders:{SECRET}@broker/?heartbeat={SECRET}", OPTION),
    ("RABBITMQ_URI", f"amqp://orders:{SECRET}@broker/?{SECRET}=1", OPTION),
    (
        "RABBITMQ_URI",
        f"amqps://orders:{SECRET}@broker/?cafile=/{SECRET}",
        "an option names a file that cannot be read",
    ),
    ("KAFKA_BOOTSTRAP", f"broker:9092,broker:{SECRET}", PORT),
    ("KAFKA_BOOTSTRAP", "broker:9092,broker:65536", PORT),
    ("KAFKA_BOOTSTRAP", f"-{SECRET}:9092", HOST),
    ("PAYMENT_URL", f"https://payments:{SECRET}/", PORT),
    ("PAYMENT_URL", f"https://payments/?{SECRET}", BASE),
    ("PAYMENT_URL", f"https://-{SECRET}/", HOST),
    ("PAYMENT_URL", "https://10.0.0.256/", HOST),
    ("JWKS_URL", f"https://u:{SECRET}@auth:70000/keys", PORT),
    ("OTLP_ENDPOINT", f"http://collector:4318#{SECRET}", BASE),
    ("PRICE_LIST", f"https://u:{SECRET}@prices:x", PORT),
    ("PRICE_LIST", f"/{SECRET}/prices.json", "the file does not exist, or cannot be read"),
    ("PRICE_LIST", __file__, "the file is not a list of prices"),
    ("PAYMENT_WEBHOOK_SECRET", f"whsec_{SECRET * 3}A", "a key is not base64"),
    ("HOST", f"-{SECRET}", HOST),
    ("HOST", "127.0.0.300", HOST),
]
ACCEPTED = [
    ("MONGO_URI", "mongodb://us%40er:p%2Fw%3A@h1,h2:27018/?replicaSet=rs0&authSource=admin"),
    ("MONGO_URI", "mongodb+srv://u:p@cluster0.abcde.mongodb.net/?retryWrites=true&w=majority"),
    ("MONGO_URI", "mongodb://[::1]:27017/?maxPoolSize=5&minPoolSize=16&appName=shop"),
    ("MONGO_URI", "mongodb://%2Ftmp%2Fmongodb-27017.sock/"),
    ("REDIS_URI", "redis://cache"),
    ("REDIS_URI", "rediss://u:p%40@cache:6380/15?ssl_cert_reqs=required&protocol=3"),
    ("REDIS_URI", "redis://:p@node-1:7000,node-2:7000,[::1]:7000"),
    ("REDIS_URI", "redis+sentinel://u:p%40@a,b:26380/my-primary/2?sentinel_password=%2Fs"),
    ("REDIS_URI", "rediss+sentinel://a/rates?sentinel_username=u&sentinel_password=p"),
    ("RABBITMQ_URI", "amqps://u:p%2F@broker:5671/%2Fshop?heartbeat=10&name=orders"),
    ("RABBITMQ_URI", "amqp://u:p%2F@a,b:5673,[::1]/shop%2Feu"),
    ("KAFKA_BOOTSTRAP", "b_1.kafka.svc:9092, [fd00::1]:9092, 10.0.0.1:9092"),
    ("PAYMENT_URL", "https://bücher.example:8443/base"),
    ("JWKS_URL", "https://login.example/keys?p=policy"),
    ("PRICE_LIST", "https://u:p@prices.example/v1"),
    ("HOST", "::"),
    ("HOST", "fe80::1%eth0"),
    ("HOST", "localhost"),
]
# An address of each kind, in parts that are changed by chance.
URIS = [
    ("MONGO_URI", ("mongodb", "://", "app", ":", SECRET, "@", "db", ":", "27017", "/", "?", "w",
                   "=", "majority", "&", "tls", "=", "true")),
    ("MONGO_URI", ("mongodb+srv", "://", "app", ":", SECRET, "@", "db.shop.example", "/")),
    ("REDIS_URI", ("rediss", "://", "app", ":", SECRET, "@", "cache", ":", "6379", "/", "0", "?",
                   "ssl_cert_reqs", "=", "none")),
    ("RABBITMQ_URI", ("amqps", "://", "app", ":", SECRET, "@", "mq", ":", "5671", "/", "vhost", "?",
                      "heartbeat", "=", "10")),
    ("PAYMENT_URL", ("https", "://", "app", ":", SECRET, "@", "pay", ":", "443", "/", "base")),
    ("PRICE_LIST", ("http", "://", "app", ":", SECRET, "@", "prices", "/")),
    ("JWKS_URL", ("https", "://", "app", ":", SECRET, "@", "auth", "/", "keys", "?", "p")),
    ("OTLP_ENDPOINT", ("http", "://", "app", ":", SECRET, "@", "jaeger", ":", "4318")),
]  # fmt: skip
NOISE = st.sampled_from([
    "", ":", "/", "@", "%", "%2", "%zz", "?", "#", "[", "]", "&", "=", ",", ";", "\\", " ", "::1",
    "0", "65536", "-1", "٣", "é", "\udc80", "x" * 300, "tls=maybe", "w=abc", "ssl_ca_certs", SECRET,
    f"/{SECRET}", f"?{SECRET}=", f"@{SECRET}",
])  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, str]:
    """A setting, and an address with up to four changes that holds the secret, mostly."""
    name, whole = draw(st.sampled_from(URIS))
    parts = list(whole)
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(parts) - 1))
        change = draw(st.sampled_from(["insert", "replace", "swap", "repeat"]))
        if change == "insert":
            parts.insert(at, draw(NOISE))
        elif change == "replace":
            parts[at] = draw(NOISE)
        elif change == "swap":
            other = draw(st.integers(0, len(parts) - 1))
            parts[at], parts[other] = parts[other], parts[at]
        else:
            parts.insert(at, parts[at])
    return name, "".join(parts)


@pytest.fixture
def records() -> Iterator[list[str]]:
    """Whatever is logged from the level on that libraries have in the service."""
    found: list[str] = []

    class Found(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(f"{record.getMessage()} {record.exc_info}")

    handler, root = Found(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    yield found
    root.removeHandler(handler)
    root.setLevel(level)


def given_with(name: str, value: str) -> dict[str, str]:
    return {**COMPLETE, f"ORDERS_{name}": value}


def make_adapters(settings: Settings) -> None:
    """Make every adapter that the settings ask for; nothing is connected."""
    container = Container(settings=settings)
    container.connections()
    container.prices()


def shows_secret(text: str) -> bool:
    return any(SECRET[n : n + 4] in text for n in range(len(SECRET) - 3))


@pytest.mark.parametrize(("name", "value", "reason"), REFUSED)
def test_what_cannot_be_used_is_named_with_the_reason(name: str, value: str, reason: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.read(given_with(name, value))
    (problem,) = refused.value.problems
    assert problem.startswith(f"ORDERS_{name} cannot be used: {reason}")
    assert not shows_secret(problem)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(("name", "value"), ACCEPTED)
def test_what_can_be_used_is_accepted(name: str, value: str) -> None:
    settings = Settings.read(given_with(name, value))
    make_adapters(settings)
    assert value not in repr(settings) or name == "HOST"


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changed=mutated())
def test_an_address_is_refused_or_works_and_its_secret_shows_nowhere(
    changed: tuple[str, str], records: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    name, value = changed
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            read = Settings.read(given_with(name, value))
        except SettingsError as refused:
            said = str(refused)
        else:
            make_adapters(read)
            said = repr(read)
    assert said.startswith((f"ORDERS_{name} ", "Settings("))
    assert "\n" not in said
    said += "".join([*records, *(str(each.message) for each in warned), *capfd.readouterr()])
    assert not shows_secret(said), said


@pytest.mark.parametrize("arguments", [("serve",), ("worker",), ("migrate",), ("outbox", "list")])
def test_a_command_ends_before_it_starts_and_says_nothing_else(arguments: tuple[str, ...]) -> None:
    wrong = {
        "ORDERS_MONGO_URI": f"mongodb://app:{SECRET}@db:{SECRET}/?tls={SECRET}",
        "ORDERS_REDIS_URI": f"redis://app:{SECRET}@cache/{SECRET}",
        "ORDERS_PRICE_LIST": f"/{SECRET}",
        "ORDERS_PAYMENT_URL": f"ftp://{SECRET}",
    }
    done = subprocess.run(
        command(*arguments), env=environment(wrong), capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "orders: ORDERS_MONGO_URI cannot be used: a port is not a whole number from 1 to 65535",
        "orders: ORDERS_PAYMENT_URL must be a URL that starts with http:// or https://",
        "orders: ORDERS_PRICE_LIST cannot be used: the file does not exist, or cannot be read",
        "orders: ORDERS_REDIS_URI cannot be used: the database is not a number",
    ]


@pytest.mark.parametrize("host", ["203.0.113.7", "no-such-host.invalid"])
def test_a_host_that_is_not_this_machine_is_named(host: str) -> None:
    done = subprocess.run(
        command("serve"), env=environment({"ORDERS_HOST": host}), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("orders: ORDERS_HOST cannot be used: ")
    assert host not in line


def test_a_name_that_the_dns_does_not_know_is_no_wrong_setting() -> None:
    (port,) = free_ports(1)
    away = {"ORDERS_MONGO_URI": "mongodb+srv://app:pass@db.orders.invalid/"}
    with running("serve", settings={**away, "ORDERS_PORT": str(port)}) as (process, _):
        assert get(port, "/livez")[0] == 200
        assert get(port, "/readyz")[0] >= 500
        process.terminate()
        assert process.wait(60) == 0
