# The service as a container. It does not run as root, and only /tmp and, for the embedded PostgreSQL, /data need to be
# writable. See docs/operate/install.md.
#
#   docker build -t ccs .
#   docker run --stop-timeout 60 --read-only --tmpfs /tmp -v ccs-data:/data -p 8000:8000 ccs

# Pinned by digest, so that all builds have the same base. docs/operate/install.md describes how to choose a newer one.
ARG PYTHON_IMAGE=python:3.13.14-slim-bookworm@sha256:67a1e1f215ccda113cfc024e8639049257e88f273898f595b61476d128d387e8

FROM ${PYTHON_IMAGE} AS build
WORKDIR /src
COPY requirements/build.txt requirements/server.txt requirements/
# Two environments: /build, with the build tools, and /opt/ccs, which is shipped and has none.
RUN python3 -m venv /build \
    && /build/bin/pip install --no-cache-dir --require-hashes -r requirements/build.txt \
    && python3 -m venv --without-pip /opt/ccs \
    && /build/bin/pip --python /opt/ccs/bin/python3 install --no-cache-dir --require-hashes -r requirements/server.txt
COPY server server
RUN /build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels ./server \
    && /build/bin/pip --python /opt/ccs/bin/python3 install --no-cache-dir --no-deps /wheels/*.whl

FROM ${PYTHON_IMAGE}
# tini reaps remaining processes of PostgreSQL and forwards signals. The pip of the base image is not needed.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends "tini=0.19.*" \
    && rm -rf /var/lib/apt/lists/* /usr/local/bin/pip* /usr/local/lib/python3*/site-packages/pip* /usr/local/lib/python3*/ensurepip \
    && useradd --uid 10001 --user-group --create-home ccs \
    && install -d -o ccs -g ccs -m 0700 /data
COPY --from=build /opt/ccs /opt/ccs
USER 10001:10001
ENV CCS_DATA_DIR=/data CCS_HOST=0.0.0.0 CCS_PORT=8000 PYTHONDONTWRITEBYTECODE=1
VOLUME /data
EXPOSE 8000
# Checks that the service is alive, not ready: an unavailable database is no reason to restart it. A first start, or a
# recovery after a crash, may take minutes.
HEALTHCHECK --start-period=300s --interval=10s --timeout=3s \
    CMD ["/opt/ccs/bin/python3", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"CCS_PORT\"]}/healthz', timeout=2)"]
# SIGTERM stops the service properly. Allow more time than CCS_DRAIN_TIME plus CCS_SHUTDOWN_TIMEOUT.
ENTRYPOINT ["/usr/bin/tini", "--", "/opt/ccs/bin/ccs"]
CMD ["serve"]
