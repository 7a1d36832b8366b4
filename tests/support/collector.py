"""A collector of traces: a real OTLP/HTTP server in this process, which decodes what it is sent."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

Attributes = dict[str, str | int]


class Span(NamedTuple):
    """A span that the collector was sent."""

    name: str
    kind: str
    """`SERVER`, `CLIENT` or `INTERNAL`."""
    trace_id: str
    span_id: str
    parent_id: str
    began: int
    ended: int
    attributes: Attributes
    is_error: bool
    resource: Attributes


class Collector:
    """What a collector was sent so far.

    Attributes:
        url: its base URL, for `OTEL_EXPORTER_OTLP_ENDPOINT`.
        status: what it responds with.
        raw: the bodies of all requests.
        headers: those of all requests, with names in lower case.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.status = 200
        self.raw: list[bytes] = []
        self.headers: list[dict[str, str]] = []

    def spans(self) -> list[Span]:
        """The spans of all requests, decoded."""
        return [span for body in list(self.raw) for span in decoded(body)]

    def environment(self, **variables: str) -> dict[str, str]:
        """The variables that turn traces on and send them here at once."""
        return {
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.url,
            "OTEL_BSP_SCHEDULE_DELAY": "20",
        } | variables


def decoded(body: bytes) -> Iterator[Span]:
    """The spans of a request."""
    request = ExportTraceServiceRequest.FromString(body)
    for resource_spans in request.resource_spans:
        resource = _attributes(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield Span(
                    span.name,
                    trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    _attributes(span.attributes),
                    span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
                    resource,
                )


def _attributes(pairs: object) -> Attributes:
    found: Attributes = {}
    for pair in pairs:  # type: ignore[attr-defined]
        assert isinstance(pair, KeyValue)
        kind = pair.value.WhichOneof("value")
        assert kind in {"string_value", "int_value"}, pair
        found[pair.key] = getattr(pair.value, kind)
    return found


@contextmanager
def collecting() -> Iterator[Collector]:
    """Runs a collector on a free port for the length of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/v1/traces":
                collector.raw.append(body)
                headers = {name.lower(): value for name, value in self.headers.items()}
                collector.headers.append(headers)
            status = collector.status if self.path == "/v1/traces" else 404
            response = ExportTraceServiceResponse().SerializeToString()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(response)))
            self.end_headers()
            self.wfile.write(response)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        collector = Collector(f"http://127.0.0.1:{server.server_address[1]}")
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()
