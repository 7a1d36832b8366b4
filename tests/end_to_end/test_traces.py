"""Traces, from a call of the SDK through `ccs serve` to the statement, as a collector gets them."""

from collections.abc import Callable, Iterator
from secrets import token_hex

import pytest
import requests
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from ccs_sdk import ContextClient
from ccs_server.store.database import Database
from tests.support.collector import Collector, Span, collecting
from tests.support.proxy import proxied
from tests.support.service import (
    TIMEOUT_SECONDS,
    Account,
    Server,
    environment,
    new_account,
    serving,
)
from tests.support.waiting import wait_until

PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def traceparent(flags: str = "01") -> dict[str, str]:
    return {"traceparent": f"00-{PARENT[0]}-{PARENT[1]}-{flags}"}


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture(scope="module")
def traced_server(database_url: str, collector: Collector) -> Iterator[Server]:
    env = environment(
        CCS_DATABASE_URL=database_url,
        CCS_ACCESS_LOG="off",
        **collector.environment(OTEL_EXPORTER_OTLP_HEADERS="x-team=bots"),
    )
    with serving("--workers", "1", env=env) as server:
        yield server


@pytest.fixture
def traced_account(
    traced_server: Server, collector: Collector, database: Database
) -> Iterator[Account]:
    """An account on a traced server, whose collector has nothing yet."""
    with new_account(traced_server, database) as account:
        collector.raw.clear()
        yield account


def spans_of(collector: Collector, route: str) -> Callable[[], list[Span]]:
    """Returns a function that returns the spans of requests with a route."""
    return lambda: [
        span for span in collector.spans() if span.attributes.get("http.route") == route
    ]


def of_trace(collector: Collector, span: Span) -> list[Span]:
    return [each for each in collector.spans() if each.trace_id == span.trace_id]


def wait_for(found: Callable[[], list[Span]]) -> Span:
    """Waits for one span, and returns it."""
    wait_until(lambda: bool(found()))
    [span] = found()
    return span


ALL_PROPERTIES = "/v1/account/<account>/<namespace>/<session:session>/properties"


@pytest.fixture
def application_traces(collector: Collector) -> Iterator[trace.Tracer]:
    """OpenTelemetry's SDK in this process, as an application sets it up; it exports to the same collector."""
    provider = TracerProvider(resource=Resource.create({"service.name": "bot"}))
    exporter = OTLPSpanExporter(f"{collector.url}/v1/traces")
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    # Tracers that were got before are of the provider that is set once for a process.
    before = trace._TRACER_PROVIDER
    trace._TRACER_PROVIDER = provider
    yield provider.get_tracer("bot")
    trace._TRACER_PROVIDER = before
    provider.shutdown()


def test_a_call_of_the_sdk_its_request_and_its_statement_are_one_trace(
    traced_account: Account, collector: Collector, application_traces: trace.Tracer
) -> None:
    account = traced_account
    with (
        ContextClient(account.server_url, account.id, api_key=account.key) as client,
        application_traces.start_as_current_span("turn"),
    ):
        client.namespace("orders").session("s1")["secret-name"] = "secret-value"
    [turn] = [span for span in collector.spans() if span.name == "turn"]
    wait_until(lambda: len(of_trace(collector, turn)) >= 4)
    spans = of_trace(collector, turn)
    by_kind = {
        (span.resource["service.name"], span.kind): span
        for span in spans
        if "db.system.name" not in span.attributes
    }
    assert len(by_kind) == 3
    call = by_kind["bot", "CLIENT"]
    request = by_kind["ccs", "SERVER"]
    statements = [span for span in spans if span.parent_id == request.span_id]
    assert len(statements) == len(spans) - len(by_kind)
    assert (call.parent_id, request.parent_id) == (turn.span_id, call.span_id)
    assert call.attributes.items() >= {
        ("http.request.method", "PUT"),
        ("http.response.status_code", 204),
        ("server.address", "127.0.0.1"),
    }
    route = f"{ALL_PROPERTIES}/<path:name>"
    assert request.name == f"PUT {route}"
    assert request.attributes.items() >= {
        ("http.request.method", "PUT"),
        ("http.response.status_code", 204),
        ("http.route", route),
    }
    assert statements
    for statement in statements:
        assert statement.kind == "CLIENT"
        assert statement.attributes["db.system.name"] == "postgresql"
        assert statement.attributes["db.query.summary"] == statement.name
        assert request.began <= statement.began <= statement.ended <= request.ended
    assert call.began <= request.began <= request.ended <= call.ended
    assert "save_one" in {statement.name for statement in statements}


def test_spans_contain_no_value_no_name_and_no_credential(
    traced_account: Account, collector: Collector, application_traces: trace.Tracer
) -> None:
    account = traced_account
    secrets = [f"x{token_hex(8)}" for _ in range(4)]
    namespace, session, name, value = secrets
    with (
        ContextClient(account.server_url, account.id, api_key=account.key) as client,
        application_traces.start_as_current_span("turn"),
    ):
        place = client.namespace(namespace).session(session)
        place[name] = value
        assert place[name] == value
        with pytest.raises(KeyError):
            place[f"{name}2"]
    wait_until(lambda: len(spans_of(collector, f"{ALL_PROPERTIES}/<path:name>")()) == 3)
    sent = b"".join(collector.raw)
    for secret in (*secrets, account.id, account.key, account.key.rpartition("_")[2]):
        assert secret.encode() not in sent


def test_statements_of_sqlalchemy_are_spans_too(
    traced_server: Server, collector: Collector, database: Database
) -> None:
    collector.raw.clear()
    with new_account(traced_server, database, scope="admin") as admin:
        assert admin.ext("POST", "/keys", json={"scope": "read"}).status_code == 201
    request = wait_for(spans_of(collector, "/ext/v1/<account>/keys"))
    statements = {span.name: span for span in of_trace(collector, request) if span.kind == "CLIENT"}
    assert statements.keys() >= {"begin", "insert_api_key", "insert_audit", "commit"}
    inserted = statements["insert_api_key"]
    assert inserted.attributes == {
        "db.system.name": "postgresql",
        "db.query.summary": "insert_api_key",
    }
    assert inserted.parent_id == request.span_id
    assert statements["begin"].ended <= inserted.began <= inserted.ended
    assert inserted.ended <= statements["commit"].began


def test_a_traced_request_continues_the_callers_trace(
    traced_account: Account, collector: Collector
) -> None:
    traced_account.v1(
        "GET", "/orders/s1/properties", headers=traceparent() | {"X-Request-ID": "my-id"}
    )
    span = wait_for(spans_of(collector, ALL_PROPERTIES))
    assert (span.trace_id, span.parent_id) == PARENT
    assert span.attributes["ccs.request_id"] == "my-id"
    assert collector.headers[-1]["x-team"] == "bots"


def test_a_caller_that_does_not_sample_is_followed(
    traced_account: Account, collector: Collector
) -> None:
    traced_account.v1("GET", "/orders/s1/properties", headers=traceparent("00"))
    traced_account.v1("GET", "/orders/s1/properties")
    span = wait_for(spans_of(collector, ALL_PROPERTIES))
    assert span.trace_id != PARENT[0]
    assert not span.parent_id


def test_an_error_of_the_service_is_an_error_of_its_spans(
    database_url: str, collector: Collector, database: Database
) -> None:
    with proxied(database_url) as proxy:
        env = environment(
            CCS_DATABASE_URL=proxy.url, CCS_STATEMENT_TIMEOUT="0.1", **collector.environment()
        )
        with (
            serving("--workers", "1", env=env) as server,
            new_account(server, database) as account,
        ):
            assert account.v1("GET", "/orders/s1/properties").status_code == 200
            collector.raw.clear()
            proxy.withheld = 1 << 20
            assert account.v1("GET", "/orders/s1/properties").status_code == 503
            found = spans_of(collector, ALL_PROPERTIES)
            span = wait_for(lambda: [span for span in found() if span.is_error])
            proxy.withheld = 0
    assert span.attributes["error.type"] == "503"
    [statement] = [each for each in of_trace(collector, span) if each.parent_id == span.span_id]
    assert statement.is_error
    assert statement.attributes["error.type"] == "Unavailable"


def test_an_unknown_method_is_not_a_name(traced_account: Account, collector: Collector) -> None:
    traced_account.v1("BREW", "/orders/s1/properties")
    span = wait_for(lambda: [span for span in collector.spans() if span.name == "HTTP"])
    assert span.attributes["http.request.method"] == "_OTHER"


def test_the_last_spans_are_sent_before_the_service_ends(
    database_url: str, collector: Collector
) -> None:
    collector.raw.clear()
    env = environment(
        CCS_DATABASE_URL=database_url,
        **collector.environment(OTEL_BSP_SCHEDULE_DELAY="600000", OTEL_SERVICE_NAME="mine"),
    )
    with serving("--workers", "2", env=env) as server:
        for _ in range(10):
            requests.get(f"{server.url}/openapi.json", timeout=TIMEOUT_SECONDS)
        assert not spans_of(collector, "/openapi.json")()
        assert server.stop() == 0
    spans = spans_of(collector, "/openapi.json")()
    assert len(spans) == 10
    assert {span.resource["service.name"] for span in spans} == {"mine"}


def test_the_service_serves_and_stops_while_the_collector_is_away(
    database_url: str, collector: Collector
) -> None:
    env = environment(
        CCS_DATABASE_URL=database_url,
        **collector.environment(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1"),
    )
    with serving("--workers", "1", env=env) as server:
        assert requests.get(f"{server.url}/readyz", timeout=TIMEOUT_SECONDS).status_code == 200
        assert server.stop() == 0


@pytest.mark.parametrize(
    "variables",
    [
        {"OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_SDK_DISABLED": "true"},
        {"OTEL_TRACES_SAMPLER": "always_off"},
        {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"},
    ],
    ids=str,
)
def test_nothing_is_exported_when_traces_are_off(
    database_url: str, collector: Collector, variables: dict[str, str]
) -> None:
    collector.raw.clear()
    env = environment(
        CCS_DATABASE_URL=database_url, CCS_ACCESS_LOG="off", **collector.environment(**variables)
    )
    with serving("--workers", "1", env=env) as server:
        requests.get(f"{server.url}/openapi.json", headers=traceparent(), timeout=TIMEOUT_SECONDS)
        assert server.stop() == 0
    assert not collector.raw
