#!/bin/sh
# aiohttp 3.14.5: its certificate error is an ssl.SSLCertVerificationError without verify_message.
#
# Behaviour: a certificate that is not trusted raises ClientConnectorCertificateError, a subclass of
# ssl.SSLCertVerificationError. The class promises verify_code and verify_message; this instance has
# neither: reading one raises AttributeError. Both are in error.certificate_error (and __cause__).
# asyncio, which aiohttp uses for the connection, raises the same class with both.
#
# Seen: asyncio: verify_code 18, verify_message "self-signed certificate"; aiohttp: AttributeError
#
# Why it matters: `except ssl.SSLCertVerificationError as error: log(error.verify_message)` is
# correct for every other library of Python, and with aiohttp the handler itself fails, in an outage.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    aiohttp==3.14.5 cryptography==50.0.2
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import asyncio
import datetime as dt
import ipaddress
import ssl
import sys
from importlib.metadata import version
from pathlib import Path

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def self_signed(folder):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.timezone.utc)
    host = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(host, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    file = Path(folder, "server.pem")
    file.write_bytes(certificate.public_bytes(pem) + key.private_bytes(pem, form, plain))
    return file


def reason(error):
    try:
        return error.verify_code, bool(error.verify_message)
    except AttributeError:
        return "AttributeError"


async def main():
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(self_signed(sys.argv[1]))
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    seen = {}
    try:
        await asyncio.open_connection("127.0.0.1", port, ssl=ssl.create_default_context())
    except ssl.SSLCertVerificationError as error:
        seen["asyncio"] = reason(error)
    try:
        async with aiohttp.ClientSession() as session:
            await session.get(f"https://127.0.0.1:{port}/")
    except ssl.SSLCertVerificationError as error:
        seen["aiohttp"] = reason(error)
        seen["its certificate_error"] = reason(error.certificate_error)
    server.close()
    return seen


said = (18, True)
expected = {"asyncio": said, "aiohttp": said, "its certificate_error": said}
described = {**expected, "aiohttp": "AttributeError"}
seen = asyncio.run(main())
print(f"aiohttp {version('aiohttp')}, {ssl.OPENSSL_VERSION}")
print("caught by `except ssl.SSLCertVerificationError`: verify_code, and a verify_message")
for name in expected:
    print(f"  {name}: expected {expected[name]}, seen {seen.get(name)}")
sys.exit(seen != described)
PYTHON
