"""Secrets from files, as Docker and Kubernetes mount them."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from orders.entrypoints.failures import SettingsError
from orders.entrypoints.settings.inlined import inline_files
from orders.entrypoints.settings.table import Settings, settings_table
from tests.support.certificates import make_certificates
from tests.support.processes.orders_process import COMPLETE, command, environment

SECRET = "QZ7XK9WJ4VU2"
URI = f"mongodb://app:{SECRET}@db/"
NAME, FILE = "ORDERS_MONGO_URI", "ORDERS_MONGO_URI_FILE"


def read(**changed: str) -> Settings:
    return Settings.read({**COMPLETE, NAME: "", **changed})


def problem(**changed: str) -> str:
    with pytest.raises(SettingsError) as refused:
        read(**changed)
    (line,) = refused.value.problems
    assert SECRET not in line
    assert "\n" not in line
    return line


def test_every_secret_and_every_url_may_be_in_a_file() -> None:
    rows = {row.name: row for row in settings_table()}
    assert all(row.file == f"{name}_FILE" for name, row in rows.items() if row.secret)
    urls = {name for name, row in rows.items() if "URL" in row.accepts and row.file}
    assert {"ORDERS_PAYMENT_URL", "ORDERS_JWKS_URL", "ORDERS_OTLP_ENDPOINT"} <= urls
    assert rows["ORDERS_PORT"].file is None


@pytest.mark.parametrize("name", [row.name for row in settings_table() if row.file])
def test_a_file_is_as_good_as_the_variable(name: str, tmp_path: Path) -> None:
    values = {
        "ORDERS_JWT_HS256_SECRET": "s" * 32,
        "ORDERS_RABBITMQ_URI": "amqp://u:p@mq/",
        "ORDERS_REDIS_URI": "redis://:p@cache/0",
        "ORDERS_PRICE_LIST": "https://u:p@prices/",
    }
    kind = next(row.accepts for row in settings_table() if row.name == name)
    value = values.get(name) or COMPLETE.get(name) or ("https://u:p@x" if "URL" in kind else "p")
    further = {"ORDERS_JWT_ALGORITHMS": "HS256"} if name == "ORDERS_JWT_HS256_SECRET" else {}
    if name.startswith("ORDERS_KAFKA"):
        further |= {
            "ORDERS_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "ORDERS_KAFKA_SASL_MECHANISM": "OAUTHBEARER",
            "ORDERS_KAFKA_TOKEN_URL": "https://u:p@x",
            "ORDERS_KAFKA_USERNAME": "p",
            "ORDERS_KAFKA_PASSWORD": "p",
        }
    file = tmp_path / "secret"
    file.write_text(f"{value}\n")
    from_variable = Settings.read({**COMPLETE, **further, name: value})
    assert Settings.read({**COMPLETE, **further, name: "", f"{name}_FILE": str(file)}) == (
        from_variable
    )


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_the_last_line_break_is_no_part_of_a_secret(ending: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes((URI + ending).encode())
    assert read(**{FILE: str(file)}).mongo_uri == URI


def test_a_secret_of_kubernetes_is_a_link_to_a_link(tmp_path: Path) -> None:
    version = tmp_path / "..2026_11_30"
    version.mkdir()
    (version / NAME).write_text(URI)
    (tmp_path / "..data").symlink_to(version.name)
    (tmp_path / NAME).symlink_to(f"..data/{NAME}")
    assert read(**{FILE: str(tmp_path / NAME)}).mongo_uri == URI


def test_a_file_that_changes_is_not_read_again(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(URI)
    settings = read(**{FILE: str(file)})
    file.write_text("mongodb://elsewhere/")
    assert settings.mongo_uri == URI


def test_variable_and_file_together_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(URI)
    line = problem(**{NAME: URI, FILE: str(file)})
    assert line == f"{NAME} and {FILE} are both set: only one may be"
    # An empty variable counts as not set, on either side.
    assert read(**{NAME: " ", FILE: str(file)}).mongo_uri == URI
    assert read(**{NAME: URI, FILE: ""}).mongo_uri == URI


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"\n", "the file is empty"),
        (b"mongodb://app:\xff@db/", "the file is not UTF-8"),
        (URI.encode("utf-16"), "the file is not UTF-8"),
        (URI.encode() + b" " * 65_536, "the file has more than 65536 bytes"),
    ],
)
def test_what_is_in_a_file_may_not_be_usable(content: bytes, reason: str, tmp_path: Path) -> None:
    file = tmp_path / SECRET
    file.write_bytes(content)
    assert problem(**{FILE: str(file)}) == f"{FILE} cannot be used: {reason}"


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    pipe = tmp_path / SECRET
    os.mkfifo(pipe)  # opening it would wait until somebody writes
    for path, reason in [
        (f"/{SECRET}", "there is no such file"),
        (URI, "there is no such file"),
        (f"/etc/hosts/{SECRET}", "the file cannot be read"),
        (str(tmp_path), "it is not a regular file"),
        (str(pipe), "it is not a regular file"),
        ("/proc/self/mem", "the file cannot be read"),
    ]:
        assert problem(**{FILE: path}) == f"{FILE} cannot be used: {reason}"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file: run it as another user")
def test_a_file_of_somebody_else_is_named(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(URI)
    file.chmod(0)
    assert problem(**{FILE: str(file)}).endswith(": this process may not read the file")


def test_a_wrong_value_names_its_setting_and_its_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(f"mysql://app:{SECRET}@db")
    assert problem(**{FILE: str(file)}).startswith(f"{NAME}, read from {FILE}, must be a URL")
    file.write_text(f"mongodb://app:{SECRET}@db/?tls={SECRET}")
    assert problem(**{FILE: str(file)}) == (
        f"{NAME}, read from {FILE}, cannot be used: the option tls cannot have its value"
    )


def test_no_other_setting_has_a_file() -> None:
    assert problem(**{NAME: URI, "ORDERS_PORT_FILE": "/etc/hosts"}) == (
        "ORDERS_PORT_FILE is not a setting: only secrets and URLs are read from files"
    )


def test_a_process_ends_with_2_and_names_the_file(tmp_path: Path) -> None:
    given = {NAME: "", FILE: f"{tmp_path}/{SECRET}"}
    done = subprocess.run(
        command("worker"), env=environment(given), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"orders: {FILE} cannot be used: there is no such file\n"


def test_the_parts_of_the_sandbox_get_variables(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{URI}\n")
    environ = {FILE: str(file), "ORDERS_PORT": "1", "HOME": "/"}
    inline_files(environ)
    assert environ == {NAME: URI, "ORDERS_PORT": "1", "HOME": "/"}
    blank = {FILE: " ", "HOME": "/"}
    inline_files(blank)
    assert NAME not in blank
    with pytest.raises(SettingsError, match="are both set"):
        inline_files({FILE: str(file), NAME: URI})


def test_a_joined_certificate_is_for_this_process_alone(tmp_path: Path) -> None:
    own = make_certificates(tmp_path)
    given = {
        "ORDERS_CLIENT_CERT_FILE": str(own.certificate),
        "ORDERS_CLIENT_KEY_FILE": str(own.key),
    }
    settings = read(**{NAME: "mongodb://db/?tls=true"}, **given)
    descriptor = int(settings.mongo_uri.rpartition("%2F")[2])
    about = os.fstat(descriptor)
    assert (about.st_nlink, stat.S_IMODE(about.st_mode)) == (0, 0o600)
    assert not os.get_inheritable(descriptor)
