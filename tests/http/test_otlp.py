"""Spans as a collector gets them: encoded as OpenTelemetry's SDK encodes them, sent in batches, never in the way."""

from collections.abc import Iterator
from threading import Event
from time import time

import pytest
from opentelemetry import trace as api
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client import REGISTRY

from ccs_server.http import otlp
from ccs_server.http.exchanges import Exchange
from ccs_server.http.otlp import Sender, Spans
from ccs_server.http.tracing import Trace
from tests.support.collector import Collector, Span, collecting, decoded
from tests.support.waiting import wait_until

ROUTE = "/v1/account/<account>"


def exchange(trace: Trace | None, *, status: int = 200, request_id: str = "id-1") -> Exchange:
    return Exchange(request_id, "GET", "/v1/account/a", ROUTE, status, time(), 0.25, trace)


def counted(outcome: str) -> float:
    return REGISTRY.get_sample_value("ccs_trace_spans_total", {"outcome": outcome}) or 0.0


class Sent:
    """What a sender sends, instead of an exporter."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.is_accepted = True
        self.go = Event()
        self.go.set()

    def __call__(self, request: bytes) -> bool:
        assert self.go.wait(30)
        self.requests.append(request)
        return self.is_accepted

    def spans(self) -> list[Span]:
        return [span for request in self.requests for span in decoded(request)]


@pytest.fixture
def sent() -> Sent:
    return Sent()


def sender(sent: Sent, *, queue_size: int = 1000, delay: float = 600) -> Sender:
    return Sender(sent, "1.2.3", queue_size=queue_size, batch_size=100, delay=delay)


def test_a_request_is_encoded_as_the_sdk_encodes_it(
    sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = iter((b"\1" * 8, b"\2" * 8))
    monkeypatch.setattr(otlp, "getrandbits", lambda _bits: int.from_bytes(next(ids)))
    trace = Trace(b"\x0a" * 16, b"\x0b" * 8)
    trace.round_trips.append(([b"lock", b"save"], trace.began, trace.began + 0.1, "Unavailable"))
    sending = sender(sent)
    Spans(sending).record([exchange(None), exchange(trace, status=503, request_id="ü" * 40_000)])
    sending.end()
    [request] = sent.requests
    got = type(encode_spans([])).FromString(request)
    [got_spans] = [each.spans for each in got.resource_spans[0].scope_spans]
    epoch = got_spans[0].start_time_unix_nano - int(trace.began * 1e9)

    def context(span_id: int, *, is_remote: bool) -> api.SpanContext:
        flags = api.TraceFlags(1)
        return api.SpanContext(int.from_bytes(b"\x0a" * 16), span_id, is_remote, flags)

    resource = Resource.create({"service.version": "1.2.3", "service.name": "ccs"})
    scope = InstrumentationScope("ccs_server", "1.2.3")
    error = api.Status(api.StatusCode.ERROR)
    server = context(int.from_bytes(b"\1" * 8), is_remote=False)
    expected = encode_spans(
        [
            ReadableSpan(
                f"GET {ROUTE}",
                server,
                context(int.from_bytes(b"\x0b" * 8), is_remote=True),
                resource,
                {
                    "http.request.method": "GET",
                    "http.response.status_code": 503,
                    "http.route": ROUTE,
                    "error.type": "503",
                    "ccs.request_id": "ü" * 40_000,
                },
                kind=api.SpanKind.SERVER,
                instrumentation_scope=scope,
                status=error,
                start_time=got_spans[0].start_time_unix_nano,
                end_time=got_spans[0].end_time_unix_nano,
            ),
            ReadableSpan(
                "lock, save",
                context(int.from_bytes(b"\2" * 8), is_remote=False),
                server,
                resource,
                {
                    "db.system.name": "postgresql",
                    "db.query.summary": "lock, save",
                    "db.operation.batch.size": 2,
                    "error.type": "Unavailable",
                },
                kind=api.SpanKind.CLIENT,
                instrumentation_scope=scope,
                status=error,
                start_time=got_spans[1].start_time_unix_nano,
                end_time=got_spans[1].end_time_unix_nano,
            ),
        ]
    )
    [expected_spans] = [each.spans for each in expected.resource_spans[0].scope_spans]
    for got_span, expected_span in zip(got_spans, expected_spans, strict=True):
        # Ours also say that the trace is sampled, as the specification has it.
        assert got_span.flags == expected_span.flags | 1
        got_span.flags = expected_span.flags
        assert got_span == expected_span
    assert got == expected
    assert abs(time() - epoch / 1e9 - trace.began) < 60
    durations = [span.ended - span.began for span in sent.spans()]
    assert durations == pytest.approx([0.25e9, 0.1e9], abs=1e3)


def test_the_name_of_many_statements_is_short(sent: Sent) -> None:
    trace = Trace(b"\x0a" * 16, b"")
    names = [b"begin", b"a", b"a", b"b", b"c", b"commit"]
    trace.round_trips.append((names, 0.0, 0.1, None))
    sending = sender(sent)
    Spans(sending).record([exchange(trace)])
    sending.end()
    statement = sent.spans()[1]
    assert statement.name == "begin, a, b, …"
    assert statement.attributes["db.operation.batch.size"] == 6


def test_spans_are_sent_in_batches_and_the_rest_after_the_delay(sent: Sent) -> None:
    sending = sender(sent, delay=0.01)
    Spans(sending).record([exchange(Trace(b"\x0a" * 16, b"")) for _ in range(250)])
    wait_until(lambda: len(sent.spans()) == 250)
    assert [len(list(decoded(each))) for each in sent.requests] == [100, 100, 50]


def test_spans_over_a_batch_wait_for_more(sent: Sent) -> None:
    sending = sender(sent)
    for number in (150, 50):
        Spans(sending).record([exchange(Trace(b"\x0a" * 16, b"")) for _ in range(number)])
        wait_until(lambda: len(sent.spans()) >= 100)
    wait_until(lambda: len(sent.spans()) == 200)
    assert [len(list(decoded(each))) for each in sent.requests] == [100, 100]


def test_spans_over_the_limit_are_dropped_and_counted(sent: Sent) -> None:
    before = counted("dropped")
    sending = sender(sent, queue_size=150)
    sent.go.clear()
    for _ in range(5):
        Spans(sending).record([exchange(Trace(b"\x0a" * 16, b"")) for _ in range(100)])
    sent.go.set()
    sending.end()
    dropped = counted("dropped") - before
    assert dropped >= 100
    assert len(sent.spans()) + dropped == 500


def test_refused_spans_are_counted_and_the_next_are_sent(sent: Sent) -> None:
    before = counted("refused"), counted("exported")
    sending = sender(sent, delay=0.01)
    sent.is_accepted = False
    Spans(sending).record([exchange(Trace(b"\x0a" * 16, b""))])
    wait_until(lambda: counted("refused") == before[0] + 1)
    sent.is_accepted = True
    Spans(sending).record([exchange(Trace(b"\x0a" * 16, b""))])
    wait_until(lambda: counted("exported") == before[1] + 1)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


def test_opentelemetrys_exporter_sends_what_is_encoded_here(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exporter's client is not documented: an upgrade that changes it fails here."""
    variables = collector.environment(OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    sending = otlp.sender_of(variables, "1.2.3")
    Spans(sending).record([exchange(Trace(b"\x0a" * 16, b""))])
    wait_until(lambda: bool(collector.raw))
    [span] = collector.spans()
    assert span.trace_id == "0a" * 16
    assert span.resource["service.name"] == "ccs"
    assert span.resource["deployment.environment.name"] == "test"
    assert collector.headers[0]["content-type"] == "application/x-protobuf"
    sending.end()
