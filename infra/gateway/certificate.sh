#!/bin/sh
# Creates a certificate for localhost in the directory $1, for development only: no client trusts
# it. Does nothing if the certificate exists.
set -eu
[ -f "$1/tls.crt" ] && exit 0
mkdir -p "$1"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
    -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
    -keyout "$1/tls.key" -out "$1/tls.crt" 2>/dev/null
