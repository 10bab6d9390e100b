#!/bin/sh
# PyMongo 4.20.0: the same reply to the same insert of one document is reported, and retried, or
# not, depending on the method that sent it.
#
# Behaviour: a reply can hold writeErrors (a duplicate key) and a writeConcernError (the write is
# not replicated) together. insert_one reads the first and drops the second: the exception does not
# hold it, and a reply labelled RetryableWriteError is not retried. insert_many with one document,
# Collection.bulk_write and MongoClient.bulk_write keep the second and retry once.
#
# Seen, for a document whose _id is taken (server: SecantusDB 0.7.0b3 with a fail point):
#                            error code 64, timeout        error code 91, retryable
#   insert_one               not in the exception          1 command
#   insert_many              in it, timeout is True        2 commands
#   Collection.bulk_write    in it, timeout is True        2 commands
#   MongoClient.bulk_write   in it, timeout is False       2 commands
#
# Why it matters: "the key is taken" from insert_one can mean a document that a failover will remove
# again, so an idempotent insert must not count it as stored. Changing insert_one to insert_many
# with a list of one changes both what is known and how often the server is asked.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    pymongo==4.20.0 SecantusDB==0.7.0b3
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import socket
import subprocess
import sys
from importlib.metadata import version

from pymongo import InsertOne, MongoClient, monitoring
from pymongo.errors import PyMongoError

TAKEN = {"_id": 1}
METHODS = {
    "insert_one": lambda client: client.shop.orders.insert_one(dict(TAKEN)),
    "insert_many": lambda client: client.shop.orders.insert_many([dict(TAKEN)]),
    "Collection.bulk_write": lambda client: client.shop.orders.bulk_write([InsertOne(dict(TAKEN))]),
    "MongoClient.bulk_write": lambda client: client.bulk_write(
        [InsertOne(dict(TAKEN), namespace="shop.orders")]
    ),
}
TIMEOUT = {"code": 64, "errmsg": "not replicated", "errInfo": {"wtimeout": True}}
SHUTDOWN = {"code": 91, "errmsg": "not replicated"}
SEEN = {  # in the exception?, its timeout property, commands sent when the reply is retryable
    "insert_one": (False, False, 1),
    "insert_many": (True, True, 2),
    "Collection.bulk_write": (True, True, 2),
    "MongoClient.bulk_write": (True, False, 2),
}


class Commands(monitoring.CommandListener):
    def __init__(self):
        self.inserts = 0

    def started(self, event):
        self.inserts += event.command_name in ("insert", "bulkWrite")

    def succeeded(self, event):
        pass

    def failed(self, event):
        pass


def insert(client, commands, method, concern, labels):
    """The exception, and how many commands were sent. The fail point is for the first only."""
    data = {"failCommands": ["insert", "bulkWrite"], "writeConcernError": concern}
    client.admin.command(
        {
            "configureFailPoint": "failCommand",
            "mode": {"times": 1},
            "data": data | ({"errorLabels": labels} if labels else {}),
        }
    )
    commands.inserts = 0
    try:
        METHODS[method](client)
    except PyMongoError as error:
        return error, commands.inserts
    raise SystemExit("a duplicate key was accepted")


with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
server = subprocess.Popen(
    [sys.executable, "-m", "secantus", "--host", "127.0.0.1", "--port", str(port)]
    + ["--storage-path", ":memory:", "--enable-test-commands", "--log-level", "ERROR"],
)
seen = {}
try:
    commands = Commands()
    with MongoClient("127.0.0.1", port, event_listeners=[commands]) as client:
        client.shop.orders.insert_one(dict(TAKEN))
        for method in METHODS:
            error, _ = insert(client, commands, method, TIMEOUT, [])
            _, sent = insert(client, commands, method, SHUTDOWN, ["RetryableWriteError"])
            seen[method] = (TIMEOUT["errmsg"] in str(error.details), error.timeout, sent)
finally:
    server.terminate()
    server.wait()

print("pymongo", version("pymongo"), "SecantusDB", version("SecantusDB"))
print("expected of every method: reported yes, timeout True, 2 commands")
for method, (reported, timeout, sent) in seen.items():
    print(
        f"seen: {method:23} reported {'yes' if reported else 'no':3}, "
        f"timeout {timeout!s:5}, {sent} commands"
    )
sys.exit(seen != SEEN)
PYTHON
