# Replaces images that a machine without a registry cannot pull: see compose.local.yaml.
# Debian's own packages, and the embedded database of development (GPL-2: never shipped).
ARG BASE=python:3.11-slim-bookworm
FROM ${BASE}
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
      curl gettext-base nginx-light prometheus prometheus-alertmanager rabbitmq-server \
      redis-server wget \
 && rm -rf /var/lib/apt/lists/*
ENV UV_SYSTEM_CERTS=1
COPY requirements/bootstrap.lock requirements/dev.lock /build/
RUN python3 -m venv /opt/database \
 && /opt/database/bin/pip install --quiet --no-cache-dir --require-hashes --only-binary :all: -r /build/bootstrap.lock \
 && /opt/database/bin/uv pip sync --quiet --no-cache --python /opt/database/bin/python --require-hashes /build/dev.lock
ENV PATH=/opt/database/bin:/usr/lib/rabbitmq/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
