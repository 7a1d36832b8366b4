"""A span for each request, if the package `opentelemetry-api` is installed (the extra `otel`).

The application decides what becomes of spans: without OpenTelemetry's SDK they cost next to nothing. A span names the
method and the server, but no path, because paths contain session ids and names; the service's span names the route.
"""

from collections.abc import Callable
from typing import TypeAlias
from urllib.parse import urlsplit

import requests

from ccs_sdk._call import Call
from ccs_sdk._version import __version__

Send: TypeAlias = Callable[[Call, dict[str, str], tuple[float, float]], requests.Response]

_CLIENT_ERROR = 400


def traced(send: Send, base_url: str) -> Send:
    """Returns a function that sends a request within a span, or `send` itself if there can be no spans.

    The request gets the header `traceparent`, so that the service's spans belong to the same trace.
    """
    try:
        from opentelemetry import propagate, trace  # noqa: PLC0415 - optional
    except ImportError:
        return send
    tracer = trace.get_tracer("ccs_sdk", __version__)
    server = urlsplit(base_url)
    port = server.port or {"http": 80, "https": 443}[server.scheme]
    common: dict[str, str | int] = {
        "server.address": server.hostname or "",
        "server.port": port,
    }

    def send_traced(
        call: Call, headers: dict[str, str], timeouts: tuple[float, float]
    ) -> requests.Response:
        # OpenTelemetry would record the message of an exception, which may contain the path.
        with tracer.start_as_current_span(
            call.method,
            kind=trace.SpanKind.CLIENT,
            attributes={"http.request.method": call.method, **common},
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            headers = headers.copy()  # of all attempts
            propagate.inject(headers)
            try:
                response = send(call, headers, timeouts)
            except Exception as error:
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(trace.StatusCode.ERROR)
                raise
            span.set_attribute("http.response.status_code", response.status_code)
            if response.status_code >= _CLIENT_ERROR:
                span.set_attribute("error.type", str(response.status_code))
                span.set_status(trace.StatusCode.ERROR)
            return response

    return send_traced
