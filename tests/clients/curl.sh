#!/bin/sh
# curl that prefers HTTP/2: on http:// it offers the upgrade.
set -eu

tab=$(printf '\t')
while IFS=$tab read -r url key framing body; do
    set -- --data-binary "$body"
    [ "$framing" = length ] || set -- "$@" --header 'Transfer-Encoding: chunked'
    answer=$(curl -q --http2 --silent --show-error --write-out '\t%{http_code}' \
        --header "Authorization: Bearer $TOKEN" --header 'Content-Type: application/json' \
        --header "Idempotency-Key: $key" "$@" "$url" </dev/null)
    printf '%s\t%s\n' "${answer##*"$tab"}" "${answer%"$tab"*}"
done
