"""What OpenTelemetry's own variables decide, and that ours go before them; with a real receiver."""

from __future__ import annotations

import pytest

from orders.entrypoints.server.child_processes import free_ports
from orders.entrypoints.settings.table import Settings
from tests.support.processes.orders_process import COMPLETE, get, running
from tests.support.processes.otlp_receiver import OtlpReceiver, otlp_receiver


def read(**changed: str) -> Settings:
    return Settings.read({**COMPLETE, **changed})


BASE = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://base:4318/"}
TRACES = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://traces:4318/any"}
OURS = {"ORDERS_OTLP_ENDPOINT": "http://ours:4318"}


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({}, None),
        (OURS, "http://ours:4318/v1/traces"),
        (BASE, "http://base:4318/v1/traces"),
        (TRACES, "http://traces:4318/any"),
        (BASE | TRACES, "http://traces:4318/any"),
        (BASE | TRACES | OURS, "http://ours:4318/v1/traces"),
        (OURS | BASE | {"OTEL_SDK_DISABLED": "true"}, None),
        (OURS | {"OTEL_SDK_DISABLED": "TRUE"}, None),
        (OURS | {"OTEL_SDK_DISABLED": "false"}, "http://ours:4318/v1/traces"),
        (OURS | {"OTEL_TRACES_EXPORTER": "none"}, None),
        (OURS | {"OTEL_TRACES_SAMPLER": "always_off"}, None),
        (OURS | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "http://ours:4318/v1/traces"),
    ],
)
def test_where_spans_are_sent(environ: dict[str, str], url: str | None) -> None:
    assert read(**environ).otlp_endpoint == url


@pytest.mark.parametrize(
    ("sampler", "argument", "ratio"),
    [
        ("always_on", "", 1.0),
        ("parentbased_always_on", "0.5", 1.0),
        ("parentbased_always_off", "", 0.0),
        ("traceidratio", "0.25", 0.25),
        ("parentbased_traceidratio", "0.5", 0.5),
        ("parentbased_traceidratio", "", 1.0),
        ("", "0.5", 0.1),
    ],
)
def test_how_many_traces_are_recorded(sampler: str, argument: str, ratio: float) -> None:
    told = {"OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": argument}
    assert read(**OURS, **told).trace_ratio == ratio
    assert read(**OURS, **told, ORDERS_TRACE_RATIO="0.75").trace_ratio == 0.75


def test_what_is_not_used_may_be_anything() -> None:
    odd = {"OTEL_TRACES_SAMPLER": "xray", "OTEL_EXPORTER_OTLP_TIMEOUT": "soon"}
    assert read(**odd).otlp_endpoint is None
    assert read(**odd, **OURS, OTEL_SDK_DISABLED="true").otlp_endpoint is None


def spans_of_a_request(collector: OtlpReceiver, **changed: str) -> None:
    """Start the service, send it a request, and wait until its span has come."""
    (port,) = free_ports(1)
    with running("serve", settings={"ORDERS_PORT": str(port), **changed}) as (process, _):
        assert get(port, "/v1/orders")[0] == 401
        collector.wait_for(lambda it: bool(it.spans))
        process.terminate()
        assert process.wait(60) == 0


def test_a_service_that_knows_only_the_variables_of_opentelemetry() -> None:
    with otlp_receiver() as collector:
        spans_of_a_request(
            collector,
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
            OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20abc,x-tenant=shop",
            OTEL_SERVICE_NAME="shop-orders",
            OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test,service.version=9",
            OTEL_TRACES_SAMPLER="parentbased_always_on",
        )
        assert collector.paths == {"/v1/traces"}
        assert collector.headers[0]["authorization"] == "Bearer abc"
        assert collector.headers[0]["x-tenant"] == "shop"
        about = collector.resources[0]
        assert about["service.name"] == "shop-orders"
        assert about["service.version"] == "9"
        assert about["deployment.environment.name"] == "test"


def test_ours_go_before_those_of_opentelemetry() -> None:
    with otlp_receiver() as collector, otlp_receiver() as other:
        spans_of_a_request(
            collector,
            ORDERS_OTLP_ENDPOINT=collector.url,
            ORDERS_TRACE_RATIO="1",
            OTEL_EXPORTER_OTLP_ENDPOINT=other.url,
            OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{other.url}/v1/traces",
            OTEL_TRACES_SAMPLER="parentbased_always_off",
        )
        assert collector.resources[0]["service.name"] == "orders"
        assert other.spans == []
