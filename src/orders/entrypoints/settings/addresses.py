"""Addresses in settings: the library that will use an address checks it before anything starts.

Libraries quote the address in their errors, with its password. Our texts never do.
"""

from __future__ import annotations

import re
import ssl
import warnings
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, urlsplit

from orders.entrypoints.settings.kinds import Unusable, as_host, require_port

_CREDENTIALS: Final = (
    "in name and password, / must be written as %2F, : as %3A, @ as %40, ? as %3F, # as %23 and "
    "% as %25"
)
_OPTIONS: Final = "an option is unknown, or its value cannot be used"
_EXTRAS: Final = {
    "redis_uri": ("redis", "redis"),
    "rabbitmq_uri": ("aio_pika", "rabbitmq"),
    "kafka_bootstrap": ("aiokafka", "kafka"),
}
"""The module that a setting needs, and the extra that installs it."""
_REDIS_OPTIONS: Final = frozenset({
    "db", "username", "password", "protocol", "client_name", "health_check_interval",
    "socket_keepalive", "ssl_ca_certs", "ssl_ca_path", "ssl_ca_data", "ssl_certfile", "ssl_keyfile",
    "ssl_password", "ssl_cert_reqs", "ssl_check_hostname", "ssl_min_version", "ssl_ciphers",
})  # fmt: skip
REDIS_SCHEMES: Final = ("redis", "rediss", "redis+sentinel", "rediss+sentinel")
_SENTINEL_OPTIONS: Final = {"sentinel_username", "sentinel_password"}
_RABBIT_OPTIONS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("cafile", "capath", "cadata", "certfile", "keyfile", "name"), ".+"),
    **dict.fromkeys(("timeout", "heartbeat"), "[0-9]{1,4}"),
    "no_verify_ssl": "[01]",
    "auth": "(?i:plain|amqplain|external)",
}
# The driver imports these only when it logs in.
_MECHANISMS: Final = {"GSSAPI": ("kerberos", "winkerberos"), "MONGODB-AWS": ("pymongo_auth_aws",)}


def missing(values: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Return the settings that need a missing package, and how to install it."""
    for name, (module, extra) in _EXTRAS.items():
        if values.get(name) and find_spec(module) is None:
            yield name, f"needs an extra: pip install 'orders[{extra}]'"


def as_mongo(text: str) -> str:
    """Check the form of a MongoDB URI; `mongo_problem` lets the driver check the rest."""
    _url(text, "mongodb", "mongodb+srv", several=True, named=False)
    return text


def mongo_problem(text: str | None, *, pool_size: int) -> str | None:
    """Return why the driver refuses a URI, or None. Sends no DNS query."""
    if text is None:
        return None
    from pymongo import AsyncMongoClient  # noqa: PLC0415  # late: most commands need none

    with warnings.catch_warnings():
        # The driver only warns of an unknown option and ignores it, even one for TLS.
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            client: AsyncMongoClient[Any] = AsyncMongoClient(text, maxPoolSize=pool_size)
        except Exception as error:  # noqa: BLE001 - whatever it is, it may quote the password
            return _why_not_mongo(text, error)
    concern = client.write_concern.document
    if concern.get("w", "majority") != "majority" or concern.get("j", True) is not True:
        return "w and journal may only be majority and true: the service writes so"
    needed = _MECHANISMS.get(_option(text, "authmechanism"), ())
    if needed and not any(find_spec(each) for each in needed):
        return f"its authMechanism needs a package that is not installed: {needed[0]}"
    return None


def _why_not_mongo(text: str, error: Exception) -> str:
    from pymongo.common import URI_OPTIONS_VALIDATOR_MAP, validate  # noqa: PLC0415

    names, at, _ = text.partition("://")[2].rpartition("@")
    if at and re.search("[/?#@]|:.*:", names):
        return _CREDENTIALS
    for name, value in parse_qsl(text.partition("?")[2], keep_blank_values=True):
        try:
            validate(name, value)
        except Exception as trouble:  # noqa: BLE001 - as above
            if name.lower() not in URI_OPTIONS_VALIDATOR_MAP:
                return _OPTIONS
            return f"the option {name} {_why_no_file(trouble) or 'cannot have its value'}"
    if reason := _why_no_file(error):
        return f"an option {reason}"
    return "its options contradict each other"


def _option(text: str, name: str) -> str:
    options = parse_qsl(text.partition("?")[2])
    return next((value.upper() for key, value in options if key.lower() == name), "")


def as_redis(text: str) -> str:
    """Check a Redis URL with redis-py."""
    parts = _url(text, *REDIS_SCHEMES, several=True)
    has_sentinels = parts.scheme.endswith("+sentinel")
    path = parts.path
    if has_sentinels:
        _, primary, *rest = (*path.split("/"), "")
        if not primary:
            raise Unusable("the name that the sentinels have for the primary is missing: /name")
        path = "/".join(["", *rest[:-1]])
    if not re.fullmatch(r"/?|/[0-9]{1,4}", path):
        raise Unusable("the database is not a number")
    known = _REDIS_OPTIONS | (_SENTINEL_OPTIONS if has_sentinels else set())
    if not {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)} <= known:
        raise Unusable(_OPTIONS)
    if find_spec("redis"):
        _ask(_ask_redis, text)
    return text


def _ask_redis(text: str) -> None:
    from redis.asyncio import Redis  # noqa: PLC0415  # an extra

    from orders.adapters.redis.primary import RedisUri  # noqa: PLC0415

    uri = RedisUri.parse(text)
    for each in (uri.template, uri.sentinel_template):
        pool = Redis.from_url(each).connection_pool
        connection = pool.make_connection()  # type: ignore[no-untyped-call]
        if (tls := getattr(connection, "ssl_context", None)) is not None:
            tls.get()


def as_rabbit(text: str) -> str:
    """Check a RabbitMQ URL with aio-pika."""
    parts = _url(text, "amqp", "amqps", several=True)
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if not re.fullmatch(_RABBIT_OPTIONS.get(name, "(?!)"), value):
            raise Unusable(_OPTIONS)
    if find_spec("aio_pika"):
        _ask(_ask_rabbit, text)
    return text


def _ask_rabbit(text: str) -> None:
    from aio_pika.connection import make_url  # noqa: PLC0415  # an extra

    from orders.adapters.brokers.rabbitmq_servers import urls_of  # noqa: PLC0415

    given = make_url(urls_of(text)[0]).query
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authorities = [given.get(each) for each in ("cafile", "capath", "cadata")]
    if any(authorities):
        context.load_verify_locations(*authorities)
    if "certfile" in given:
        context.load_cert_chain(given["certfile"], given.get("keyfile"))


def as_http(text: str) -> str:
    """Check an HTTP URL with aiohttp."""
    _url(text, "http", "https")
    _ask(_ask_http, text)
    return text


def as_http_base(text: str) -> str:
    """Check an HTTP URL to which paths are appended."""
    if "?" in text or "#" in text:
        raise Unusable("paths are appended to it: it must end before any ? or #")
    return as_http(text)


def _ask_http(text: str) -> None:
    from yarl import URL  # noqa: PLC0415  # late: most commands need none

    URL(text)


def as_price_list(text: str) -> str:
    """Check an HTTP URL, or a file with a list of prices."""
    if text.startswith(("http://", "https://")):
        return as_http_base(text)
    from orders.adapters.catalogue import (  # noqa: PLC0415  # late: most commands need none
        JsonPriceList,
        PriceListUnreadable,
    )

    try:
        JsonPriceList(Path(text))
    except PriceListUnreadable as error:
        if isinstance(error.__cause__, OSError):
            raise Unusable("the file does not exist, or cannot be read") from None
        raise Unusable('the file is not a list of prices such as {"GBP": {"MUG": 1250}}') from None
    return text


def _ask(library: Callable[[str], None], text: str) -> None:
    """Let a library check an address. Its error text is not repeated."""
    try:
        library(text)
    except Exception as error:  # noqa: BLE001 - whatever it is, it may quote the password
        reason = _why_no_file(error)
        raise Unusable(f"an option {reason}" if reason else _OPTIONS) from None


def _why_no_file(error: Exception) -> str | None:
    if isinstance(error, ssl.SSLError):
        return "names a file without a certificate or key that can be used"
    return "names a file that cannot be read" if isinstance(error, OSError) else None


def _url(text: str, *schemes: str, several: bool = False, named: bool = True) -> SplitResult:
    """Return the parts of a URL, `several`: with hosts between commas, `named`: as DNS has names.

    No error text contains the URL.
    """
    parts = urlsplit(text)
    if parts.scheme not in schemes or not parts.netloc or " " in text or not text.isprintable():
        raise ValueError
    if re.search("%(?![0-9a-fA-F]{2})", text):
        raise Unusable("a % is not followed by two hexadecimal digits: % itself is %25")
    is_http = parts.scheme in {"http", "https"}
    if not is_http and "@" in text.partition(parts.netloc)[2]:
        raise Unusable(_CREDENTIALS)
    hosts = parts.netloc.rpartition("@")[2]
    for each in hosts.split(",") if several else [hosts]:
        _require_host(each, named=named)
    return parts


def _require_host(text: str, *, named: bool) -> None:
    found = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+)\]|([^:\[\]]+))(?::(.*))?", text)
    if found is None:
        raise Unusable(
            "a host is missing, or a port is not a number" if text else "the host is missing"
        )
    literal, name, port = found.groups()
    if port is not None:
        require_port(port)
    if named:
        as_host(literal or name.encode("idna").decode())
