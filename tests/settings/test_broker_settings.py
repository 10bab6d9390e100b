"""Kafka's security: what does not fit together is named at the start, and shown nowhere."""

from __future__ import annotations

import pytest

from orders.entrypoints.container import Container
from orders.entrypoints.failures import SettingsError
from orders.entrypoints.settings.table import Settings
from tests.support.processes.orders_process import COMPLETE

SECRET = "QZ7XK9WJ4VU2"
PASSWORD = {"USERNAME": "orders", "PASSWORD": SECRET}
SCRAM = {"SECURITY_PROTOCOL": "SASL_SSL", "SASL_MECHANISM": "SCRAM-SHA-512", **PASSWORD}
TOKEN = {**SCRAM, "SASL_MECHANISM": "OAUTHBEARER", "TOKEN_URL": f"https://u:{SECRET}@auth/token"}


def read(**kafka: str) -> Settings:
    own = {f"ORDERS_KAFKA_{name}": value for name, value in kafka.items()}
    return Settings.read({**COMPLETE, "ORDERS_KAFKA_BOOTSTRAP": "broker:9093", **own})


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"SECURITY_PROTOCOL": "TLS"}, ["ORDERS_KAFKA_SECURITY_PROTOCOL must be one of"]),
        ({**SCRAM, "SASL_MECHANISM": "GSSAPI"}, ["ORDERS_KAFKA_SASL_MECHANISM must be one of"]),
        (
            {"SECURITY_PROTOCOL": "SASL_SSL", "SASL_MECHANISM": "PLAIN", "USERNAME": SECRET},
            ["ORDERS_KAFKA_SECURITY_PROTOCOL is SASL_SSL, and ORDERS_KAFKA_PASSWORD is missing"],
        ),
        (PASSWORD, ["ORDERS_KAFKA_PASSWORD needs ORDERS_KAFKA_SECURITY_PROTOCOL=SASL_SSL"]),
        (
            {**TOKEN, "TOKEN_URL": ""},
            ["ORDERS_KAFKA_SASL_MECHANISM is OAUTHBEARER, and ORDERS_KAFKA_TOKEN_URL is missing"],
        ),
        (
            {**SCRAM, "SASL_EXTENSIONS": f"a={SECRET}"},
            ["ORDERS_KAFKA_SASL_EXTENSIONS needs ORDERS_KAFKA_SASL_MECHANISM=OAUTHBEARER"],
        ),
        ({**TOKEN, "TOKEN_PARAMETERS": SECRET}, ["ORDERS_KAFKA_TOKEN_PARAMETERS must be name="]),
        ({**TOKEN, "TOKEN_URL": f"ftp://{SECRET}"}, ["ORDERS_KAFKA_TOKEN_URL must be a URL"]),
    ],
)
def test_what_does_not_fit_together_is_named(changed: dict[str, str], expected: list[str]) -> None:
    with pytest.raises(SettingsError) as refused:
        read(**changed)
    told = str(refused.value)
    assert all(each in told for each in expected), told
    assert SECRET not in told


@pytest.mark.parametrize("settings", [{}, {"SECURITY_PROTOCOL": "SSL"}, SCRAM, TOKEN])
def test_each_way_to_log_in_makes_a_publisher(settings: dict[str, str]) -> None:
    given = read(**settings)
    assert SECRET not in repr(given)
    publisher = Container(settings=given).publishers()["kafka"]
    options = publisher._security.options()
    assert options["security_protocol"] == settings.get("SECURITY_PROTOCOL", "PLAINTEXT")
    assert (options["ssl_context"] is not None) is ("SSL" in options["security_protocol"])
    assert options.get("sasl_mechanism") == settings.get("SASL_MECHANISM")
    assert (options.get("sasl_oauth_token_provider") is not None) is (settings is TOKEN)
