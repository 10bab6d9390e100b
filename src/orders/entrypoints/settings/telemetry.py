"""What OpenTelemetry's own variables say about spans, where `ORDERS_…` says nothing.

The SDK reads `OTEL_…`, too, and logs the value of what it cannot use, or raises. So what is wrong
is refused before it does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

from orders.entrypoints.settings import addresses, tls
from orders.entrypoints.settings.kinds import as_integer, as_number, as_one_of, parsed

_URL: Final = "a URL that starts with http:// or https://"
_RATIO_OF: Final[Mapping[str, float | None]] = {
    "always_on": 1.0,
    "traceidratio": None,
    "parentbased_always_on": 1.0,
    "parentbased_always_off": 0.0,
    "parentbased_traceidratio": None,
}
"""The share of new traces that a sampler records; None: `OTEL_TRACES_SAMPLER_ARG` says it."""
_OFF: Final = {
    "OTEL_SDK_DISABLED": "true",
    "OTEL_TRACES_EXPORTER": "none",
    "OTEL_TRACES_SAMPLER": "always_off",
}
_HEADERS: Final = re.compile(r"\s*[!#$%&'*+.^_`|~0-9A-Za-z-]+\s*=[\x20-\x2b\x2d-\x7e]*")


class _Check(NamedTuple):
    """A variable, how to read it, and the setting that it decides if it is not the SDK's alone."""

    name: str
    parse: Callable[[str], object]
    accepts: str
    setting: str = ""


def as_collector(text: str) -> str:
    """Accept the URL of a collector. Returns where it takes spans."""
    return f"{addresses.as_http_base(text).rstrip('/')}/v1/traces"


def values_of(
    environ: Mapping[str, str], given: Collection[str]
) -> tuple[dict[str, Any], list[str]]:
    """Return the settings that `OTEL_…` decides, and one line for each problem.

    `given` names the `ORDERS_…` that are set: they decide, unless `OTEL_…` turns all spans off.
    """
    otel = {name: text.strip() for name, text in environ.items() if name.startswith("OTEL_")}
    otel = {name: text for name, text in otel.items() if text}
    if any(otel.get(name, "").lower() == off for name, off in _OFF.items()):
        return {"otlp_endpoint": None}, []
    endpoints = _endpoint(otel) if "ORDERS_OTLP_ENDPOINT" not in given else []
    values: dict[str, Any] = {}
    problems: list[str] = []
    if not endpoints and "ORDERS_OTLP_ENDPOINT" not in given:
        return values, problems
    sampler = [] if "ORDERS_TRACE_RATIO" in given else [_sampler(otel)]
    for check in (*endpoints, *sampler, *_of_the_sdk(otel)):
        if check.name in otel:
            problem, value = parsed(otel[check.name], parse=check.parse, accepts=check.accepts)
            problems += [f"{check.name} {problem}"] if problem else []
            values |= {check.setting: value} if check.setting else {}
    return values, problems


def _endpoint(otel: Mapping[str, str]) -> list[_Check]:
    """Return the variables that say where spans are sent, and how; nothing, if none does."""
    protocol = partial(as_one_of, ["http/protobuf"])
    accepts = "http/protobuf: the service speaks no other (ORDERS_OTLP_ENDPOINT goes before it)"
    for kind, parse in (("TRACES_", addresses.as_http), ("", as_collector)):
        if f"OTEL_EXPORTER_OTLP_{kind}ENDPOINT" in otel:
            return [
                _Check(f"OTEL_EXPORTER_OTLP_{kind}ENDPOINT", parse, _URL, "otlp_endpoint"),
                _Check(_specific(otel, "PROTOCOL"), protocol, accepts),
            ]
    return []


def _sampler(otel: Mapping[str, str]) -> _Check:
    def ratio(text: str) -> float:
        share = _RATIO_OF[text.lower()]
        return as_number(0, 1, otel.get("OTEL_TRACES_SAMPLER_ARG", "1")) if share is None else share

    accepts = f"one of {', '.join(_RATIO_OF)} or always_off; its argument is a number from 0 to 1"
    return _Check("OTEL_TRACES_SAMPLER", ratio, accepts, "trace_ratio")


def _of_the_sdk(otel: Mapping[str, str]) -> Iterator[_Check]:
    """Return the variables that the SDK reads itself."""
    seconds = partial(as_number, 0.1, 300)
    yield _Check(_specific(otel, "TIMEOUT"), seconds, "a number of seconds from 0.1 to 300")
    yield _Check(_specific(otel, "HEADERS"), as_headers, "name=value; several with commas")
    compression = partial(as_one_of, ["none", "gzip", "deflate"])
    yield _Check(_specific(otel, "COMPRESSION"), compression, "one of none, gzip, deflate")
    for name in ("CERTIFICATE", "CLIENT_CERTIFICATE"):
        yield _Check(_specific(otel, name), tls.as_certificates, "a file in PEM form")
    yield _Check(_specific(otel, "CLIENT_KEY"), tls.as_key, "a file in PEM form")
    for name in otel:
        if name.endswith("_LIMIT"):
            yield _Check(name, partial(as_integer, 0, 2**31), "a whole number")


def _specific(otel: Mapping[str, str], name: str) -> str:
    """Return the variable for traces alone if it is set, or else that for everything."""
    traces = f"OTEL_EXPORTER_OTLP_TRACES_{name}"
    return traces if traces in otel else f"OTEL_EXPORTER_OTLP_{name}"


def as_headers(text: str) -> str:
    """Accept what the SDK can read: it would log the rest, with what is secret in it."""
    if not all(_HEADERS.fullmatch(pair) for pair in text.split(",") if pair.strip()):
        raise ValueError
    return text
