"""The SDK's spans: none without OpenTelemetry, and no more in them than is safe to export."""

import asyncio
import sys
from collections.abc import Iterator

import pytest
import requests
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ccs_sdk import BadRequestError, ConnectionFailedError, ContextClient, RetryPolicy
from ccs_sdk.aio import AsyncContextClient
from tests.support.service import Account

QUICK = RetryPolicy(attempts=3, base_delay=0.001, max_delay=0.001)


class Recording(requests.Session):
    """A session that keeps the headers of the requests that it sends."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[dict[str, str]] = []

    def send(self, request: requests.PreparedRequest, **options: object) -> requests.Response:
        self.sent.append(dict(request.headers))
        return super().send(request, **options)  # type: ignore[arg-type]


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """OpenTelemetry's SDK, as an application sets it up."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    yield exporter
    provider.shutdown()


def test_each_request_is_a_span_of_the_callers_trace(
    account: Account, exporter: InMemorySpanExporter
) -> None:
    with (
        Recording() as http,
        ContextClient(
            account.server_url, account.id, api_key=account.key, http_session=http
        ) as client,
        trace.get_tracer("app").start_as_current_span("turn") as turn,
    ):
        session = client.namespace("orders").session("s1")
        session["p"] = 1
        with pytest.raises(BadRequestError):
            client.namespace("faas").session("s1").set("p", 1)
    put, refused, _ = exporter.get_finished_spans()
    assert put.attributes == {
        "http.request.method": "PUT",
        "http.response.status_code": 204,
        "server.address": "127.0.0.1",
        "server.port": int(account.server_url.rpartition(":")[2]),
    }
    assert put.status.is_unset
    assert refused.attributes is not None
    assert refused.attributes["error.type"] == "400"
    assert refused.status.status_code is trace.StatusCode.ERROR
    for span, headers in zip((put, refused), http.sent, strict=True):
        assert span.kind is trace.SpanKind.CLIENT
        assert span.parent == turn.get_span_context()
        assert span.context is not None
        ids = f"{span.context.trace_id:032x}-{span.context.span_id:016x}"
        assert headers["traceparent"].startswith(f"00-{ids}-")


def test_every_attempt_is_a_span_and_none_names_the_path(exporter: InMemorySpanExporter) -> None:
    with (
        ContextClient("http://127.0.0.1:1", "acme", api_key="k", retry=QUICK) as client,
        pytest.raises(ConnectionFailedError),
    ):
        client.namespace("orders").session("secret-session").get("secret-name")
    spans = exporter.get_finished_spans()
    assert len(spans) > 1
    for span in spans:
        assert "secret" not in span.to_json()
        assert span.attributes is not None
        assert span.attributes["error.type"] == "ConnectionError"
        assert not span.status.is_ok


def test_without_opentelemetry_nothing_is_added(
    account: Account, exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with (
        Recording() as http,
        ContextClient(
            account.server_url, account.id, api_key=account.key, http_session=http
        ) as client,
    ):
        client.namespace("orders").session("s1")["p"] = 1
    assert "traceparent" not in http.sent[0]
    assert not exporter.get_finished_spans()


def test_requests_of_asynchronous_clients_are_spans_too(
    account: Account, exporter: InMemorySpanExporter
) -> None:
    async def save() -> None:
        client = AsyncContextClient(account.server_url, account.id, api_key=account.key)
        async with client:
            with trace.get_tracer("app").start_as_current_span("turn"):
                await client.namespace("orders").session("s1").set("p", 1)
                with pytest.raises(BadRequestError):
                    await client.namespace("faas").session("s1").set("p", 1)

    asyncio.run(save())
    put, refused, turn = exporter.get_finished_spans()
    assert put.parent == refused.parent == turn.context
    assert put.attributes is not None
    assert put.attributes["http.response.status_code"] == 204
    assert refused.attributes is not None
    assert refused.attributes["error.type"] == "400"
