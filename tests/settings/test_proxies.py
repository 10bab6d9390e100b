"""Which requests go through a proxy: the forms of NO_PROXY."""

from __future__ import annotations

import pytest

from orders.entrypoints.failures import SettingsError
from orders.entrypoints.settings.table import Settings
from tests.support.processes.orders_process import COMPLETE

PROXY = {"HTTPS_PROXY": "http://tls.proxy:3128", "HTTP_PROXY": "plain.proxy:8080"}


def proxy_for(url: str, exceptions: str = "") -> str | None:
    return Settings.read({**COMPLETE, **PROXY, "NO_PROXY": exceptions}).proxy_for(url)


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("https://pay.example/v1", "http://tls.proxy:3128"),
        ("http://pay.example", "http://plain.proxy:8080"),
        ("https://10.0.0.1:8443", "http://tls.proxy:3128"),
        ("https://[2001:db8::1]", "http://tls.proxy:3128"),
        ("https://localhost.example", "http://tls.proxy:3128"),
        ("http://localhost:8001", None),
        ("https://app.localhost", None),
        ("http://127.0.0.1:8001", None),
        ("http://127.1.2.3", None),
        ("http://[::1]:8002/keys", None),
    ],
)
def test_the_scheme_chooses_the_proxy_and_this_machine_has_none(
    url: str, proxy: str | None
) -> None:
    assert proxy_for(url) == proxy


DIRECT = [
    ("*", "https://pay.example"),
    ("*", "https://10.0.0.1"),
    ("pay.example", "https://pay.example"),
    ("pay.example", "https://eu.pay.example"),
    ("PAY.example", "https://pay.EXAMPLE"),
    ("pay.example", "https://pay.example./"),
    (".example", "https://pay.example"),
    (".pay.example", "https://pay.example"),
    ("*.example", "https://pay.example"),
    ("pay.example:443", "https://pay.example"),
    ("a, pay.example ,b", "https://pay.example"),
    ("10.0.0.1", "https://10.0.0.1"),
    ("10.0.0.1:8443", "https://10.0.0.1:8443"),
    ("10.0.0.0/8", "https://10.20.30.40"),
    ("10.20.30.40/8", "https://10.1.1.1"),
    ("2001:db8::1", "https://[2001:db8::1]"),
    ("[2001:db8::1]", "https://[2001:db8::1]:8443"),
    ("[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
    ("2001:db8::/32", "https://[2001:db8:1::1]"),
]
PROXIED = [
    ("pay.example", "https://xpay.example"),
    ("pay.example", "https://pay.example.org"),
    ("pay.example:8443", "https://pay.example"),
    ("10.0.0.1", "https://10.0.0.11"),
    ("10.0.0.0/8", "https://11.0.0.1"),
    ("10.0.0.0/8", "https://ten.example"),
    ("10.0.0.0/99", "https://10.0.0.1"),
    ("2001:db8::/32", "https://[2001:db9::1]"),
    ("10.0.0.0/8", "https://[2001:db8::1]"),
    ("<local>", "https://pay.example"),
    ("http://pay.example", "https://pay.example"),
]


@pytest.mark.parametrize(("exceptions", "url"), DIRECT)
def test_exceptions(exceptions: str, url: str) -> None:
    assert proxy_for(url, exceptions) is None


@pytest.mark.parametrize(("exceptions", "url"), PROXIED)
def test_what_is_no_exception(exceptions: str, url: str) -> None:
    assert proxy_for(url, exceptions) == "http://tls.proxy:3128"


@pytest.mark.parametrize(
    "proxy",
    ["socks5://u:hunter2@proxy:1080", "http://u:hunter2@proxy:x", "http://u:hunter2@proxy/pac",
     "https://u:hunter2@proxy", "http://", "u:hunter2@proxy:0"],
)  # fmt: skip
@pytest.mark.parametrize("name", ["HTTPS_PROXY", "http_proxy"])
def test_a_proxy_that_cannot_be_used_is_named_without_its_password(name: str, proxy: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.read({**COMPLETE, name: proxy})
    (line,) = refused.value.problems
    assert line.startswith(f"{name.upper()} ")
    assert "hunter2" not in line


def test_no_repr_shows_a_proxy() -> None:
    settings = Settings.read({**COMPLETE, "HTTPS_PROXY": "http://u:hunter2@proxy:1"})
    assert "hunter2" not in repr(settings)
