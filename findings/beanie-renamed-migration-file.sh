#!/bin/sh
# Beanie 2.2.0 (beanie migrate): if the file of the last migration gets another name, all migrations
# run again. A new file whose name sorts before the last one never runs.
#
# Behaviour: Beanie logs the name of each migration that it ran, but reads only the entry that is
# marked as current. It looks for the file of that name and runs the files after it. Without such a
# file it starts from the first one. It reports neither.
#
# Seen:
#   1_one.py and 2_two.py, first run      both run
#   a second run                          none runs
#   1_other.py is added                   none runs
#   1_one.py is renamed                   none runs
#   2_two.py is renamed to 2_second.py    all three run, 1_one.py (renamed) and 2_two.py once more
#
# Why it matters: a migration that adds or converts amounts does so twice because of a better file
# name, or because the release before the last one is started again. Of two branches, the one that
# is merged second can lose its migration.
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

class Note(Document):
    class Settings:
        name = "notes"

class Forward:
    @free_fall_migration(document_models=[Note])
    async def add(self, session):
        await Note.get_pymongo_collection().insert_one({{"written by": "{0}"}})
"""
FOLDER = Path("migrations")
STEPS = {  # what is done before the run: what should run, what runs
    "the first run": ("one two", "one two"),
    "nothing": ("", ""),
    "1_other.py is added": ("other", ""),
    "1_one.py is renamed": ("", ""),
    "2_two.py is renamed": ("", "one other two"),
}


def add(file, label):
    (FOLDER / file).write_text(MIGRATION.format(label))


def prepare(step):
    if step == "the first run":
        FOLDER.mkdir()
        add("1_one.py", "one")
        add("2_two.py", "two")
    elif step == "1_other.py is added":
        add("1_other.py", "other")
    elif step == "1_one.py is renamed":
        (FOLDER / "1_one.py").rename(FOLDER / "1_first.py")
    elif step == "2_two.py is renamed":
        (FOLDER / "2_two.py").rename(FOLDER / "2_second.py")


def migrate(database):
    """Run the migrations, and return what ran, and what the command said."""
    database.notes.delete_many({})
    done = subprocess.run(
        [Path(sys.executable).with_name("beanie"), "migrate", "--no-use-transaction"]
        + ["-uri", f"mongodb://127.0.0.1:{port}/", "-db", database.name, "-p", FOLDER],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    return " ".join(note["written by"] for note in database.notes.find().sort("_id")), done.stdout


with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
server = subprocess.Popen(
    [sys.executable, "-m", "secantus", "--host", "127.0.0.1", "--port", str(port)]
    + ["--storage-path", ":memory:", "--log-level", "ERROR"],
)
ran, said = {}, ""
try:
    with MongoClient("127.0.0.1", port) as client:
        for step in STEPS:
            prepare(step)
            ran[step], words = migrate(client.shop)
            said += words
finally:
    server.terminate()
    server.wait()

print("beanie", version("beanie"), "SecantusDB", version("SecantusDB"))
for step, (expected, _) in STEPS.items():
    print(f"{step:20} expected to run: {expected or 'none':8} seen: {ran[step] or 'none'}")
print("words of the command in all runs:", repr(said))
sys.exit(ran != {step: seen for step, (_, seen) in STEPS.items()} or said != "")
PYTHON
