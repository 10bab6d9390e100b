#!/bin/sh
# PyJWT 2.15.1 (PyJWKClient): a key that cannot be used is skipped, but one without its value "k",
# or with a list as "alg", makes every other key of the same document unusable.
#
# Behaviour: RFC 7517, section 5, says that a reader should ignore keys of an unknown type, without
# a required member, or with a value outside what it supports. PyJWT does so by catching its own
# exceptions for each key. Two checks raise a built-in exception instead, which ends the reading of
# the whole document. The KeyError 'k' has nothing to do with the key that was asked for.
#
# Seen, for get_signing_key("good") with another key first in the document:
#   unknown type, unknown curve, RSA without n, EC without x, not an object    the key is found
#   symmetric ("oct") without k                                                KeyError: 'k'
#   alg is a list                                                              TypeError
#
# Why it matters: every token is refused, or fails with an error that a handler for PyJWTError does
# not catch, although the key that signed it is there. The publisher of the keys is another team.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    pyjwt==2.15.1 cryptography==50.0.2
"$folder/venv/bin/python" - <<'PYTHON'
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

PUBLIC = RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 2048).public_key(), as_dict=True)
GOOD = PUBLIC | {"kid": "good", "alg": "RS256", "use": "sig"}
FOUND = "good"
OTHERS = {
    "unknown type": ({"kty": "new", "kid": "other"}, FOUND),
    "unknown curve": ({"kty": "EC", "crv": "P-999", "x": "AA", "y": "AA"}, FOUND),
    "RSA without n": ({"kty": "RSA", "e": "AQAB", "kid": "other"}, FOUND),
    "EC without x": ({"kty": "EC", "crv": "P-256", "kid": "other"}, FOUND),
    "not an object": ("other", FOUND),
    "oct without k": ({"kty": "oct", "kid": "other"}, "KeyError: 'k'"),
    "alg is a list": (GOOD | {"kid": "other", "alg": ["RS256"]}, "TypeError: unhashable"),
}


class Publisher(BaseHTTPRequestHandler):
    keys = []

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"keys": Publisher.keys}).encode())

    def log_message(self, *_):
        pass


def found(other):
    Publisher.keys = [other, GOOD]
    client = jwt.PyJWKClient(f"http://127.0.0.1:{server.server_port}/keys")
    try:
        return client.get_signing_key("good").key_id
    except jwt.PyJWTError as error:
        return f"a PyJWTError: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


server = ThreadingHTTPServer(("127.0.0.1", 0), Publisher)
threading.Thread(target=server.serve_forever, daemon=True).start()
print("PyJWT", version("pyjwt"), "cryptography", version("cryptography"))
wrong = []
for name, (other, expected) in OTHERS.items():
    seen = found(other)
    print(f"with a key: {name:14} expected {FOUND}, seen {seen}")
    if not seen.startswith(expected):
        wrong.append(name)
sys.exit(bool(wrong))
PYTHON
