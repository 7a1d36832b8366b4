"""Exports traces as OTLP over HTTP, by OpenTelemetry's exporter. Nothing imports this module unless traces are on.

Most of a span is the same for every request with the same route and status, and for every round trip with the same
statements. That part is encoded once, by protobuf, and kept; only ids and times follow it in each span. Spans
name routes and statements, but no path, no name and no value: those may be secrets.

The exporter takes spans of OpenTelemetry's SDK alone, so this module uses its client, which is not documented.
`tests/http/test_otlp.py` would notice a change; the version is bound in pyproject.toml.
"""

import logging
import struct
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from random import getrandbits
from threading import Condition, Thread
from time import monotonic, time
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource as ResourceMessage
from opentelemetry.proto.trace.v1.trace_pb2 import Span, SpanFlags, Status
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.semconv.attributes.db_attributes import (
    DB_OPERATION_BATCH_SIZE,
    DB_QUERY_SUMMARY,
    DB_SYSTEM_NAME,
)
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.semconv.attributes.http_attributes import (
    HTTP_REQUEST_METHOD,
    HTTP_RESPONSE_STATUS_CODE,
    HTTP_ROUTE,
)
from prometheus_client import Counter

from ccs_server.http.exchanges import Exchange
from ccs_server.http.routing import METHODS
from ccs_server.http.tracing import RoundTrip, Trace
from ccs_server.settings import SettingError

REQUEST_ID = "ccs.request_id"
"""The attribute with the request's id, as in the access log."""

_SERVER_ERROR = 500

# Names that are joined for a round trip with several statements. Clients of the extension choose the statements.
_MOST_NAMES = 3
_MOST_KINDS = 2048

_END_SECONDS = 2.0
"""How long the end of a process may wait for the last spans to be sent."""

_log = logging.getLogger("ccs.traces")

_spans = Counter(
    "ccs_trace_spans_total",
    "Spans by what became of them: exported, refused by the collector, or dropped because the buffer was full.",
    ["outcome"],
)
for _outcome in ("exported", "refused", "dropped"):
    _spans.labels(_outcome)  # a rate sees the first one only if there was a 0 before

# Fields of the message Span that differ from span to span. Their order on the wire does not matter.
_TRACE_ID = b"\x0a\x10"
_SPAN_ID = b"\x12\x08"
_PARENT_ID = b"\x22\x08"
_BEGAN, _ENDED = 7 << 3 | 1, 8 << 3 | 1
_ATTRIBUTES_TAG = b"\x4a"

# All of them but for the request's id, each after its tag: of a request, whose parent may follow, and of a round trip.
_request_fields = struct.Struct("<2s16s 2sQ BQBQ")
_statement_fields = struct.Struct("<2s16s 2sQ 2sQ BQBQ")

_SPANS_TAG = b"\x12"
"""Of a span in the message ScopeSpans."""


class Spans:
    """Encodes the spans of traced requests and hands them to a sender."""

    def __init__(self, sender: "Sender") -> None:
        self._sender = sender

    def record(self, exchanges: Sequence[Exchange]) -> None:
        """Encodes the spans of those exchanges that are traced."""
        # Statements are timed by the monotonic clock, which all times of a batch are converted from alike.
        epoch = time() - monotonic()
        spans: list[bytes] = []
        for exchange in exchanges:
            trace = exchange.trace
            if trace is not None:
                span_id = getrandbits(64)
                spans.append(_of_request(exchange, trace, span_id, epoch))
                # A list of its own for each request would take 0.3 µs more.
                for each in trace.round_trips:
                    spans.append(_of_round_trip(each, trace.trace_id, span_id, epoch))  # noqa: PERF401
        if spans:
            self._sender.put(spans)


def _of_request(exchange: Exchange, trace: Trace, span_id: int, epoch: float) -> bytes:
    request_id = exchange.request_id.encode()
    parent_id = trace.parent_id
    began = epoch + trace.began
    head = _request_head(
        exchange.method, exchange.rule, exchange.status, len(request_id), len(parent_id)
    )
    fields = _request_fields.pack(
        _TRACE_ID, trace.trace_id, _SPAN_ID, span_id,
        _BEGAN, int(began * 1e9), _ENDED, int((began + exchange.duration) * 1e9),
    )  # fmt: skip
    span = head + request_id + fields
    return span + _PARENT_ID + parent_id if parent_id else span


def _of_round_trip(round_trip: RoundTrip, trace_id: bytes, parent_id: int, epoch: float) -> bytes:
    names, began, ended, error = round_trip
    return _statement_head(tuple(names), error) + _statement_fields.pack(
        _TRACE_ID, trace_id, _SPAN_ID, getrandbits(64), _PARENT_ID, parent_id,
        _BEGAN, int((epoch + began) * 1e9), _ENDED, int((epoch + ended) * 1e9),
    )  # fmt: skip


def _length(size: int) -> bytes:
    """What precedes a message of this size: a varint."""
    length = bytearray()
    while size >= 0x80:  # noqa: PLR2004 - seven bits
        length.append(size & 0x7F | 0x80)
        size >>= 7
    length.append(size)
    return bytes(length)


def _delimited(message: bytes) -> bytes:
    return _length(len(message)) + message


@lru_cache(_MOST_KINDS)
def _request_head(method: str, rule: str, status: int, id_size: int, parent_size: int) -> bytes:
    """What the spans of such requests begin with, up to the request's id; an id that is missing has no size."""
    common = _server_span(method, rule, status, is_remote=bool(parent_size))
    # KeyValue {key, AnyValue {string_value}}
    text = b"\x0a" + _length(id_size)
    value = b"\x12" + _length(len(text) + id_size) + text
    key = b"\x0a" + _delimited(REQUEST_ID.encode())
    attribute = _ATTRIBUTES_TAG + _length(len(key) + len(value) + id_size) + key + value
    size = len(common) + len(attribute) + id_size + _request_fields.size
    if parent_size:
        size += len(_PARENT_ID) + parent_size
    return _SPANS_TAG + _length(size) + common + attribute


@lru_cache(_MOST_KINDS)
def _statement_head(names: tuple[bytes, ...], error: str | None) -> bytes:
    """What the spans of such round trips begin with."""
    common = _statement_span(names, error)
    return _SPANS_TAG + _length(len(common) + _statement_fields.size) + common


def _server_span(method: str, rule: str, status: int, *, is_remote: bool) -> bytes:
    """What the spans of such requests have in common."""
    known = method if method in METHODS else "_OTHER"
    attributes: dict[str, str | int] = {
        HTTP_REQUEST_METHOD: known,
        HTTP_RESPONSE_STATUS_CODE: status,
    }
    if rule:
        attributes[HTTP_ROUTE] = rule
    is_error = status >= _SERVER_ERROR
    if is_error:
        attributes[ERROR_TYPE] = str(status)
    flags = SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK | 1
    if is_remote:
        flags |= SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK
    verb = "HTTP" if known != method else method
    return _common(
        f"{verb} {rule}".rstrip(), Span.SPAN_KIND_SERVER, attributes, flags, is_error=is_error
    )


def _statement_span(names: tuple[bytes, ...], error: str | None) -> bytes:
    """What the spans of such round trips have in common."""
    distinct = [name.decode() for name in dict.fromkeys(names)]
    summary = ", ".join(distinct[:_MOST_NAMES]) + (", …" if len(distinct) > _MOST_NAMES else "")
    attributes: dict[str, str | int] = {DB_SYSTEM_NAME: "postgresql", DB_QUERY_SUMMARY: summary}
    if len(names) > 1:
        attributes[DB_OPERATION_BATCH_SIZE] = len(names)
    if error is not None:
        attributes[ERROR_TYPE] = error
    flags = SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK | 1
    return _common(summary, Span.SPAN_KIND_CLIENT, attributes, flags, is_error=error is not None)


def _common(
    name: str,
    kind: "Span.SpanKind.ValueType",
    attributes: Mapping[str, str | int],
    flags: int,
    *,
    is_error: bool,
) -> bytes:
    span = Span(name=name, kind=kind, attributes=_key_values(attributes), flags=flags)
    if is_error:
        span.status.code = Status.STATUS_CODE_ERROR
    encoded: bytes = span.SerializeToString()
    return encoded


def _key_values(attributes: Mapping[str, Any]) -> list[KeyValue]:
    return [
        KeyValue(
            key=key,
            value=AnyValue(int_value=value)
            if isinstance(value, int)
            else AnyValue(string_value=str(value)),
        )
        for key, value in attributes.items()
    ]


class Sender:
    """Sends encoded spans from a thread of its own, which starts with the first span.

    If the collector is slow or away, spans wait up to a limit; those over it are dropped and counted.

    Args:
        send: sends a request of OTLP; returns whether the collector has accepted it.
        version: the service's.
        queue_size: spans that may wait.
        batch_size: as soon as so many wait, they are sent.
        delay: seconds after which fewer are sent.
    """

    def __init__(
        self,
        send: Callable[[bytes], bool],
        version: str,
        *,
        queue_size: int,
        batch_size: int,
        delay: float,
    ) -> None:
        self._send = send
        self._queue_size = queue_size
        self._batch_size = batch_size
        self._delay = delay
        self._waiting: deque[bytes] = deque()
        self._changed = Condition()
        self._is_ending = False
        self._thread: Thread | None = None
        resource = Resource.create({SERVICE_VERSION: version})
        if not resource.attributes.get(SERVICE_NAME) or str(
            resource.attributes[SERVICE_NAME]
        ).startswith("unknown_service"):
            resource = resource.merge(Resource({SERVICE_NAME: "ccs"}))
        message = ResourceMessage(attributes=_key_values(resource.attributes))
        self._resource = b"\x0a" + _delimited(message.SerializeToString())
        scope = InstrumentationScope(name="ccs_server", version=version)
        self._scope = b"\x0a" + _delimited(scope.SerializeToString())

    def put(self, spans: Sequence[bytes]) -> None:
        """Leaves spans to be sent, each after its tag and length."""
        with self._changed:
            room = max(0, self._queue_size - len(self._waiting))
            self._waiting.extend(spans[:room])
            if self._thread is None:
                self._thread = Thread(target=self._run, name="traces", daemon=True)
                self._thread.start()
            if len(self._waiting) >= self._batch_size:
                self._changed.notify()
        if len(spans) > room:
            _spans.labels("dropped").inc(len(spans) - room)

    def end(self) -> None:
        """Sends what waits; returns when that is done, or after two seconds."""
        with self._changed:
            self._is_ending = True
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join(_END_SECONDS)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(self._is_due, self._delay)
                # What is over a batch waits for more: an export costs the same for one span as for thousands.
                size = min(len(self._waiting), self._batch_size)
                batch = [self._waiting.popleft() for _ in range(size)]
                is_last = self._is_ending and not self._waiting
            if batch:
                self._export(batch)
            if is_last:
                return

    def _is_due(self) -> bool:
        return self._is_ending or len(self._waiting) >= self._batch_size

    def _export(self, spans: Sequence[bytes]) -> None:
        try:
            is_accepted = self._send(self._request(spans))
        except Exception:  # noqa: BLE001 - whatever it is, the thread goes on with the next spans
            _log.exception("Spans could not be exported.")
            is_accepted = False
        _spans.labels("exported" if is_accepted else "refused").inc(len(spans))

    def _request(self, spans: Sequence[bytes]) -> bytes:
        """ExportTraceServiceRequest {ResourceSpans {resource, ScopeSpans {scope, spans}}}."""
        size = sum(map(len, spans))
        scope = b"\x12" + _length(len(self._scope) + size) + self._scope
        head = self._resource + scope
        return b"".join((b"\x0a", _length(len(head) + size), head, *spans))


def sender_of(environment: Mapping[str, str], version: str) -> Sender:
    """The sender that OpenTelemetry's variables describe.

    Raises:
        SettingError: a variable has a value that cannot be used.
    """
    try:
        # It reads the variables of the endpoint, headers, timeout, compression and certificates itself.
        client = OTLPSpanExporter()._client  # noqa: SLF001 - see the module's docstring
    except ValueError as error:
        raise SettingError(f"The OTEL_EXPORTER_OTLP variables cannot be used: {error}.") from error

    def natural(variable: str, default: int) -> int:
        text = environment.get(variable, "").strip()
        if text and not (text.isdecimal() and int(text)):
            raise SettingError(f"{variable} must be a whole number from 1, not '{text}'.")
        return int(text or default)

    return Sender(
        lambda request: client.export(request).success,
        version,
        queue_size=natural("OTEL_BSP_MAX_QUEUE_SIZE", 8192),
        batch_size=natural("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 4096),
        delay=natural("OTEL_BSP_SCHEDULE_DELAY", 5000) / 1000,
    )
