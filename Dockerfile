# The service as a container: not root, and nothing of its file system needs to be writable but /tmp and, for the
# embedded PostgreSQL, /data. See docs/operations.md.
#
#   docker build -t ccs .
#   docker run --init --read-only --tmpfs /tmp -v ccs-data:/data -p 8000:8000 ccs

FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements/server.txt requirements/server.txt
RUN python -m venv /opt/ccs && /opt/ccs/bin/pip install --no-cache-dir --require-hashes -r requirements/server.txt
COPY server server
RUN /opt/ccs/bin/pip install --no-cache-dir --no-deps --no-build-isolation ./server

FROM python:3.13-slim
COPY --from=build /opt/ccs /opt/ccs
RUN useradd --uid 10001 --create-home ccs && install -d -o ccs -g ccs -m 0700 /data
USER ccs
ENV CCS_DATA_DIR=/data PYTHONDONTWRITEBYTECODE=1
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s CMD ["/opt/ccs/bin/python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
# The runtime's SIGTERM ends the service well; give it longer than CCS_DRAIN_TIME and CCS_SHUTDOWN_TIMEOUT together.
ENTRYPOINT ["/opt/ccs/bin/ccs"]
CMD ["serve", "--host", "0.0.0.0"]
