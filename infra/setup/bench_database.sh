#!/bin/sh
# Install the database that `make bench` runs on, at one version, into $1/bin. It speaks MongoDB's
# wire protocol and runs as a separate process (GPL-2); only the bench starts it.
set -eu

VERSION=0.5.3-beta.196
RUST=1.98.0

if "$1/bin/secantusd-rs" --version 2>/dev/null | grep -qF "$VERSION"; then
    exit 0
fi
command -v cargo >/dev/null || {
    echo "no cargo here: make bench runs on the embedded database, or on ORDERS_MONGO_URI" >&2
    exit 1
}
if command -v rustup >/dev/null; then
    rustup toolchain install "$RUST" --profile minimal >&2
    set -- "$1" "+$RUST"
fi
cargo ${2:-} install secantus-mdb --version "$VERSION" --locked --root "$1"
