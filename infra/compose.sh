#!/bin/sh
# `docker compose` for the whole architecture: compose.sh up, compose.sh ps, compose.sh down …
# The first run creates the secrets in .orders/compose, which git ignores.
set -eu
cd "$(dirname "$0")"
kept=../.orders/compose
mkdir -p "$kept/gateway/switch" "$kept/alertmanager"
[ -f ../.orders/.gitignore ] || printf '*\n' > ../.orders/.gitignore
sh gateway/certificate.sh "$kept/gateway"
# The gateway runs as another user, who reads the key and writes the switch.
chmod 644 "$kept/gateway/tls.key"
chmod 777 "$kept/gateway/switch"
# Destinations of alerts: put a pager's key and a chat's address here to receive them.
[ -f "$kept/alertmanager/pager-key" ] || echo unset > "$kept/alertmanager/pager-key"
[ -f "$kept/alertmanager/chat-url" ] || echo http://127.0.0.1:9/ > "$kept/alertmanager/chat-url"
# An existing secret is kept: the data of the first run depends on it.
made() { grep -q "^$1=" "$kept/env" || echo "$1=$2" >> "$kept/env"; }
(umask 077 && touch "$kept/env")
made MONGO_PASSWORD "$(openssl rand -hex 24)"
made RABBITMQ_PASSWORD "$(openssl rand -hex 24)"
made REDIS_PASSWORD "$(openssl rand -hex 24)"
made PAYMENT_TOKEN "$(openssl rand -hex 24)"
made PAYMENT_WEBHOOK_SECRET "whsec_$(openssl rand -base64 32)"
case ${1:-} in
    up) shift; set -- up --detach --wait "$@" ;;
    switch) shift; set -- exec gateway sh /usr/local/bin/switch.sh "$@" ;;
    '') echo "usage: compose.sh up | switch blue|green | ps | logs | down …" >&2; exit 2 ;;
esac
# COMPOSE names the program if it is not a plug-in of docker.
# shellcheck disable=SC2086 # several words
exec ${COMPOSE:-docker compose} --env-file "$kept/env" --file compose.yaml \
    ${COMPOSE_LOCAL:+--file compose.local.yaml} "$@"
