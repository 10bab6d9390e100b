#!/bin/sh
# PyMongo 4.20.0 (AsyncMongoClient, mongodb+srv): the DNS look-up of the first operation obeys
# neither timeoutMS nor serverSelectionTimeoutMS, and its failure is a ConfigurationError.
#
# Behaviour: the constructor asks nothing. The first operation asks for the SRV record. The
# look-up waits for connectTimeoutMS (20 seconds if not given), also where timeoutMS, the limit for
# the whole operation, is shorter. A temporary DNS fault raises ConfigurationError, which is no
# ConnectionFailure. The next operation asks again. If the SRV record is found and the
# address of the host is not, the same operation raises ServerSelectionTimeoutError.
#
# Seen, with timeoutMS=800, serverSelectionTimeoutMS=500, connectTimeoutMS=3000:
#   SRV look-up is refused (SERVFAIL)    ConfigurationError            0.0 s
#   SRV look-up is not answered          ConfigurationError            3.2 s
#   SRV found, host not found            ServerSelectionTimeoutError   1.1 s
#
# Why it matters: code that retries on ConnectionFailure gives up when DNS fails for a moment, and a
# deadline of less than a second does not hold at the start of a service.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    pymongo==4.20.0 dnspython==2.9.2
"$folder/venv/bin/python" - <<'PYTHON'
import asyncio
import socket
import sys
import threading
import time
from importlib.metadata import version

import dns.asyncresolver
import dns.message
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.rrset
from pymongo import AsyncMongoClient
from pymongo.errors import ConnectionFailure, PyMongoError

LIMITS = {"timeoutMS": 800, "serverSelectionTimeoutMS": 500, "connectTimeoutMS": 3000}
state = {"mode": "refused", "asked": 0}


def answer_names(server):
    """A name server that knows one SRV record."""
    while True:
        request, address = server.recvfrom(4096)
        state["asked"] += 1
        query = dns.message.from_wire(request)
        reply = dns.message.make_response(query)
        (question,) = query.question
        if state["mode"] == "refused":
            reply.set_rcode(dns.rcode.SERVFAIL)
        elif question.rdtype == dns.rdatatype.SRV:
            host = "0 0 27017 node.shop.invalid."
            reply.answer.append(dns.rrset.from_text(question.name, 60, "IN", "SRV", host))
        if state["mode"] != "silent":
            server.sendto(reply.to_wire(), address)


async def first_operation(client):
    start = time.monotonic()
    try:
        await client.shop.orders.find_one()
    except PyMongoError as error:
        return type(error).__name__, isinstance(error, ConnectionFailure), time.monotonic() - start
    raise SystemExit("there is no database, and an operation succeeded")


async def main():
    seen = {}
    client = AsyncMongoClient("mongodb+srv://db.shop.invalid/", **LIMITS)
    in_constructor = state["asked"]
    seen["refused"] = await first_operation(client)
    state["mode"] = "silent"
    seen["silent"] = await first_operation(client)
    state["mode"] = "answered"
    seen["answered"] = await first_operation(client)
    await client.close()
    return in_constructor, seen


server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 0))
threading.Thread(target=answer_names, args=[server], daemon=True).start()
for module in (dns.resolver, dns.asyncresolver):
    module.default_resolver = module.Resolver(configure=False)
    module.default_resolver.nameservers = ["127.0.0.1"]
    module.default_resolver.port = server.getsockname()[1]

print("pymongo", version("pymongo"), "dnspython", version("dnspython"))
in_constructor, seen = asyncio.run(main())
print("limits:", LIMITS)
print("expected: a ConnectionFailure within 0.8 s each time")
print("seen: look-ups in the constructor:", in_constructor)
for mode, (name, is_connection_failure, seconds) in seen.items():
    kind = "is" if is_connection_failure else "is no"
    print(f"seen: SRV {mode:9} {name:28} ({kind} ConnectionFailure) after {seconds:.1f} s")
names = [each[:2] for each in seen.values()]
configuration, selection = ("ConfigurationError", False), ("ServerSelectionTimeoutError", True)
sys.exit(
    in_constructor != 0
    or names != [configuration, configuration, selection]
    or seen["silent"][2] < 2.5
    or seen["answered"][2] > 10
)
PYTHON
