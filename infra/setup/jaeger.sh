#!/bin/sh
# Builds Jaeger in the directory $1, for ORDERS_TEST_JAEGER: the version that Compose uses,
# without its web pages. Needs Go; takes about ten minutes on two cores. Go's checksum database
# verifies every download.
set -eu
directory=$(mkdir -p "$1" && cd "$1" && pwd)
# Jaeger 2.13.0: its module keeps the numbers of version 1.
jaeger=v1.76.0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
go mod init build 2>/dev/null
go get -tool "github.com/jaegertracing/jaeger/cmd/jaeger@$jaeger"
CGO_ENABLED=0 go build -trimpath -o "$directory/jaeger" github.com/jaegertracing/jaeger/cmd/jaeger
