#!/bin/sh
# Makes a colour live: switch.sh blue|green. To go back, switch to the other one.
#
# Refuses a colour that is not ready. The switch takes effect with the next request and breaks none:
# the gateway checks for the file `green` at every request, and creating or removing a file is atomic.
# The script then asks the gateway, and reverts the switch if the gateway has not seen it.
set -eu
: "${GATEWAY_SWITCH:?the directory in which the gateway looks for the file green}"
: "${GATEWAY_URL:?the address of the gateway, such as https://127.0.0.1:8443}"
: "${GATEWAY_BLUE:?HOST:PORT of blue}" "${GATEWAY_GREEN:?HOST:PORT of green}"
case ${1:-} in
    blue) target=$GATEWAY_BLUE ;;
    green) target=$GATEWAY_GREEN ;;
    *) echo "usage: switch.sh blue|green" >&2 && exit 2 ;;
esac

make_live() {
    if [ "$1" = green ]; then
        : > "$GATEWAY_SWITCH/.green.$$" && mv "$GATEWAY_SWITCH/.green.$$" "$GATEWAY_SWITCH/green"
    else
        rm -f "$GATEWAY_SWITCH/green"
    fi
}

before=blue
[ ! -f "$GATEWAY_SWITCH/green" ] || before=green
if ! curl --fail --silent --show-error --max-time 5 --output /dev/null "http://$target/readyz"; then
    echo "switch: $1 is not ready at $target; $before stays live" >&2
    exit 1
fi
make_live "$1"
# The certificate is not verified: the gateway is on the machine of the switch's directory.
if ! curl --insecure --silent --max-time 5 "$GATEWAY_URL/livez" | grep -q "\"live\":\"$1\""; then
    make_live "$before"
    echo "switch: the gateway at $GATEWAY_URL does not see the switch; $before stays live" >&2
    exit 1
fi
echo "switch: $1 is live"
