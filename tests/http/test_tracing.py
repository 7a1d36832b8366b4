"""Which requests are traced, as OpenTelemetry's variables and the caller's `traceparent` say."""

from pathlib import Path

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace import sampling
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from ccs_server.http.tracing import Sampler, sampler_of
from ccs_server.settings import SettingError
from tests.support.service import ccs, environment

TRACE_ID, SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED = f"00-{TRACE_ID}-{SPAN_ID}-01"
NOT_SAMPLED = f"00-{TRACE_ID}-{SPAN_ID}-00"
OTLP = {"OTEL_TRACES_EXPORTER": "otlp"}


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"},
        {"OTEL_SDK_DISABLED": "true", **OTLP},
        {"OTEL_SERVICE_NAME": "ccs", "OTEL_TRACES_SAMPLER": "always_on"},
    ],
    ids=str,
)
def test_traces_are_off(variables: dict[str, str]) -> None:
    assert sampler_of(variables) is None


@pytest.mark.parametrize(
    "variables",
    [
        OTLP,
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"},
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"},
        {"OTEL_SDK_DISABLED": "false", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", **OTLP},
    ],
    ids=str,
)
def test_traces_are_on(variables: dict[str, str]) -> None:
    sampler = sampler_of(variables)
    assert sampler is not None
    assert sampler.begin(None) is not None, "every request, by default"


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER must be otlp or none"),
        (
            {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf",
        ),
        ({"OTEL_TRACES_SAMPLER": "jaeger_remote"}, "OTEL_TRACES_SAMPLER must be always_on"),
        (
            {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "10%"},
            "OTEL_TRACES_SAMPLER_ARG must be a ratio from 0 to 1, not '10%'",
        ),
    ],
)
def test_a_wrong_variable_is_named(variables: dict[str, str], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        sampler_of(OTLP | variables)


@pytest.mark.parametrize(
    "variables",
    [OTLP, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}],
    ids=["exporter", "endpoint"],
)
def test_the_service_does_not_start_without_the_packages(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    package = tmp_path / "opentelemetry"
    package.mkdir()
    (package / "__init__.py").touch()
    env = environment(PYTHONPATH=str(tmp_path), CCS_DATA_DIR=str(tmp_path / "data"), **variables)
    ran = ccs("serve", "--port", "0", env=env)
    assert ran.returncode == 1
    assert ran.stderr == (
        "Error: Traces need more packages: pip install 'ccs-server[otel]', or set "
        "OTEL_TRACES_EXPORTER=none.\n"
    )


def test_the_service_does_not_start_with_a_number_that_is_none(database_url: str) -> None:
    env = environment(CCS_DATABASE_URL=database_url, OTEL_BSP_SCHEDULE_DELAY="5s", **OTLP)
    ran = ccs("serve", "--port", "0", env=env)
    assert ran.returncode == 1
    assert ran.stderr == (
        "Error: OTEL_BSP_SCHEDULE_DELAY must be a whole number from 1, not '5s'.\n"
    )


SAMPLERS = {
    "always_on": sampling.ALWAYS_ON,
    "always_off": sampling.ALWAYS_OFF,
    "traceidratio": sampling.TraceIdRatioBased(0.4),
    "parentbased_always_on": sampling.ParentBased(sampling.ALWAYS_ON),
    "parentbased_always_off": sampling.ParentBased(sampling.ALWAYS_OFF),
    "parentbased_traceidratio": sampling.ParentBased(sampling.TraceIdRatioBased(0.4)),
}


@pytest.mark.parametrize("flags", [0, 1])
@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_decides_as_opentelemetrys_of_that_name(name: str, flags: int) -> None:
    for number in range(50):
        trace_id = (number << 64) + (1 << 64) * number // 50 + 1
        parent = SpanContext(trace_id, 7, is_remote=True, trace_flags=TraceFlags(flags))
        context = set_span_in_context(NonRecordingSpan(parent), Context())
        decision = SAMPLERS[name].should_sample(context, trace_id, "name").decision
        expected = decision is sampling.Decision.RECORD_AND_SAMPLE
        trace = Sampler.of(name, "0.4").begin(f"00-{trace_id:032x}-{7:016x}-{flags:02x}")
        assert (trace is not None) == expected


def test_a_ratio_of_the_traces_that_begin_here_is_sampled() -> None:
    sampler = Sampler.of("parentbased_traceidratio", "0.25")
    sampled = sum(sampler.begin(None) is not None for _ in range(4000))
    assert 800 < sampled < 1200


@pytest.mark.parametrize(
    "header",
    [
        SAMPLED,
        f"cc-{TRACE_ID}-{SPAN_ID}-01-what-the-future-brings",
        f"00-{TRACE_ID}-{SPAN_ID}-01-more",
        f"ff-{TRACE_ID}-{SPAN_ID}-01",
        f"00-{'0' * 32}-{SPAN_ID}-01",
        f"00-{TRACE_ID}-{'0' * 16}-01",
        f"00-{TRACE_ID.upper()}-{SPAN_ID}-01",
        f"{SAMPLED},{SAMPLED}",
        "00-1-2-01",
        "",
        "x" * 600,
    ],
)
def test_a_traceparent_is_read_as_by_opentelemetry(header: str) -> None:
    context = TraceContextTextMapPropagator().extract({"traceparent": header})
    has_parent = bool(context)
    trace = Sampler.of("parentbased_always_on", "").begin(header)
    assert trace is not None
    assert (trace.parent_id.hex() == SPAN_ID) == has_parent
    assert (trace.trace_id.hex() == TRACE_ID) == has_parent


def test_a_caller_that_does_not_sample_is_followed_only_by_samplers_that_follow() -> None:
    assert Sampler.of("parentbased_always_on", "").begin(NOT_SAMPLED) is None
    assert Sampler.of("always_on", "").begin(NOT_SAMPLED) is not None
    assert Sampler.of("always_off", "").begin(SAMPLED) is None
