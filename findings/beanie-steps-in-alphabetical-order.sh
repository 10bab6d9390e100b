#!/bin/sh
# Beanie 2.2.0 (beanie migrate): the steps of one migration run in the order of their names, not in
# the order in which they are written.
#
# Behaviour: a migration is a class whose decorated methods are its steps. Beanie finds them with
# dir(), which sorts. (That files run in the order of their names is documented, and usual.)
#
# Seen, for a class that defines keep_price and then drop_old_price, and a document {"amount": 5}:
#   drop_old_price runs before keep_price, and the document has lost its price.
#   With the names step_1 and step_2 the same class gives {"price": 5}.
#
# Why it matters: steps that depend on each other are written one below the other and read well in
# a review. A wrong order fails only through the data, and removing a field cannot be undone.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    beanie==2.2.0 pymongo==4.20.0 SecantusDB==0.7.0b3
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from pymongo import MongoClient

MIGRATION = """
from beanie import Document, free_fall_migration

class Item(Document):
    class Settings:
        name = "items"

class Forward:
    @free_fall_migration(document_models=[Item])
    async def {0}(self, session):
        items = Item.get_pymongo_collection()
        async for item in items.find({{"amount": {{"$exists": True}}}}):
            await items.update_one({{"_id": item["_id"]}}, {{"$set": {{"price": item["amount"]}}}})

    @free_fall_migration(document_models=[Item])
    async def {1}(self, session):
        await Item.get_pymongo_collection().update_many({{}}, {{"$unset": {{"amount": ""}}}})
"""
SEEN = {
    ("keep_price", "drop_old_price"): {"_id": 1},
    ("step_1", "step_2"): {"_id": 1, "price": 5},
}


def migrated(client, names):
    """The document {"amount": 5} after a migration with these two steps."""
    database = client["_".join(names)]
    database.items.insert_one({"_id": 1, "amount": 5})
    folder = Path(database.name)
    folder.mkdir()
    (folder / "1_price.py").write_text(MIGRATION.format(*names))
    subprocess.run(
        [Path(sys.executable).with_name("beanie"), "migrate", "--no-use-transaction"]
        + ["-uri", f"mongodb://127.0.0.1:{port}/", "-db", database.name, "-p", folder],
        check=True,
    )
    return database.items.find_one()


with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
server = subprocess.Popen(
    [sys.executable, "-m", "secantus", "--host", "127.0.0.1", "--port", str(port)]
    + ["--storage-path", ":memory:", "--log-level", "ERROR"],
)
try:
    with MongoClient("127.0.0.1", port) as client:
        seen = {names: migrated(client, names) for names in SEEN}
finally:
    server.terminate()
    server.wait()

print("beanie", version("beanie"), "SecantusDB", version("SecantusDB"))
print("expected, with any names of the two steps:", {"_id": 1, "price": 5})
for names, document in seen.items():
    print(f"seen: {', then '.join(names):32} {document}")
sys.exit(seen != SEEN)
PYTHON
