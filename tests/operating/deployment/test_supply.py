"""What the service is made of: all of it listed, under licences we may ship, without a secret."""

from __future__ import annotations

import base64
import re
import secrets
from pathlib import Path

import pytest

from infra.supply.packages import locked
from infra.supply.sbom import bill
from infra.supply.secrets import found_in, main

ALLOWED = {
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "MPL-2.0",
    "PSF-2.0",
}  # fmt: skip
"""Licences of what we ship beside our own Apache-2.0."""
NOT_HERE = {"async-timeout", "colorama", "tzdata", "win32-setctime", "winloop"}
"""For other platforms or versions of Python; they may not be installed where the tests run."""


def test_every_package_of_the_image_has_a_licence_that_we_may_ship() -> None:
    for package in locked():
        if not package.licence and package.name in NOT_HERE:
            continue
        named = {each for each in re.split(r" (?:OR|AND) |[()]", package.licence) if each}
        assert named, f"{package.name} names no licence"
        either = " OR " in package.licence
        assert named & ALLOWED if either else named <= ALLOWED, (package.name, package.licence)


def test_the_bill_lists_every_package_with_its_hashes() -> None:
    document = bill()
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", document["serialNumber"])
    listed = {each["purl"]: each for each in document["components"]}
    assert listed.keys() == {package.purl for package in locked()}
    assert len(listed) > 50
    for component in listed.values():
        assert component["bom-ref"] == component["purl"]
        assert component["hashes"]
        assert all(re.fullmatch("[0-9a-f]{64}", each["content"]) for each in component["hashes"])


def test_the_bill_is_the_same_every_time() -> None:
    assert bill() == bill()


def test_no_gpl_comes_with_the_service() -> None:
    assert "secantusdb" not in {package.name for package in locked()}


def a_secret(length: int = 32) -> str:
    return base64.b64encode(secrets.token_bytes(length)).decode().rstrip("=").replace("/", "x")


PLANTED = {
    "private key": lambda: "-----BEGIN " + "EC PRIVATE KEY-----",
    "cloud access key": lambda: "key = AKIA" + "QWERTYUIOPASDFGH",
    "repository token": lambda: "gh" + "p_" + "a1B2" * 9,
    "payment key": lambda: "sk_" + "live_" + "a1B2" * 6,
    "webhook secret": lambda: "whsec" + "_" + a_secret(),
    "access token": lambda: "eyJ" + "a" * 12 + ".eyJ" + "b" * 12 + "." + "c" * 24,
    "value that looks random": lambda: f'db_password = "{a_secret()}"',
}


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_secret_is_found_and_not_repeated(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    planted = PLANTED[kind]()
    file = tmp_path / "settings.py"
    file.write_text(f"# first line\n{planted}\n")

    assert main([str(file)]) == 1

    said = capsys.readouterr().out
    assert f"settings.py:2: {kind}" in said
    assert planted not in said


@pytest.mark.parametrize(
    "line",
    ['password = os.environ["PASSWORD"]', 'token: str = "the token of the caller"', "key = 7"],
)
def test_plain_code_is_no_secret(line: str) -> None:
    assert list(found_in(line)) == []


def test_nothing_that_is_tracked_holds_a_secret(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0, capsys.readouterr().out
