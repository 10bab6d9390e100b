#!/bin/sh
# Beanie 2.2.0 (beanie migrate): BEANIE_ALLOW_INDEX_DROPPING=false drops indexes, and the option
# --forbid-index-dropping does not prevent it.
#
# Behaviour: the value of the variable goes through bool(), and every text that is not empty is
# true. An option counts only if it is true, so --forbid-index-dropping leaves the decision to the
# variable. With permission, a migration that names a document class drops each index of its
# collection that the class does not declare. A false in pyproject.toml is a false.
#
# Seen, for an index that somebody else created:
#   nothing set                                                     kept
#   allow_index_dropping = false in pyproject.toml                  kept
#   BEANIE_ALLOW_INDEX_DROPPING=false                               dropped
#   BEANIE_ALLOW_INDEX_DROPPING=0                                   dropped
#   BEANIE_ALLOW_INDEX_DROPPING=false with --forbid-index-dropping  dropped
#
# Why it matters: the setting that should protect the indexes removes them, and the command says
# nothing. A unique index or an index that expires documents is then missing until somebody looks.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    beanie==2.2.0 pymongo==4.20.0 SecantusDB==0.7.0b3
mkdir "$folder/migrations"
cat > "$folder/migrations/1_greet.py" <<'PYTHON'
from beanie import Document, free_fall_migration


class Note(Document):
    text: str

    class Settings:
        name = "notes"


class Forward:
    @free_fall_migration(document_models=[Note])
    async def greet(self, session):
        await Note.find_all().update({"$set": {"text": "hello"}})
PYTHON
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import os
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from pymongo import MongoClient

VARIABLE = "BEANIE_ALLOW_INDEX_DROPPING"
FORBID = "--forbid-index-dropping"
TOML = "allow_index_dropping = false"
CASES = {  # the variable, options, pyproject.toml: is the index kept?
    (None, (), ""): True,
    (None, (), TOML): True,
    ("false", (), ""): False,
    ("0", (), ""): False,
    ("false", (FORBID,), ""): False,
}


def is_kept(client, name, value, options, toml):
    notes = client[name].notes
    notes.insert_one({"text": ""})
    notes.create_index("text", unique=True, name="by_text")
    Path("pyproject.toml").write_text(f"[tool.beanie.migrations]\n{toml}\n")
    environment = {key: each for key, each in os.environ.items() if not key.startswith("BEANIE_")}
    subprocess.run(
        [Path(sys.executable).with_name("beanie"), "migrate", "--no-use-transaction", *options]
        + ["-uri", f"mongodb://127.0.0.1:{port}/", "-db", name, "-p", "migrations"],
        env=environment | ({VARIABLE: value} if value else {}),
        check=True,
    )
    assert notes.find_one()["text"] == "hello", "the migration did not run"
    return "by_text" in notes.index_information()


with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
server = subprocess.Popen(
    [sys.executable, "-m", "secantus", "--host", "127.0.0.1", "--port", str(port)]
    + ["--storage-path", ":memory:", "--log-level", "ERROR"],
)
seen = {}
try:
    with MongoClient("127.0.0.1", port) as client:
        for number, case in enumerate(CASES):
            seen[case] = is_kept(client, f"case{number}", *case)
finally:
    server.terminate()
    server.wait()

print("beanie", version("beanie"), "SecantusDB", version("SecantusDB"))
print("expected: the index is kept each time")
for (value, options, toml), kept in seen.items():
    set_up = " ".join([f"{VARIABLE}={value}" if value else toml or "nothing set", *options])
    print(f"seen: {set_up:58} {'kept' if kept else 'dropped'}")
sys.exit(seen != CASES)
PYTHON
