#!/bin/sh
# aiormq 7.2.4: a virtual host that the broker refuses is reported as an invalid frame.
#
# Behaviour: the broker may answer Connection.Open with Connection.Close: 530 if the virtual host does
# not exist or is full, 403 if the user may not use it. aiormq has exceptions for both codes, and the
# code that raises them for this call. It is never reached: the call first compares the name of the
# answer with the answers that it expects, and Connection.Close is none. The same answer to
# Connection.StartOk, one step earlier, is reported by its code.
#
# Seen: 403 to StartOk -> ProbableAuthenticationError; 403 and 530 to Open -> InvalidFrameError
#
# Why it matters: InvalidFrameError is no AMQPConnectionError and no ConnectionError. Code that retries
# connection errors, or that tells an operator about a missing permission, sees a broken protocol.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check aiormq==7.2.4 pamqp==4.0.1
"$folder/venv/bin/python" - <<'PYTHON'
import asyncio
import logging
import sys
from importlib.metadata import version

import aiormq
from aiormq.exceptions import AMQPConnectionError
from pamqp import commands, frame

logging.disable(logging.CRITICAL)
EXPECTED = {
    ("StartOk", 403): "ProbableAuthenticationError",
    ("Open", 403): "ProbableAuthenticationError",
    ("Open", 530): "ConnectionNotAllowed or ConnectionClosed",
}
SEEN = {
    ("StartOk", 403): ("ProbableAuthenticationError", True),
    ("Open", 403): ("InvalidFrameError", False),
    ("Open", 530): ("InvalidFrameError", False),
}


async def receive(reader):
    head = await reader.readexactly(7)
    body = await reader.readexactly(int.from_bytes(head[3:], "big") + 1)
    return frame.unmarshal(head + body)[2]


async def broker(reader, writer, step, code):
    """The handshake of AMQP 0-9-1, until the step that is refused."""
    await reader.readexactly(len(b"AMQP\0\0\x09\x01"))
    start = commands.Connection.Start(server_properties={}, mechanisms="PLAIN", locales="en_US")
    refusal = commands.Connection.Close(code, "refused", 10, 40)
    answers = {"StartOk": refusal, "Open": commands.Connection.Tune(2047, 131072, 10)}
    writer.write(frame.marshal(start, 0))
    await receive(reader)  # Connection.StartOk
    writer.write(frame.marshal(answers[step], 0))
    if step == "Open":
        await receive(reader)  # Connection.TuneOk
        await receive(reader)  # Connection.Open
        writer.write(frame.marshal(refusal, 0))
    await writer.drain()
    await reader.read()
    writer.close()


async def connect(step, code):
    server = await asyncio.start_server(lambda r, w: broker(r, w, step, code), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        await asyncio.wait_for(aiormq.connect(f"amqp://u:p@127.0.0.1:{port}/shop"), 10)
    except Exception as error:
        return type(error).__name__, isinstance(error, AMQPConnectionError)
    finally:
        server.close()


seen = {each: asyncio.run(connect(*each)) for each in EXPECTED}
print("aiormq", version("aiormq"), "pamqp", version("pamqp"))
for (step, code), (name, is_connection_error) in seen.items():
    print(f"Connection.Close {code} to Connection.{step}: expected {EXPECTED[step, code]}")
    print(f"  seen {name}; an AMQPConnectionError: {is_connection_error}")
sys.exit(seen != SEEN)
PYTHON
