"""The generators of clients, and the commands that make, compile and run what each generates.

Each runs in a folder of its own, with the files of its folder beside this module and the published
document. `generate` is the command that docs/clients.md gives to users.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

OPENAPI_3_1: Final = "openapi.json"
OPENAPI_3_0: Final = "openapi-3.0.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """A program of this machine: what it says of itself must match the pattern."""

    program: str
    argument: str
    pattern: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Generator:
    """A generator; all commands are lines of `sh`."""

    name: str
    folder: str
    document: str = OPENAPI_3_1
    shared: tuple[str, ...] = ()
    """Files beside this module that other generators use, too."""
    needs: tuple[Needed, ...]
    pins: tuple[str, ...]
    """The files that say which versions are installed."""
    install: str
    version: str
    """Prints the version of the generator that is installed, and maybe its name before it."""
    output: str
    """What `generate` makes; it is removed before."""
    generate: str
    compile: str
    journey: str


JAVA: Final = Needed(
    program="javac", argument="--version",
    pattern=r"javac (?:1[7-9]|[2-9]\d)", what="a JDK, 17 or newer",
)  # fmt: skip
MAVEN: Final = Needed(program="mvn", argument="--version", pattern=r"Maven 3", what="Maven 3")
NODE: Final = Needed(
    program="node", argument="--version",
    pattern=r"v(?:2[0-9]|[3-9]\d)\.", what="Node.js, 20 or newer, with npm",
)  # fmt: skip
GO: Final = Needed(
    program="go", argument="version",
    pattern=r"go1\.(?:2[6-9]|[3-9]\d)", what="Go, 1.26 or newer",
)  # fmt: skip
CARGO: Final = Needed(
    program="cargo", argument="--version",
    pattern=r"1\.(?:8[5-9]|9\d|\d{3})\.", what="Rust's cargo, 1.85 or newer",
)  # fmt: skip

NPM_CI: Final = "npm ci --loglevel=error --ignore-scripts"
JARS: Final = "mvn --quiet --batch-mode generate-resources"
_OPENAPI_GENERATOR: Final = "java -jar openapi-generator-cli.jar"
_JAVAC: Final = "javac -d classes -cp 'jars/*' $(find client/src/main -name '*.java') *.java"

GENERATORS: Final = (
    Generator(
        name="openapi-python-client",
        folder="openapi_python_client",
        needs=(),
        pins=("clients.lock",),
        install=(
            '"$PYTHON" -m uv venv --quiet --clear --python "$PYTHON" .venv\n'
            '"$PYTHON" -m uv pip sync --quiet --python .venv/bin/python --require-hashes'
            " clients.lock"
        ),
        version="openapi-python-client --version",
        output="orders_client",
        generate=(
            "openapi-python-client generate --path openapi.json --meta none"
            " --output-path orders_client"
        ),
        compile="mypy --strict --follow-imports=silent journey.py",
        journey="python journey.py",
    ),
    Generator(
        name="openapi-generator, java (native, Jackson)",
        folder="openapi_generator_java",
        shared=("Journey.java",),
        needs=(JAVA, MAVEN),
        pins=("pom.xml",),
        install=JARS,
        version=f"{_OPENAPI_GENERATOR} version",
        output="client classes",
        generate=(
            f"{_OPENAPI_GENERATOR} generate -i openapi.json -g java --library native -o client"
            " --invoker-package shop.orders --api-package shop.orders.api"
            " --model-package shop.orders.model"
        ),
        compile=_JAVAC,
        journey="java -cp 'classes:jars/*' Journey",
    ),
    Generator(
        name="openapi-generator, java (OkHttp, Gson)",
        folder="openapi_generator_gson",
        shared=("Journey.java",),
        needs=(JAVA, MAVEN),
        pins=("pom.xml",),
        install=JARS,
        version=f"{_OPENAPI_GENERATOR} version",
        output="client classes",
        generate=(
            f"{_OPENAPI_GENERATOR} generate -i openapi.json -g java -o client"
            " --invoker-package shop.orders --api-package shop.orders.api"
            " --model-package shop.orders.model"
        ),
        compile=_JAVAC,
        journey="java -cp 'classes:jars/*' Journey",
    ),
    Generator(
        name="openapi-generator, go",
        folder="openapi_generator_go",
        needs=(JAVA, MAVEN, GO),
        pins=("pom.xml", "go.mod"),
        install=JARS,
        version=f"{_OPENAPI_GENERATOR} version",
        output="orders",
        generate=(
            f"{_OPENAPI_GENERATOR} generate -i openapi.json -g go -o orders"
            " --package-name orders --additional-properties=withGoMod=false"
        ),
        compile="rm -rf orders/test && go vet ./... && go build -o journey .",
        journey="./journey",
    ),
    Generator(
        name="openapi-generator, typescript-fetch",
        folder="openapi_generator_typescript",
        needs=(JAVA, MAVEN, NODE),
        pins=("pom.xml", "package-lock.json"),
        install=f"{JARS}\n{NPM_CI}",
        version=f"{_OPENAPI_GENERATOR} version",
        output="client built",
        generate=f"{_OPENAPI_GENERATOR} generate -i openapi.json -g typescript-fetch -o client",
        compile="npx tsc",
        journey="node built/journey.js",
    ),
    Generator(
        name="oapi-codegen",
        folder="oapi_codegen",
        document=OPENAPI_3_0,
        needs=(GO,),
        pins=("go.mod", "go.sum"),
        install="go mod download",
        version="go tool oapi-codegen -version",
        output="orders",
        generate=(
            "mkdir orders && go tool oapi-codegen -generate types,client -package orders"
            " -response-type-suffix Result"
            " -o orders/orders.go openapi-3.0.json"
        ),
        compile="go vet ./... && go build -o journey .",
        journey="./journey",
    ),
    Generator(
        name="ogen",
        folder="ogen",
        document=OPENAPI_3_0,
        needs=(GO,),
        pins=("go.mod", "go.sum"),
        install="go mod download",
        version="go list -m -f '{{.Version}}' github.com/ogen-go/ogen",
        output="orders",
        generate="go tool ogen --package orders --target orders --clean openapi-3.0.json",
        compile="go vet ./... && go build -o journey .",
        journey="./journey",
    ),
    Generator(
        name="openapi-typescript and openapi-fetch",
        folder="openapi_typescript",
        needs=(NODE,),
        pins=("package-lock.json",),
        install=NPM_CI,
        version="npx openapi-typescript --version",
        output="orders.d.ts built",
        generate="npx openapi-typescript openapi.json -o orders.d.ts --default-non-nullable false",
        compile="npx tsc",
        journey="node built/journey.js",
    ),
    Generator(
        name="hey-api",
        folder="hey_api",
        needs=(NODE,),
        pins=("package-lock.json",),
        install=NPM_CI,
        version="npx openapi-ts --version",
        output="orders built",
        generate="npx openapi-ts -i openapi.json -o orders -c @hey-api/client-fetch",
        compile="npx tsc",
        journey="node built/journey.js",
    ),
    Generator(
        name="progenitor",
        folder="progenitor",
        document=OPENAPI_3_0,
        needs=(CARGO,),
        pins=("Cargo.toml",),
        install="cargo fetch --quiet",
        version="cargo pkgid progenitor | sed 's/.*@//'",
        output="",
        # A macro generates the client while it is compiled.
        generate="cargo build --quiet",
        compile="",
        journey="target/debug/journey",
    ),
)
