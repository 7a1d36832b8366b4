"""Measures the CPU time of the service's own Python code: `python -m benchmarks.hot_path`.

It uses one thread, no HTTP server, and a fake database that returns a constant result at once. So only the
application is measured. Each figure is the minimum of many repetitions, in microseconds: the time without disturbance.
"""

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from io import BytesIO
from threading import Thread
from time import monotonic, thread_time
from types import MappingProxyType
from typing import Any

os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp()  # as in a worker, and read at import

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler
from opentelemetry.trace import SpanKind

from benchmarks.operations import DOCUMENT, compact
from benchmarks.stacks.collector import collector
from ccs_server.app import create_app
from ccs_server.domain.credentials import hash_secret, new_id, new_key
from ccs_server.http.application import Application
from ccs_server.http.routing import read_path
from ccs_server.settings import Settings
from ccs_server.store.connection import Statement

ROUNDS = 60
_ENCODED = 512
"""Spans that are encoded together."""
REQUESTS = 200

VALUES = b'{ "p0" : "a value of some length", "p1" : "a value of some length", "p2" : 3 }'
PATH = "/v1/account/demo/airline/conv-1/properties"


class Result:
    """The result of a statement."""

    ntuples = command_tuples = 1

    def __init__(self, value: bytes) -> None:
        self._value = value

    def get_value(self, _row: int, _column: int) -> bytes | None:
        return self._value


class KeyResult(Result):
    """The result of looking up a key: its account and hash, no quota, and the rights of all data for ever."""

    def get_value(self, _row: int, column: int) -> bytes | None:
        row = (b"demo", b"key:demo", self._value, b"t", None, b"write", None, b"0", None)
        return row[column]


def least(steps: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Returns the shortest time of each step. They take turns, so that disturbances affect all of them."""
    best = dict.fromkeys(steps, float("inf"))
    for _ in range(ROUNDS):
        for name, step in steps.items():
            began = thread_time()
            for _ in range(REQUESTS):
                step()
            best[name] = min(best[name], thread_time() - began)
    return {name: seconds / REQUESTS * 1e6 for name, seconds in best.items()}


def application(
    *, access_log: bool = False, variables: Mapping[str, str] = MappingProxyType({})
) -> Callable[[str, str, bytes], Iterable[bytes]]:
    """Returns a function that calls the application as a WSGI server does, made with `variables` in the environment."""
    os.environ.update(variables)
    app = create_app(Settings(database_url="postgresql://nowhere", access_log=access_log))
    for variable in variables:
        del os.environ[variable]
    database = app.extensions["ccs"].database
    key_id = new_id()
    key = new_key(key_id)
    key_result = KeyResult(rb"\x" + hash_secret(key).hex().encode())

    def execute(statement: Statement, *_params: bytes | None) -> Result:
        database._observe((statement.name,), monotonic(), None)  # noqa: SLF001 - as the connection does
        return key_result if statement.name == b"api_key_find" else Result(VALUES)

    database.execute = execute
    common: dict[str, Any] = {
        "SERVER_NAME": "localhost", "SERVER_PORT": "8000", "SERVER_PROTOCOL": "HTTP/1.1",
        "SCRIPT_NAME": "", "QUERY_STRING": "", "HTTP_HOST": "localhost:8000",
        "HTTP_MAVEN_API_KEY": key, "wsgi.url_scheme": "http", "wsgi.input_terminated": True,
    }  # fmt: skip

    def call(method: str, path: str, body: bytes) -> Iterable[bytes]:
        environ = {
            **common, "REQUEST_METHOD": method, "PATH_INFO": path, "wsgi.input": BytesIO(body),
            "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body)),
        }  # fmt: skip
        statuses: list[str] = []
        response = app(environ, lambda status, *_: statuses.append(status))  # type: ignore[arg-type]
        assert statuses[0][0] == "2", statuses
        return response

    return call


def sdk_spans(sampler: Sampler) -> Callable[[], object]:
    """Returns a function that makes and encodes the spans of a request with a statement, by OpenTelemetry's SDK."""
    ended: list[ReadableSpan] = []

    class Keep(SpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            ended.append(span)

    provider = TracerProvider(sampler=sampler)
    provider.add_span_processor(Keep())
    tracer = provider.get_tracer("benchmark")

    def spans() -> None:
        common = {"http.request.method": "GET", "http.route": PATH}
        with tracer.start_as_current_span("GET", kind=SpanKind.SERVER, attributes=common) as span:
            client = {"db.system.name": "postgresql", "db.query.summary": "read"}
            with tracer.start_as_current_span("read", kind=SpanKind.CLIENT, attributes=client):
                pass
            span.set_attribute("http.response.status_code", 200)
        if len(ended) >= _ENCODED:
            encode_spans(ended).SerializeToString()
            ended.clear()

    return spans


def main() -> None:
    server = collector(0)
    Thread(target=server.serve_forever, daemon=True).start()
    traces = {
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
    }
    quiet, logging = application(), application(access_log=True)
    traced = application(variables=traces)
    untraced = application(variables=traces | {"OTEL_TRACES_SAMPLER": "always_off"})
    one = b'{"p0":"another value"}'
    ten = b"{%b}" % b",".join(b'"p%d":"another value"' % number for number in range(10))
    nested = b'{"p0":{"a":[1,2,{"b":1.10}]}}'
    conversation = compact(DOCUMENT).encode()
    app = create_app(Settings(database_url="postgresql://nowhere"))
    assert isinstance(app, Application)
    routes = app.route_table()
    path = {"PATH_INFO": PATH, "QUERY_STRING": ""}
    steps: dict[str, Callable[[], object]] = {
        "GET of all": lambda: quiet("GET", PATH, b""),
        "GET of all, with a log line": lambda: logging("GET", PATH, b""),
        "GET of all, traced": lambda: traced("GET", PATH, b""),
        "GET of all, with traces on but not traced": lambda: untraced("GET", PATH, b""),
        "GET of one": lambda: quiet("GET", f"{PATH}/p0", b""),
        "PATCH of 1": lambda: quiet("PATCH", PATH, one),
        "PATCH of 1, traced": lambda: traced("PATCH", PATH, one),
        "PATCH of 10": lambda: quiet("PATCH", PATH, ten),
        "PATCH of 1 that is nested": lambda: quiet("PATCH", PATH, nested),
        "PATCH of 10, two of them nested": lambda: quiet("PATCH", PATH, conversation),
        "the spans of a request, by OpenTelemetry's SDK": sdk_spans(ALWAYS_ON),
        "the spans of a request, by OpenTelemetry's SDK, not sampled": sdk_spans(ALWAYS_OFF),
        "finding the view": lambda: routes.find("GET", read_path(path, 16_384, {})),
    }
    for name, microseconds in least(steps).items():
        print(f"{name}: {microseconds:.1f} µs")


if __name__ == "__main__":
    main()
