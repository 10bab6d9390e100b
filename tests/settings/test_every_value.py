"""Every setting, with values that can be used and others, by what it says that it accepts."""

from __future__ import annotations

import re
import subprocess
import warnings
from collections.abc import Mapping
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given, settings
from hypothesis import strategies as st

from orders.entrypoints.container import Container
from orders.entrypoints.failures import SettingsError
from orders.entrypoints.settings.table import SettingRow, Settings, settings_table
from tests.support.certificates import Certificates, make_certificates
from tests.support.processes.orders_process import COMPLETE, command, environment

SECRET = "QZ7XK9WJ4VU2"
ROWS = {row.name: row for row in settings_table()}
OTEL = {
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://u:p@collector:4318",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://collector/v1/traces?key=a",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
    "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Basic%20abc==,x-tenant=shop",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "api-key=a b",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "2.5",
    "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "3",
    "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
    "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION": "none",
    "OTEL_EXPORTER_OTLP_CERTIFICATE": "",
    "OTEL_EXPORTER_OTLP_CLIENT_KEY": "",
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": "",
    "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "64",
}
"""A value of each that can be used. Files are made by the test."""
TAKES_ALL = {
    "ORDERS_JWT_HS256_SECRET": "every text of 32 bytes is one",
    "ORDERS_KAFKA_USERNAME": "Kafka says what a name is",
    "ORDERS_KAFKA_PASSWORD": "every text is one",
    "NO_PROXY": "other programs read it, too: what we do not know excepts nothing",
}
# No kind takes a control character. The rest is meant for those that look for brackets or @ first.
NONSENSE = st.sampled_from([
    f"-{SECRET}\n{SECRET}", f"[{SECRET}\x7f{SECRET}", f"http://u:{SECRET}@[{SECRET}\x7f]/",
    f"{SECRET}\x7f={SECRET}",
])  # fmt: skip
LOWEST = re.compile(r"a (whole )?number(?: of seconds)? from (\S+) to (\S+)")


def with_otel(name: str, value: str) -> dict[str, str]:
    """A complete environment in which this variable counts."""
    if not name.startswith("OTEL_"):
        return {**COMPLETE, name: value}
    counts = (
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector"} if "TRACES_ENDPOINT" not in name else {}
    )
    return {**COMPLETE, **counts, name: value}


def problems(environ: Mapping[str, str]) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as refused:
        Settings.read(environ)
    return refused.value.problems


def outcome(environ: Mapping[str, str]) -> tuple[str, ...]:
    try:
        Settings.read(environ)
    except SettingsError as refused:
        return refused.problems
    return ()


def is_named(line: str, name: str) -> bool:
    """One line, which names the setting and shows nothing of the value."""
    parts = [SECRET[n : n + 4] for n in range(len(SECRET) - 3)]
    return line.startswith(f"{name} ") and line.isprintable() and not any(p in line for p in parts)


@pytest.mark.parametrize("name", [*ROWS, *OTEL])
@settings(max_examples=8)
@given(value=NONSENSE)
def test_nonsense_is_named_without_any_of_it(name: str, value: str) -> None:
    if name in TAKES_ALL:
        return
    (line,) = problems(with_otel(name, value))
    assert is_named(line, name), line


def out_of(low: float, high: float, whole: str | None) -> st.SearchStrategy[str]:
    below, above = (
        st.floats(max_value=low, exclude_max=True),
        st.floats(min_value=high, exclude_min=True),
    )
    number = (below | above).map(str)
    if whole:
        number = (st.integers(max_value=int(low) - 1) | st.integers(int(high) + 1)).map(str)
    return number | st.sampled_from(
        ["nan", "inf", "", "1,5", "0x1", "1 2", f"{SECRET}", "--1", "1e999"]
    )


@pytest.mark.parametrize("row", [row for row in ROWS.values() if LOWEST.match(row.accepts)])
def test_a_number_is_accepted_within_its_bounds_and_named_outside(row: SettingRow) -> None:
    found = LOWEST.match(row.accepts)
    assert found
    whole, low, high = found[1], float(found[2]), float(found[3])

    @settings(max_examples=15)
    @given(wrong=out_of(low, high, whole).filter(bool))
    def wrong_is_named(wrong: str) -> None:
        (line,) = problems({**COMPLETE, row.name: wrong})
        assert line == f"{row.name} must be {row.accepts}"

    @settings(max_examples=15)
    @given(right=st.integers(int(low), int(high)) if whole else st.floats(low, high))
    def right_is_read(right: float) -> None:
        assert getattr(Settings.read({**COMPLETE, row.name: str(right)}), field_of(row)) == right

    wrong_is_named()
    right_is_read()


def field_of(row: SettingRow) -> str:
    return row.name.removeprefix("ORDERS_").lower()


@pytest.mark.parametrize("row", [row for row in ROWS.values() if row.accepts.startswith("one of ")])
def test_each_choice_is_accepted_and_no_other(row: SettingRow) -> None:
    for choice in row.accepts.removeprefix("one of ").split(", "):
        # Some need another setting, and say which.
        assert not [line for line in outcome({**COMPLETE, row.name: choice}) if "must be" in line]
        (line,) = problems({**COMPLETE, row.name: choice + SECRET})
        assert is_named(line, row.name)


@pytest.mark.parametrize("row", [row for row in ROWS.values() if "host" in row.accepts])
@given(
    host=st.sampled_from(
        ["-a", "a..b", "10.0.0.256", "a b", "ü", ":::", "[::1", "x" * 300, "1.2.3"]
    )
)
def test_what_is_no_host_is_named(row: SettingRow, host: str) -> None:
    value = f"{host}:9092" if "port" in row.accepts else host
    (line,) = problems({**COMPLETE, row.name: value})
    assert is_named(line, row.name)


URLS = [name for name, row in ROWS.items() if "a URL" in row.accepts]
FAULTS = {
    "a port that is no number": "{scheme}://u:{secret}@host:{secret}/",
    "a port that is too large": "{scheme}://u:{secret}@host:65536/",
    "a slash in the password": "{scheme}://u:{secret}/{secret}@host/",
    "an @ in the password": "{scheme}://u:{secret}@{secret}@host{secret}:x/",
    "no host": "{scheme}://u:{secret}@/",
    "no address": "{scheme}://u:{secret}@10.0.0.{secret}.300/",
    "another scheme": "gopher://u:{secret}@host/",
    "a line break": "{scheme}://u:{secret}@host/\n{secret}",
    "a bare %": "{scheme}://u:{secret}%@host/",
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(
    "name", [*URLS, "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]
)
def test_a_url_that_cannot_be_used_is_named_without_its_password(name: str, fault: str) -> None:
    scheme = "https"
    if found := re.search(r"starts with (\S+)://", ROWS[name].accepts if name in ROWS else ""):
        scheme = found[1]
    if fault == "no address" and scheme.startswith("mongodb"):
        return  # the driver takes every name
    (line,) = problems(with_otel(name, FAULTS[fault].format(scheme=scheme, secret=SECRET)))
    assert is_named(line, name), line


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("own"))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("other"))


FILES = [name for name, row in ROWS.items() if row.accepts == "a file in PEM form"]
OTEL_FILES = [name for name, value in OTEL.items() if not value]


@pytest.mark.parametrize("name", [*FILES, *OTEL_FILES])
def test_a_file_that_cannot_be_used_is_named(name: str, tmp_path: Path, own: Certificates) -> None:
    empty, text, cut = tmp_path / "empty", tmp_path / "text", tmp_path / "cut"
    empty.touch()
    text.write_text(SECRET)
    source = own.key if "KEY" in name else own.certificate
    cut.write_bytes(source.read_bytes()[:-60])
    wrong_kind = own.certificate if "KEY" in name else own.key
    for file in (f"/{SECRET}", str(tmp_path), str(empty), str(text), str(wrong_kind)):
        (line,) = problems(with_otel(name, file))
        assert is_named(line, name), line
    if "CERT" in name or "CA_FILE" in name:
        (line,) = problems(with_otel(name, str(cut)))
        assert is_named(line, name), line


def pair(of: str, cert: Path | None, key: Path | None) -> dict[str, str]:
    given_files = {f"ORDERS_{of}_CERT_FILE": cert, f"ORDERS_{of}_KEY_FILE": key}
    return {**COMPLETE, **{name: str(file) for name, file in given_files.items() if file}}


@pytest.mark.parametrize("of", ["CLIENT", "PAYMENT_CLIENT"])
def test_a_certificate_and_a_key_that_do_not_fit_are_named(
    of: str, own: Certificates, other: Certificates, tmp_path: Path
) -> None:
    assert problems(pair(of, own.certificate, None)) == (
        f"ORDERS_{of}_CERT_FILE cannot be used: there is no private key that can be used",
    )
    assert problems(pair(of, None, own.key)) == (
        f"ORDERS_{of}_KEY_FILE needs ORDERS_{of}_CERT_FILE, the certificate of the key",
    )
    assert problems(pair(of, own.certificate, other.key)) == (
        f"ORDERS_{of}_KEY_FILE cannot be used: the key does not belong to the certificate",
    )
    cut = tmp_path / "cut.pem"
    cut.write_bytes(own.key.read_bytes()[:-60])
    assert problems(pair(of, own.certificate, cut)) == (
        f"ORDERS_{of}_KEY_FILE cannot be used: there is no private key that can be used",
    )
    both = tmp_path / "both.pem"
    both.write_bytes(own.certificate.read_bytes() + own.key.read_bytes())
    for cert, key in ((own.certificate, own.key), (both, None), (both, own.key)):
        assert Settings.read(pair(of, cert, key))


def test_an_encrypted_key_is_named_and_no_password_is_asked_for(
    own: Certificates, tmp_path: Path
) -> None:
    key = serialization.load_pem_private_key(own.key.read_bytes(), None)
    forms = serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL
    locked = [tmp_path / "pkcs8.pem", tmp_path / "traditional.pem"]
    for file, form in zip(locked, forms, strict=True):
        password = serialization.BestAvailableEncryption(b"x")
        file.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, password))
    environ = pair("CLIENT", own.certificate, locked[0]) | pair(
        "PAYMENT_CLIENT", own.certificate, locked[1]
    )
    done = subprocess.run(
        command("worker"), env=environment(environ), capture_output=True, text=True,
        check=False, stdin=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    assert done.returncode == 2
    why = "cannot be used: the key is encrypted: it must be stored without a password"
    assert done.stderr.splitlines() == [
        f"orders: ORDERS_{of}_KEY_FILE {why}" for of in ("CLIENT", "PAYMENT_CLIENT")
    ]


def test_values_of_opentelemetry_that_can_be_used_are_accepted(own: Certificates) -> None:
    key, certificate = str(own.key), str(own.certificate)
    files = {name: key if "KEY" in name else certificate for name in OTEL_FILES}
    read_settings = Settings.read({**COMPLETE, **OTEL, **files})
    assert read_settings.otlp_endpoint == "https://collector/v1/traces?key=a"


def test_every_wrong_setting_has_one_line_and_the_process_ends_with_2() -> None:
    """All at once, in a real process; what needs another setting to count is left out."""
    wrong = {name: f"-{SECRET}\n[{SECRET}" for name in ROWS if name not in TAKES_ALL}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        done = subprocess.run(
            command("serve"), env=environment(wrong), capture_output=True, text=True, check=False
        )
    assert (done.returncode, done.stdout) == (2, "")
    lines = done.stderr.splitlines()
    for name in wrong:
        (line,) = (each for each in lines if each.startswith(f"orders: {name} "))
        assert is_named(line.removeprefix("orders: "), name), line
    assert len(lines) == len(wrong)


def test_defaults_make_every_adapter() -> None:
    container = Container(settings=Settings.read(COMPLETE))
    container.connections()
