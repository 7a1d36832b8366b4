"""A span for each request, if the package `opentelemetry-api` is installed (the extra `otel`).

The application decides what becomes of spans: without OpenTelemetry's SDK they cost next to nothing. A span names the
method and the server, but no path, because paths contain session ids and names; the service's span names the route.
"""

from collections.abc import Awaitable, Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Protocol, TypeVar
from urllib.parse import urlsplit

from ccs_sdk._call import Call
from ccs_sdk._version import __version__

if TYPE_CHECKING:
    from opentelemetry.trace import Span


class _Response(Protocol):
    @property
    def status_code(self) -> int: ...


R = TypeVar("R", bound=_Response)

Headers = dict[str, str]
Timeouts = tuple[float, float]

_CLIENT_ERROR = 400


def traced(
    send: Callable[[Call, Headers, Timeouts], R], base_url: str
) -> Callable[[Call, Headers, Timeouts], R]:
    """Returns a function that sends a request within a span, or `send` itself if there can be no spans.

    The request gets the header `traceparent`, so that the service's spans belong to the same trace.
    """
    begin = _spans(base_url)
    if begin is None:
        return send

    def send_traced(call: Call, headers: Headers, timeouts: Timeouts) -> R:
        with begin(call.method) as span:
            response = send(call, span.injected(headers), timeouts)
            span.end_with(response.status_code)
            return response

    return send_traced


def traced_async(
    send: Callable[[Call, Headers, Timeouts], Awaitable[R]], base_url: str
) -> Callable[[Call, Headers, Timeouts], Awaitable[R]]:
    """As `traced`, for a function that is awaited."""
    begin = _spans(base_url)
    if begin is None:
        return send

    async def send_traced(call: Call, headers: Headers, timeouts: Timeouts) -> R:
        with begin(call.method) as span:
            response = await send(call, span.injected(headers), timeouts)
            span.end_with(response.status_code)
            return response

    return send_traced


class _RequestSpan:
    """The span of one request."""

    def __init__(self, span: "Span", inject: Callable[[Headers], None]) -> None:
        self._span = span
        self._inject = inject

    def injected(self, headers: Headers) -> Headers:
        """The headers with the one that names this span."""
        headers = headers.copy()  # of all attempts
        self._inject(headers)
        return headers

    def end_with(self, status: int) -> None:
        """Notes the status of the response."""
        self._span.set_attribute("http.response.status_code", status)
        if status >= _CLIENT_ERROR:
            self.fail(str(status))

    def fail(self, kind: str) -> None:
        """Notes that the request failed, and how."""
        from opentelemetry.trace import StatusCode  # noqa: PLC0415 - optional

        self._span.set_attribute("error.type", kind)
        self._span.set_status(StatusCode.ERROR)


def _spans(base_url: str) -> Callable[[str], AbstractContextManager[_RequestSpan]] | None:
    """Returns a function that begins the span of a request with a method; None if there can be no spans."""
    try:
        from opentelemetry import propagate, trace  # noqa: PLC0415 - optional
    except ImportError:
        return None
    tracer = trace.get_tracer("ccs_sdk", __version__)
    server = urlsplit(base_url)
    port = server.port or {"http": 80, "https": 443}[server.scheme]
    common: dict[str, str | int] = {"server.address": server.hostname or "", "server.port": port}

    @contextmanager
    def begin(method: str) -> Generator[_RequestSpan]:
        # OpenTelemetry would record the message of an exception, which may contain the path.
        with tracer.start_as_current_span(
            method,
            kind=trace.SpanKind.CLIENT,
            attributes={"http.request.method": method, **common},
            record_exception=False,
            set_status_on_exception=False,
        ) as current:
            span = _RequestSpan(current, propagate.inject)
            try:
                yield span
            except Exception as error:
                span.fail(type(error).__name__)
                raise

    return begin
