#!/bin/sh
# uvicorn 0.54.0: after a clean stop on SIGTERM nothing that follows uvicorn.run() is executed.
#
# Behaviour: on SIGTERM uvicorn completes the lifespan of the application, restores the signal
# handlers that it found, and sends the same signal to its own process. Python's default for SIGTERM
# ends the process at once: no finally block, no atexit function, exit status 143 in a shell. After
# SIGINT the same program runs all of them and exits with 0. granian 2.8.7 runs them after both.
#
# Seen:
#   uvicorn SIGTERM: lifespan closed                              ended by signal 15
#   uvicorn SIGINT:  lifespan closed, after run, finally, atexit  exit status 0
#
# Why it matters: a process manager stops a service with SIGTERM, a developer stops it with Ctrl-C.
# What is flushed in atexit or after run() (spans, log queues) is lost only in production.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    uvicorn==0.54.0 granian==2.8.7
cat > "$folder/service.py" <<'PYTHON'
import atexit
import os
import sys


def say(text):
    os.write(1, text.encode() + b"\n")


async def application(scope, receive, send):
    assert scope["type"] == "lifespan"
    await receive()
    await send({"type": "lifespan.startup.complete"})
    say("up")
    await receive()
    say("lifespan closed")
    await send({"type": "lifespan.shutdown.complete"})


def run(server):
    if server == "uvicorn":
        import uvicorn

        uvicorn.run(application, port=0, log_level="error")
    else:
        from granian import Granian

        Granian("service:application", port=0, interface="asgi", log_enabled=False).serve()


if __name__ == "__main__":
    atexit.register(say, "atexit")
    try:
        run(sys.argv[1])
        say("after run")
    finally:
        say("finally")
PYTHON
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import signal
import subprocess
import sys
from importlib.metadata import version

ALL = ["lifespan closed", "after run", "finally", "atexit"]


def stopped_by(server, number):
    service = subprocess.Popen(
        [sys.executable, "service.py", server], stdout=subprocess.PIPE, text=True
    )
    try:
        while service.stdout.readline() != "up\n":
            assert service.poll() is None, "the service did not start"
        service.send_signal(number)
        said, _ = service.communicate(timeout=20)
        return said.splitlines(), service.returncode
    finally:
        if service.poll() is None:
            service.kill()


print("uvicorn", version("uvicorn"), "granian", version("granian"))
print("expected after either signal:", ", ".join(ALL))
wrong = False
for server in ("uvicorn", "granian"):
    for number in (signal.SIGTERM, signal.SIGINT):
        said, status = stopped_by(server, number)
        print(f"seen, {server} {number.name:8}", ", ".join(said), f"| return code {status}")
        early = server == "uvicorn" and number == signal.SIGTERM
        wrong |= (said, status) != ((ALL[:1], -signal.SIGTERM) if early else (ALL, 0))
sys.exit(wrong)
PYTHON
