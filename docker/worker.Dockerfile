# The worker image, without compiler, pip, emulator or OCR.
#   podman build --format docker -f docker/worker.Dockerfile -t receipts-worker .
# Pin the base for a release: --build-arg BASE=docker.io/library/python:3.11-slim-bookworm@sha256:…
ARG BASE=docker.io/library/python:3.11-slim-bookworm

# Install the packages into /opt/receipts.
FROM ${BASE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /source
# Any version of strip is fine.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends binutils && rm -rf /var/lib/apt/lists/*
RUN ["python", "-m", "venv", "--without-pip", "/opt/receipts"]
COPY requirements/worker.lock requirements/
RUN ["pip", "--python", "/opt/receipts/bin/python", "install", "--no-compile", "--require-hashes", "--no-deps", \
     "--only-binary", ":all:", "-r", "requirements/worker.lock"]
COPY setup.cfg pyproject.toml README.md LICENSE ./
COPY worker worker
RUN ["pip", "--python", "/opt/receipts/bin/python", "install", "--no-compile", "--no-deps", "--no-build-isolation", "."]
COPY docker/slim.py docker/
RUN /opt/receipts/bin/python docker/slim.py worker \
    && find /opt/receipts -name '*.cpython-*.so' -exec strip --strip-unneeded {} +

# The base image without tools that install, build or gain privileges.
FROM ${BASE} AS runtime
COPY docker/strip-base.sh /tmp/
RUN ["sh", "/tmp/strip-base.sh"]
COPY --from=build /opt/receipts /opt/receipts
# Compile bytecode now, because the root file system is read-only. Use hashes, because copying may change file times.
RUN ["python", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "/opt/receipts"]

FROM scratch
# Copy the whole file system into one layer, so that removed files take no space.
# hadolint ignore=DL3067
COPY --from=runtime / /
ENV PATH=/opt/receipts/bin:/usr/local/bin:/usr/bin:/bin \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    RECEIPTS_HTTP_HOST=0.0.0.0 \
    RECEIPTS_HTTP_PORT=8000
USER 10001:10001
WORKDIR /tmp
# On ECS the root file system is read-only, and /tmp is a volume. It inherits the directory's permissions from this image,
# so that a non-root user can write (docs.aws.amazon.com/AmazonECS/latest/developerguide/bind-mounts.html).
VOLUME ["/tmp"]
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 CMD ["receipts", "health"]
CMD ["receipts", "worker"]

ARG BASE
# The Makefile passes the version of setup.cfg and the commit.
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="receipts-worker" \
      org.opencontainers.image.description="Receipts dropped into an S3 bucket become rows in a DynamoDB table: the worker." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${BASE}"
