"""Traces: which requests are traced, and what is remembered of them until `otlp` exports it.

OpenTelemetry's own spans cost 64 µs for a request with one statement, more than the rest of the application
(docs/operate/monitoring.md). So a traced request leaves its ids and a tuple for each round trip to the database here,
and its spans are encoded together with those of others.

Traces are off unless OpenTelemetry's standard variables turn them on, and then need the packages of the extra `otel`.
"""

import re
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.util import find_spec
from random import getrandbits
from threading import local
from time import monotonic
from typing import NamedTuple, Self
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from msgspec import Struct, field

from ccs_server.settings import SettingError

TRACE = "ccs.trace"
"""The key of a request's `Trace` in its WSGI environment; it is missing if the request is not traced."""

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")

_EXPORTER = "opentelemetry.exporter.otlp.proto.http"

_ALL = 1 << 64

_id_of_halves = struct.Struct(">QQ").pack

# W3C Trace Context. A version after 00 may append more.
_PARENT = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
).fullmatch


RoundTrip = tuple[Sequence[bytes], float, float, str | None]
"""A round trip to the database: the names of its statements, when it began and ended (monotonic clock), and the class
of its error if it failed. A named tuple takes four times as long to make."""


class Trace(Struct, gc=False):
    """A traced request, for the length of the request.

    Attributes:
        trace_id: 16 bytes.
        parent_id: the caller's span, 8 bytes; empty if the trace begins here.
        began: when it began, on the monotonic clock.
        round_trips: those of the request so far.
    """

    trace_id: bytes
    parent_id: bytes
    began: float = field(default_factory=monotonic)
    round_trips: list[RoundTrip] = field(default_factory=list)


class _Current(local):
    trace: Trace | None = None


current = _Current()
"""The trace of the request that this thread runs."""


class Sampler(NamedTuple):
    """Decides which requests are traced, as OpenTelemetry's samplers of these names do."""

    bound: int
    """A trace is sampled if the lower half of its id is below."""
    follows_parent: bool
    """Whether the caller's decision counts, where there is a caller that traces."""

    @classmethod
    def of(cls, name: str, ratio: str) -> Self:
        """The sampler that `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG` name.

        Raises:
            SettingError: there is none of this name, or the ratio is not one.
        """
        kind = name.removeprefix("parentbased_")
        match kind:
            case "always_on":
                bound = _ALL
            case "always_off":
                bound = 0
            case "traceidratio":
                bound = _bound(ratio)
            case _:
                raise SettingError(
                    "OTEL_TRACES_SAMPLER must be always_on, always_off or traceidratio, or one of these after "
                    f"'parentbased_', not '{name}'."
                )
        return cls(bound, follows_parent=kind != name)

    def begin(self, parent: str | None) -> Trace | None:
        """The trace of a request with this header `traceparent`; None if it is not to be traced."""
        found = _PARENT(parent) if parent is not None else None
        if found is not None and (found[5] is None or found[1] != "00"):
            trace_id, parent_id = bytes.fromhex(found[2]), bytes.fromhex(found[3])
            if self.follows_parent:
                return Trace(trace_id, parent_id) if int(found[4], 16) & 1 else None
            is_sampled = int.from_bytes(trace_id[8:], "big") < self.bound
            return Trace(trace_id, parent_id) if is_sampled else None
        lower = getrandbits(64)
        return Trace(_id_of_halves(getrandbits(64), lower), b"") if lower < self.bound else None


def _bound(ratio: str) -> int:
    try:
        number = float(ratio or 1)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise SettingError(f"OTEL_TRACES_SAMPLER_ARG must be a ratio from 0 to 1, not '{ratio}'.")
    return round(number * _ALL)


def sampler_of(environment: Mapping[str, str]) -> Sampler | None:
    """The sampler that OpenTelemetry's variables ask for; None if they ask for no traces.

    Raises:
        SettingError: the variables ask for something that is not supported, or packages are missing.
    """
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    exporter = environment.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if exporter == "none" or not (exporter or any(map(environment.get, _ENDPOINTS))):
        return None
    if exporter not in {"", "otlp"}:
        raise SettingError(f"OTEL_TRACES_EXPORTER must be otlp or none, not '{exporter}'.")
    for variable in _PROTOCOLS:
        protocol = environment.get(variable, "")
        if protocol not in {"", "http/protobuf"}:
            raise SettingError(f"{variable} must be http/protobuf, not '{protocol}'.")
    if not _is_installed():
        raise SettingError(
            "Traces need more packages: pip install 'ccs-server[otel]', or set OTEL_TRACES_EXPORTER=none."
        )
    return Sampler.of(
        environment.get("OTEL_TRACES_SAMPLER", "").strip() or "parentbased_always_on",
        environment.get("OTEL_TRACES_SAMPLER_ARG", "").strip(),
    )


def _is_installed() -> bool:
    try:
        return find_spec(_EXPORTER) is not None
    except ModuleNotFoundError:
        return False


class Traced:
    """An application whose sampled requests are traced."""

    def __init__(self, app: WSGIApplication, sampler: Sampler) -> None:
        self._app = app
        self._begin: Callable[[str | None], Trace | None] = sampler.begin

    def __call__(  # noqa: D102 - a WSGI application
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        trace = self._begin(environ.get("HTTP_TRACEPARENT"))
        if trace is None:
            return self._app(environ, start_response)
        environ[TRACE] = current.trace = trace
        try:
            return self._app(environ, start_response)
        finally:
            current.trace = None
