#!/bin/sh
# Shows or changes the colour that clients reach:
#
#   blue-green.sh status
#   blue-green.sh switch           to the other colour; run it again to go back
#   blue-green.sh switch green     to this one
#
# Switches when the other colour is rolled out and has as many ready replicas as the live one.
# Changes only the selectors of the Service and its preview. RELEASE (orders) and NAMESPACE (the
# current one) select the release, WAIT (120s) limits the rollout, FEWER=1 accepts fewer replicas.
set -eu

release=${RELEASE:-orders}
name=$release-orders
[ "$release" != orders ] || name=orders

k() { kubectl ${NAMESPACE:+--namespace "$NAMESPACE"} "$@"; }

fail() {
    echo "blue-green: $1" >&2
    exit 1
}

colour_of() { k get service "$1" --output 'jsonpath={.spec.selector.colour}'; }

ready() {
    count=$(k get deployment "$name-api-$1" --output 'jsonpath={.status.readyReplicas}')
    echo "${count:-0}"
}

# The API server refuses the patch if the colour is no longer $2.
point() {
    k patch service "$1" --type=json --output=name --patch "[
        {\"op\": \"test\", \"path\": \"/spec/selector/colour\", \"value\": \"$2\"},
        {\"op\": \"replace\", \"path\": \"/spec/selector/colour\", \"value\": \"$3\"}]" >/dev/null
}

live=$(colour_of "$name")
case $live in
    blue) other=green ;;
    green) other=blue ;;
    *) fail "service $name has no colour" ;;
esac

case ${1:-} in
    status)
        echo "$live is live, ready: $(ready "$live")"
        k get deployment "$name-api-$other" >/dev/null 2>&1 || exit 0
        echo "$other waits, ready: $(ready "$other")"
        ;;
    switch)
        [ "${2:-$other}" != "$live" ] || fail "$live is live already"
        [ "${2:-$other}" = "$other" ] || fail "there is no colour $2"
        k rollout status "deployment/$name-api-$other" --timeout="${WAIT:-120s}" >&2 ||
            fail "$other is not rolled out; $live stays live"
        has=$(ready "$other") needs=$(ready "$live")
        [ -z "${FEWER:-}" ] || needs=1
        [ "$has" -ge "$needs" ] && [ "$has" -gt 0 ] ||
            fail "$other has $has ready replicas, $live $needs; $live stays live (scale up, or FEWER=1)"
        point "$name" "$live" "$other" || fail "somebody else has switched: look again"
        point "$name-preview" "$other" "$live"
        echo "$other is live. Back: $0 switch $live. Keep it: helm upgrade --set live=$other"
        ;;
    *) fail "say status, switch, switch blue or switch green" ;;
esac
