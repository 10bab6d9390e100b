"""TLS of outgoing connections: which servers are trusted, and which certificate they are shown."""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, NoReturn
from urllib.parse import parse_qsl, urlencode

from orders.entrypoints.settings.files import read_pem
from orders.entrypoints.settings.kinds import Unusable, setting

_PAIRS: Final = (
    ("client_cert_file", "client_key_file"),
    ("payment_client_cert_file", "payment_client_key_file"),
)


def tls_context(
    ca_file: str | None = None, cert_file: str | None = None, key_file: str | None = None
) -> ssl.SSLContext:
    """Return a context for outgoing connections. It checks the certificate and the host name.

    `ca_file` holds the only certificate authorities that are trusted; None means the system's. A
    server that asks for a client certificate gets `cert_file`, whose key is in `key_file`, or in
    the same file if that is None. All are in PEM form and read now.

    Raises:
        Unusable: If the key is encrypted.
        OSError: If a file cannot be read; `ssl.SSLError`, if it has nothing that can be used.
    """
    context = ssl.create_default_context(cafile=ca_file)
    if cert_file is not None:
        context.load_cert_chain(cert_file, key_file, password=_no_password)
    return context


def _no_password() -> NoReturn:
    # Without a function, OpenSSL asks for the password on the terminal.
    raise Unusable("the key is encrypted: it must be stored without a password")


def as_certificates(text: str) -> str:
    """Accept a file with certificates."""
    read_pem(text)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=text)
    except ssl.SSLError:
        raise Unusable("the file holds no certificate in PEM form that can be used") from None
    return text


def as_key(text: str) -> str:
    """Accept a file with a private key; `problems` tells whether it can be used."""
    if b"PRIVATE KEY-----" not in read_pem(text):
        raise Unusable("the file holds no private key in PEM form")
    return text


def problems(values: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Return the settings whose certificate and key do not fit together, and why."""
    for cert, key in _PAIRS:
        cert_file, key_file = values.get(cert), values.get(key)
        if key_file is not None and cert not in values:
            yield key, f"needs ORDERS_{cert.upper()}, the certificate of the key"
        if isinstance(cert_file, str) and (reason := _why_no_pair(cert_file, key_file)):
            yield (cert if key_file is None else key), f"cannot be used: {reason}"


def _why_no_pair(cert_file: str, key_file: object) -> str | None:
    try:
        tls_context(None, cert_file, key_file if isinstance(key_file, str) else None)
    except Unusable as error:
        return str(error)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            return "the key does not belong to the certificate"
        return "there is no private key that can be used"
    except OSError:
        return "a file cannot be read"
    return None


def with_certificates(mongo_uri: str, values: Mapping[str, Any]) -> str:
    """Return a MongoDB URI with the options that name our certificates, if it uses TLS.

    Options that the URI has already stay. The driver takes certificate and key from one file only.
    """
    options = dict(parse_qsl(mongo_uri.partition("?")[2], keep_blank_values=True))
    own = {name.lower(): value for name, value in options.items()}
    # Every other option for TLS turns it on, too.
    implied = mongo_uri.startswith("mongodb+srv:") or any(name.startswith("tls") for name in own)
    if own.get("tls", own.get("ssl", str(implied).lower())) != "true":
        return mongo_uri
    ca_file, cert_file = values.get("ca_file"), values.get("client_cert_file")
    added = {}
    if ca_file and "tlscafile" not in own:
        added["tlsCAFile"] = ca_file
    if cert_file and "tlscertificatekeyfile" not in own:
        added["tlsCertificateKeyFile"] = _in_one_file(cert_file, values.get("client_key_file"))
    if not added:
        return mongo_uri
    if "?" in mongo_uri:
        return f"{mongo_uri.rstrip('&')}&{urlencode(added)}".replace("?&", "?")
    slash = "" if "/" in mongo_uri.partition("://")[2] else "/"
    return f"{mongo_uri}{slash}?{urlencode(added)}"


@cache
def _in_one_file(cert_file: str, key_file: str | None) -> str:
    """Return a file with both. A file that is made for it has no name and ends with the process."""
    if key_file is None:
        return cert_file
    with tempfile.TemporaryFile() as joined:
        joined.write(read_pem(cert_file) + b"\n" + read_pem(key_file))
        joined.flush()
        # Nobody closes this: the driver may read it again.
        return f"/dev/fd/{os.dup(joined.fileno())}"


@dataclass(frozen=True, kw_only=True)
class TlsSettings:
    """The settings of outgoing TLS connections."""

    ca_file: str | None = setting(
        "certificate authorities that outgoing TLS connections trust instead of the system's",
        "a file in PEM form",
        as_certificates,
        default=None,
    )
    client_cert_file: str | None = setting(
        "certificate of the service, for servers that ask for one",
        "a file in PEM form",
        as_certificates,
        default=None,
    )
    client_key_file: str | None = setting(
        "key of that certificate, without a password; may also stand in the same file",
        "a file in PEM form",
        as_key,
        default=None,
    )
    payment_client_cert_file: str | None = setting(
        "another certificate, for the payment service alone",
        "a file in PEM form",
        as_certificates,
        default=None,
    )
    payment_client_key_file: str | None = setting(
        "key of that certificate, likewise", "a file in PEM form", as_key, default=None
    )
