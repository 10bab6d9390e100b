#!/bin/sh
# aio-pika 10.2.1 with aiormq 7.2.4: a heartbeat of 30.0 seconds turns heartbeats off.
#
# Behaviour: aiormq reads the heartbeat with int() and takes 0 if that fails. It logs and raises
# nothing. The client answers the broker's Connection.Tune with heartbeat 0, which in AMQP 0-9-1
# means "no heartbeats", although the broker proposed 10 seconds. The same holds for "30s", and for
# 65535 and more. The neighbouring option reconnect_interval accepts a decimal point.
#
# Seen: heartbeat=30 -> 30; 30.0 -> 0; "30s" -> 0; 65535 -> 0; not given -> 60
#
# Why it matters: a service that reads its settings as float loses heartbeats without a sign. A
# broker that disappears without closing the connection is then noticed only by TCP, much later.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    aio-pika==10.2.1 aiormq==7.2.4 pamqp==4.0.1
"$folder/venv/bin/python" - <<'PYTHON'
import asyncio
import sys
from importlib.metadata import version

import aio_pika
from pamqp import commands, frame
from yarl import URL

PROPOSED = 10
EXPECTED = {"30": 30, "30.0": 30, "'30s'": "an error", "65535": "an error", "None": PROPOSED}
SEEN = {"30": 30, "30.0": 0, "'30s'": 0, "65535": 0, "None": 60}


async def receive(reader):
    head = await reader.readexactly(7)
    body = await reader.readexactly(int.from_bytes(head[3:], "big") + 1)
    return frame.unmarshal(head + body)[2]


async def broker(reader, writer, agreed):
    """The handshake of AMQP 0-9-1, and nothing else."""
    await reader.readexactly(len(b"AMQP\0\0\x09\x01"))
    for answer in (
        commands.Connection.Start(server_properties={}, mechanisms="PLAIN", locales="en_US"),
        commands.Connection.Tune(channel_max=2047, frame_max=131072, heartbeat=PROPOSED),
    ):
        writer.write(frame.marshal(answer, 0))
        received = await receive(reader)
    agreed.append(received.heartbeat)  # of Connection.TuneOk
    for answer in (commands.Connection.OpenOk(), commands.Connection.CloseOk()):
        await receive(reader)
        writer.write(frame.marshal(answer, 0))
    await writer.drain()
    writer.close()


async def main():
    agreed = []
    server = await asyncio.start_server(lambda r, w: broker(r, w, agreed), "127.0.0.1", 0)
    url = "amqp://guest:guest@127.0.0.1:%d/" % server.sockets[0].getsockname()[1]
    for heartbeat in (30, 30.0, "30s", 65535, None):
        connection = await aio_pika.connect(url, heartbeat=heartbeat, timeout=10)
        await connection.close()
    server.close()
    robust = aio_pika.RobustConnection(URL(url).with_query(reconnect_interval="2.5"))
    return dict(zip(SEEN, agreed, strict=True)), robust.reconnect_interval


print("aio-pika", version("aio-pika"), "aiormq", version("aiormq"))
seen, interval = asyncio.run(main())
print(f"the broker proposes {PROPOSED} s; heartbeat agreed in Connection.TuneOk:")
for given, value in seen.items():
    print(f"  heartbeat={given:7} expected {EXPECTED[given]!s:9} seen {value}")
print("for comparison, reconnect_interval=2.5 is read as", interval)
sys.exit(seen != SEEN or interval != 2.5)
PYTHON
