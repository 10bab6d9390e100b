"""The consumers: a program in each language, over CloudEvents' SDK and clients of both brokers.

Each is run as `… kafka|rabbitmq ADDRESS PLACE COUNT`; the place is a topic or a queue. It reads as
many messages, and prints the attributes and the data of each event as a line of JSON.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.clients.generated.generators import (
    CARGO,
    GO,
    JARS,
    JAVA,
    MAVEN,
    NODE,
    NPM_CI,
    Needed,
)

HERE: Final = Path(__file__).parent
_LOCK: Final = HERE.parents[1] / "requirements" / "consumers.lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """A consumer; all commands are lines of `sh`."""

    language: str
    folder: str
    needs: tuple[Needed, ...] = ()
    pins: tuple[str, ...]
    """The files that say which versions are installed; the first names all packages below."""
    sdk: str
    clients: Mapping[str, str]
    """The client's package for each broker."""
    install: str
    compile: str = ""
    run: str

    def files(self) -> list[Path]:
        """What its folder begins with."""
        return [*(HERE / self.folder).iterdir(), *([_LOCK] if _LOCK.name in self.pins else [])]

    def versioned(self, package: str) -> str:
        """A package, and the version that is pinned."""
        first = next(each for each in self.files() if each.name == self.pins[0]).read_text()
        found = re.search(rf"{re.escape(package)}\b.*?(\d+(?:\.\d+)+)", first, re.DOTALL)
        assert found, f"{package} is not pinned"
        return f"{package} {found[1]}"


CONSUMERS: Final = (
    Consumer(
        language="Python",
        folder="python",
        pins=("consumers.lock",),
        sdk="cloudevents",
        clients={"kafka": "confluent-kafka", "rabbitmq": "pika"},
        install=(
            '"$PYTHON" -m uv venv --quiet --clear --python "$PYTHON" .venv\n'
            '"$PYTHON" -m uv pip sync --quiet --python .venv/bin/python --require-hashes'
            " consumers.lock"
        ),
        run="python consume.py",
    ),
    Consumer(
        language="JavaScript",
        folder="javascript",
        needs=(NODE,),
        pins=("package.json", "package-lock.json"),
        sdk="cloudevents",
        clients={"kafka": "kafkajs", "rabbitmq": "amqplib"},
        install=NPM_CI,
        run="node consume.mjs",
    ),
    Consumer(
        language="Go",
        folder="go",
        needs=(GO,),
        pins=("go.mod", "go.sum"),
        sdk="github.com/cloudevents/sdk-go/v2",
        clients={
            "kafka": "github.com/twmb/franz-go",
            "rabbitmq": "github.com/rabbitmq/amqp091-go",
        },
        install="go mod download",
        compile="go vet . && go build -o consume .",
        run="./consume",
    ),
    Consumer(
        language="Java",
        folder="java",
        needs=(JAVA, MAVEN),
        pins=("pom.xml",),
        sdk="cloudevents-json-jackson",
        clients={"kafka": "kafka-clients", "rabbitmq": "amqp-client"},
        install=JARS,
        compile="javac -d classes -cp 'jars/*' Consume.java",
        run="java -cp 'classes:jars/*' Consume",
    ),
    Consumer(
        language="Rust",
        folder="rust",
        needs=(CARGO,),
        pins=("Cargo.toml",),
        sdk="cloudevents-sdk",
        clients={"kafka": "rskafka", "rabbitmq": "lapin"},
        install="cargo fetch --quiet",
        compile="cargo build --quiet",
        run="target/debug/consume",
    ),
)
