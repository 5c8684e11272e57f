# The embedded reader with SageMaker's container contract: GET /ping and POST /invocations on port 8080.
#   podman build --format docker -f docker/reader.Dockerfile -t receipts-reader .
#   podman run -p 8080:8080 receipts-reader serve        # as SageMaker starts it
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
COPY requirements/reader.lock requirements/
RUN ["pip", "--python", "/opt/receipts/bin/python", "install", "--no-compile", "--require-hashes", "--no-deps", \
     "--only-binary", ":all:", "-r", "requirements/reader.lock"]
COPY setup.cfg pyproject.toml README.md LICENSE ./
COPY worker worker
RUN ["pip", "--python", "/opt/receipts/bin/python", "install", "--no-compile", "--no-deps", "--no-build-isolation", "."]
COPY docker/slim.py docker/
RUN /opt/receipts/bin/python docker/slim.py reader \
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
    PYTHONUNBUFFERED=1
# SageMaker calls this port. Any account may read /opt/ml, which it mounts.
USER 10001:10001
WORKDIR /tmp
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import urllib.request as web; web.urlopen('http://127.0.0.1:8080/ping', timeout=4)"]
ENTRYPOINT ["python", "-m", "worker.reader", "--host", "0.0.0.0"]
CMD ["serve"]

ARG BASE
# The Makefile passes the version of setup.cfg and the commit.
ARG VERSION=unknown
ARG REVISION=unknown
LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port="true" \
      org.opencontainers.image.title="receipts-reader" \
      org.opencontainers.image.description="The embedded receipt reader behind SageMaker's container contract." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${BASE}"
