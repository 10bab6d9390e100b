#!/bin/sh
# Creates or repairs the environment in the directory $1, exactly as locked. May be run again.
set -eu
venv=$1
python=${PYTHON:-python3}

fail() {
    echo "orders: $1" >&2
    exit 1
}

command -v "$python" >/dev/null 2>&1 || fail "$python is missing: install Python 3.11 or newer"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$("$python" -V 2>&1) is too old: Python 3.11 or newer is needed (make PYTHON=python3.12)"
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    fail "$python has no venv module: install it (Debian, Ubuntu: apt install python3-venv)"

wanted=$("$python" -c 'import sys; print(*sys.version_info[:2])')
found=$("$venv/bin/python" -c 'import sys; print(*sys.version_info[:2])' 2>/dev/null || true)
[ "$wanted" = "$found" ] && "$venv/bin/python" -m pip --version >/dev/null 2>&1 ||
    "$python" -m venv --clear "$venv"

"$venv/bin/python" -m pip install --quiet --require-hashes --only-binary :all: \
    --requirement requirements/bootstrap.lock
"$venv/bin/python" -m uv pip sync --quiet --python "$venv/bin/python" \
    --require-hashes requirements/dev.lock
# The build tools are in the lock, so building this package fetches nothing unlocked.
"$venv/bin/python" -m uv pip install --quiet --python "$venv/bin/python" \
    --no-deps --no-build-isolation --editable .
