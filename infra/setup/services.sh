#!/bin/sh
# Installs the services that the tests start, if apt-get and root rights are available. Otherwise
# the tests that need them are skipped and say so. May be run again.
set -eu

missing=
[ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || missing="$missing rabbitmq-server"
command -v redis-server >/dev/null 2>&1 || missing="$missing redis-server"
command -v nginx >/dev/null 2>&1 || [ -x /usr/sbin/nginx ] || missing="$missing nginx-light"
command -v promtool >/dev/null 2>&1 || missing="$missing prometheus"
command -v amtool >/dev/null 2>&1 || missing="$missing prometheus-alertmanager"
[ -x /usr/sbin/haproxy ] || command -v haproxy >/dev/null 2>&1 || missing="$missing haproxy"
command -v curl >/dev/null 2>&1 || missing="$missing curl"
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "orders: not installed:$missing; their tests are skipped" >&2
    exit 0
fi

# In run level 1 the packages do not start their services: each test starts its own.
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
# shellcheck disable=SC2086 # one word per package
if ! { apt-get update -qq && apt-get install -qq -y --no-install-recommends $missing; } >&2; then
    echo "orders: could not install:$missing; their tests are skipped" >&2
fi
