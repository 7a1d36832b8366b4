"""Runs the requests of a worker: checks the head, receives the body, queues for a slot, calls the application.

The HTTP server calls `Dispatcher` in a thread of its pool, once for each request and again when a body has come. The
thread runs the request if admission lets it, and then those that waited, until admission lets nothing more run.
"""

import logging
from collections.abc import Callable
from http import HTTPStatus
from io import BytesIO
from threading import Event
from time import monotonic, sleep
from typing import Any, Protocol
from wsgiref.types import WSGIApplication, WSGIEnvironment

from prometheus_client import Counter

from ccs_server.domain.errors import BUSY
from ccs_server.domain.limits import MAX_BODY_BYTES
from ccs_server.http.body import UNREAD, is_readable
from ccs_server.http.draining import Draining
from ccs_server.http.errors import FAILED, plain_response
from ccs_server.http.request_id import request_id_of
from ccs_server.http.streaming import STREAM
from ccs_server.serving.admission import Admission, Occupancy
from ccs_server.serving.bodies import Bodies
from ccs_server.serving.exchange import (
    Channel,
    Exchange,
    Headers,
    Refusal,
    environ_of,
    joined,
)
from ccs_server.serving.streams import ChannelSink

SLOTS = 3
"""Requests that a worker runs at once. More of them wait for each other's interpreter lock, and for PostgreSQL's
processors: with five, reads were a tenth slower (docs/performance.md)."""

SLOTS_WITH_POOLER = 4
"""The same behind a transaction pooler, where the same work makes a request wait for longer: reads and saves were 7 %
slower with three."""

_PAUSE_SECONDS = 0.005
"""How long a thread whose request has to wait leaves fetching to those that run, while they make progress: a request
that is run by the thread that brings it costs a tenth less than one that passes through two."""

# A busy service is alive: it must not be restarted.
_NEVER_QUEUED = "/healthz"

# A body that was not read can be followed by no other request.
_CLOSE = ("Connection", "close")

_log = logging.getLogger("ccs.dispatcher")

_refused = Counter(
    "ccs_requests_refused_total",
    "Requests refused before the application saw them, by reason.",
    ["reason"],
)
for _reason in ("head", "bodies", "slow body", "busy"):
    _refused.labels(_reason)  # a rate sees the first refusal only if there was a 0 before


class Policy(Protocol):
    """What the application knows of requests before it handles them."""

    def account_of(self, environ: WSGIEnvironment) -> str | None:
        """The account of a request whose credential was found valid a moment ago; it asks no database."""

    def identify(self, environ: WSGIEnvironment) -> str | None:
        """The account of a request whose credential is valid; None if it is not, or cannot be checked now."""

    def turn_of(self, environ: WSGIEnvironment) -> str:
        """The queue of a request: its credential's account if that was ever known, else its address."""

    def is_listing(self, environ: WSGIEnvironment) -> bool:
        """Whether a request reads many sessions rather than one document."""


class Dispatcher:
    """Serves the requests of a worker.

    At most `slots` requests run at once, and one less of an account: a slot is left for another account.

    A body is received only once the request's credential is known to be valid; without, the application refuses the
    request with its body unread.
    """

    def __init__(  # noqa: PLR0913 - settings
        self,
        app: WSGIApplication,
        policy: Policy,
        *,
        slots: int,
        queue_length: int,
        queue_time: float,
        request_time: float,
        header_limit: int,
    ) -> None:
        self._app = app
        self._policy = policy
        self._header_limit = header_limit
        self._streams_end = Event()
        self._admission: Admission[Exchange] = Admission(
            slots=slots, share=slots - 1, queue_length=queue_length, queue_time=queue_time
        )
        self.bodies = Bodies(self, longest=request_time, largest=MAX_BODY_BYTES + 1)

    def look(self) -> tuple[Occupancy, list[float]]:
        """How full the worker is; see `Admission.look`."""
        return self._admission.look()

    def __call__(self, scope: dict[str, Any], channel: Channel) -> None:
        """Takes a request. Another thread may send its response later."""
        environ, refusal = environ_of(scope, self._header_limit)
        exchange = Exchange(environ, channel)
        if refusal is not None:
            self._refuse(exchange, refusal, "head")
            return
        exchange.is_listing = self._policy.is_listing(environ)
        if exchange.has_body:
            account = self._policy.account_of(environ)
            if account is not None and is_readable(environ):
                exchange.account = account
                self.bodies.receive(exchange)
                return
            environ[UNREAD] = True
        environ["wsgi.input"] = BytesIO()
        exchange.account = self._policy.turn_of(environ)
        self.take_turn(exchange)

    def too_many(self, exchange: Exchange) -> None:
        """There is no room for the exchange's body."""
        self._refuse(exchange, Refusal(HTTPStatus.SERVICE_UNAVAILABLE, BUSY), "bodies")

    def too_slow(self, exchange: Exchange) -> None:
        """The exchange's body has not come in time."""
        refusal = Refusal(
            HTTPStatus.REQUEST_TIMEOUT, "The body came too slowly; send it again, faster."
        )
        self._refuse(exchange, refusal, "slow body")

    def take_turn(self, exchange: Exchange) -> None:
        """Runs the request now or when it is its turn; its body, if it has one, has come."""
        if exchange.environ["PATH_INFO"] == _NEVER_QUEUED:
            self._run(exchange)
            return
        following: Exchange | None = exchange
        if not self._admission.arrive(exchange, monotonic()):
            if self._admission.is_moving(monotonic()):
                sleep(_PAUSE_SECONDS)
            return
        while following is not None:
            try:
                self._run(following)
            finally:
                following, refused = self._admission.leave(following, monotonic())
            for each in refused:
                self._refuse(each, Refusal(HTTPStatus.SERVICE_UNAVAILABLE, BUSY), "busy")

    def _run(self, exchange: Exchange) -> None:
        environ = exchange.environ
        if UNREAD in environ and is_readable(environ):
            # The credential was not known when the request came; now is its turn to be looked up.
            account = self._policy.identify(environ)
            if account is not None:
                del environ[UNREAD], environ["wsgi.input"]
                self.bodies.receive(
                    Exchange(environ, exchange.channel, account, exchange.is_listing)
                )
                return
        start = _Start()
        try:
            body = joined(self._app(environ, start))
        except Exception:  # noqa: BLE001 - whatever it is, the client gets a response
            # The application responds to its own faults; this is one that it could not.
            _log.exception("The application failed on request %s.", request_id_of(environ))
            self._send(exchange, Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, FAILED))
            return
        if UNREAD in environ:
            self._close_after(exchange, start.status, start.headers, body)
            return
        stream = environ.get(STREAM)
        if stream is None:
            exchange.respond(start.status, start.headers, body)
        else:
            exchange.begin(start.status, start.headers)
            stream(ChannelSink(exchange.channel, self._streams_end))

    def drain(self) -> None:
        """From now on responses ask clients to close their connections, and those that go on end."""
        if not isinstance(self._app, Draining):
            self._app = Draining(self._app)
        self.end_streams()

    def end_streams(self) -> None:
        """Asks the responses that go on to end."""
        self._streams_end.set()

    def _refuse(self, exchange: Exchange, refusal: Refusal, reason: str) -> None:
        _refused.labels(reason).inc()
        self._send(exchange, refusal)

    def _send(self, exchange: Exchange, refusal: Refusal) -> None:
        status, headers, body = plain_response(exchange.environ, refusal.status, refusal.message)
        if UNREAD in exchange.environ or "wsgi.input" not in exchange.environ:
            self._close_after(exchange, status, headers, body)
        else:
            exchange.respond(status, headers, body)

    def _close_after(self, exchange: Exchange, status: int, headers: Headers, body: bytes) -> None:
        """Sends the response to a request whose body has not been received."""
        headers.append(_CLOSE)
        exchange.respond(status, headers, body)
        # A client that asks first sends no body once it has its response.
        if exchange.has_body and "HTTP_EXPECT" not in exchange.environ:
            self.bodies.discard(exchange)


class _Start:
    """WSGI's start_response."""

    status: int
    headers: Headers

    def __call__(
        self,
        status: str,
        headers: Headers,
        exc_info: Any = None,  # noqa: ANN401, ARG002 - nothing has been sent yet
    ) -> Callable[[bytes], object]:
        self.status = int(status[:3])
        self.headers = headers
        return _write


def _write(_data: bytes) -> object:
    raise NotImplementedError("The application returns its bodies.")
