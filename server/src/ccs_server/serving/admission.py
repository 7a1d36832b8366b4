"""The way from granian's threads to the application, where a service that is asked for too much sheds load.

Granian (2.8) hands each request to one of its threads, which would call the WSGI application. Its own queue has no end
in time, and a thread that calls the application waits for a body for as long as the client likes. So what granian's
threads call is this: a thread that brings a request reads its body and puts it in line. If one of a few seats is free
it sits down and serves the line until nobody is left; else it goes to fetch the next. Where the line is long and moves
slowly, and has done so for a while, those who have waited longest are refused, in some microseconds each.

Bodies are read before a seat is taken. Who waits for a slow one is soon replaced, by one of many threads that are there
for nothing else: it keeps nobody waiting, and is cut off in the end (`stalled`).
"""

import logging
import sys
from collections import deque
from collections.abc import Callable, Iterable
from http import HTTPStatus
from io import BytesIO
from math import inf
from threading import Lock, get_ident
from time import monotonic, sleep
from typing import Any, Protocol
from wsgiref.types import WSGIApplication, WSGIEnvironment

from prometheus_client import Counter

from ccs_server.api.body import MAX_BODY_BYTES
from ccs_server.api.errors import envelope
from ccs_server.api.protection import API_HEADERS
from ccs_server.api.request_id import REQUEST_ID, request_id_of
from ccs_server.domain.errors import Unavailable
from ccs_server.store.faults import BUSY

SEATS = 2
"""Requests that a worker serves at once: more only wait for each other's interpreter lock (docs/performance.md)."""

READERS = 61
"""Bodies that a worker waits for at once."""

REGULARS = SEATS + 1
"""Threads that fetch requests: those on seats, and one that sees what waits meanwhile."""

THREADS = REGULARS + READERS
"""Granian's threads: the regulars, and those that wait for bodies. It starts them as needed."""

# How often a thread without a place asks for one, and how long a regular that found no seat leaves fetching to others.
_REST_SECONDS = 0.01

# More than this many in line are waiting for seats that others hold, not just for their turn.
_HELD_UP = 1

# A regular that was not seen for so long, or has waited so long for a body, gives its place away.
_AWAY_SECONDS = 0.1
_BODY_SECONDS = 0.005

# For so long, ten times a second, nobody rests.
_LOOK_EVERY_SECONDS = 0.1
_LOOK_SECONDS = 0.005

_STANDING_SECONDS = 0.2
"""A line that has moved slowly for no longer than this was held up by a stall, of a disk say: that is no overload."""

# An orchestrator that is told that a busy service is dead restarts it, which helps nobody.
_NEVER_REFUSED = "/healthz"

_log = logging.getLogger("ccs.admission")

_refused = Counter(
    "ccs_requests_refused_total", "Requests refused because there was too much to do."
)

_ENVIRONMENT = {
    "SCRIPT_NAME": "",
    "wsgi.version": (1, 0),
    "wsgi.input_terminated": True,
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
    "wsgi.errors": sys.stderr,
}


class Reply(Protocol):
    """Granian's end of a request; it takes the answer from any thread."""

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Answers."""


class _ErrorAnswer:
    """An error's answer, ready to be sent."""

    def __init__(self, status: HTTPStatus, message: str, **headers: str) -> None:
        self._body, self._status = envelope(status, message)
        self._headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(self._body))),
            *API_HEADERS,
            *((name.replace("_", "-"), value) for name, value in headers.items()),
        ]

    def send(self, reply: Reply, environ: WSGIEnvironment) -> None:
        headers = [*self._headers, (REQUEST_ID, request_id_of(environ))]
        reply.response_bytes(self._status, headers, self._body)


_RETRY_AFTER = str(Unavailable(BUSY).retry_after)
_BUSY = _ErrorAnswer(HTTPStatus.SERVICE_UNAVAILABLE, BUSY, Retry_After=_RETRY_AFTER)
# Where a body has not been read, no other request can follow it.
_BUSY_UNREAD = _ErrorAnswer(
    HTTPStatus.SERVICE_UNAVAILABLE, BUSY, Retry_After=_RETRY_AFTER, Connection="close"
)
_FAILED = _ErrorAnswer(
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "The service failed on this request; tell its operator the X-Request-ID of this answer.",
)


class Admission:
    """What granian's threads call: serves the requests that they bring, a few at a time.

    Where more than `queue_length` wait, and for some time now everybody has waited longer than `queue_time` seconds,
    those who have are refused. Each alone would be wrong: a long line that moves fast is no overload, nor is a slow
    database with a few clients, nor a moment's stall (as in CoDel, RFC 8289: it is the standing queue that counts).
    """

    def __init__(self, app: WSGIApplication, *, queue_length: int, queue_time: float) -> None:
        self._app = app
        self._length = queue_length
        self._time = queue_time
        # Deques are tokens and queues here because their pops and appends are atomic and cost 0.05 µs.
        self._seats = deque(range(SEATS))
        self._readers = deque(range(READERS))
        self._line: deque[tuple[float, Reply, WSGIEnvironment]] = deque()
        self._slow_since = inf
        self._regulars: dict[int, float] = {}
        self._door = Lock()

    def __call__(self, reply: Reply, environ: WSGIEnvironment) -> None:
        """Takes a request; it may be answered by another thread, later."""
        has_body = environ.get("CONTENT_LENGTH", "0") != "0" or "HTTP_TRANSFER_ENCODING" in environ
        if has_body:
            try:
                reader = self._readers.pop()
            except IndexError:
                _refuse(_BUSY_UNREAD, reply, environ)
                return
            self._expect_back_soon()
            try:
                _read_ahead(environ)
            finally:
                self._readers.append(reader)
        self._line.append((monotonic(), reply, environ))
        found_seat = self._sit()
        if not self._is_regular():
            with self._door:
                while not self._is_regular():
                    sleep(_REST_SECONDS)
        elif not found_seat and not has_body:
            self._rest()

    def _sit(self) -> bool:
        """Serves the line until nobody is left; False if others have all seats, and will."""
        # Looked at again after a seat was left: whoever came meanwhile and found none free has gone.
        while self._line:
            try:
                seat = self._seats.pop()
            except IndexError:
                return False
            try:
                self._serve()
            finally:
                self._seats.append(seat)
        return True

    def _is_regular(self) -> bool:
        """Whether this thread is one of the few that fetch requests; it becomes one if there is a place.

        A few threads that do all the work find it in their caches; were it dealt out to all threads, each request
        would cost half as much again, and wait for the interpreter's lock behind as many as there are.
        """
        thread, now = get_ident(), monotonic()
        if thread not in self._regulars and len(self._regulars) >= REGULARS:
            for other, seen in list(self._regulars.items()):
                # It waits for a body or for a request, or has ended.
                if now - seen > _AWAY_SECONDS:
                    self._regulars.pop(other, None)
            return False
        self._regulars[thread] = now
        return True

    def _expect_back_soon(self) -> None:
        """Lets another thread have this one's place if the body that it is about to wait for is slow."""
        thread = get_ident()
        if thread in self._regulars:
            self._regulars[thread] = monotonic() - _AWAY_SECONDS + _BODY_SECONDS

    def _rest(self) -> None:
        """Keeps a regular that found no seat from fetching the next request at once.

        Those who sit fetch for themselves when the line has come to its end, and nothing is gained if another thread
        does it for them. But what waits in granian's queue is not seen to wait: so all of it is fetched when the line
        shows that they are held up, and for a moment now and then. Nor does it rest after it waited for a body: seats
        would stay empty meanwhile.
        """
        if len(self._line) <= _HELD_UP and monotonic() % _LOOK_EVERY_SECONDS > _LOOK_SECONDS:
            sleep(_REST_SECONDS)

    def _serve(self) -> None:
        line = self._line
        while True:
            try:
                came_at, reply, environ = line.popleft()
            except IndexError:
                return
            if self._is_too_late(came_at) and environ["PATH_INFO"] != _NEVER_REFUSED:
                _refuse(_BUSY, reply, environ)
            else:
                _answer(self._app, reply, environ)

    def _is_too_late(self, came_at: float) -> bool:
        now = monotonic()
        if now - came_at <= self._time:
            self._slow_since = inf
            return False
        self._slow_since = min(self._slow_since, now)
        return len(self._line) >= self._length and now - self._slow_since > _STANDING_SECONDS


def _refuse(answer: _ErrorAnswer, reply: Reply, environ: WSGIEnvironment) -> None:
    _refused.inc()
    answer.send(reply, environ)


def _read_ahead(environ: WSGIEnvironment) -> None:
    """Replaces the body by one that is all there, unless the application refuses it unread."""
    length = environ.get("CONTENT_LENGTH", "")
    if not (length.isdecimal() and int(length) > MAX_BODY_BYTES):
        # One byte more tells a body of no given length that is too large from one that is just not.
        environ["wsgi.input"] = BytesIO(environ["wsgi.input"].read(MAX_BODY_BYTES + 1))


def _answer(app: WSGIApplication, reply: Reply, environ: WSGIEnvironment) -> None:
    start = _Start()
    environ.update(_ENVIRONMENT)
    try:
        body = _whole(app(environ, start))
    except Exception:  # noqa: BLE001 - whatever it is, the client gets an answer
        # The application answers its own faults; this is one that it could not.
        _log.exception("The application failed on request %s.", request_id_of(environ))
        _FAILED.send(reply, environ)
    else:
        reply.response_bytes(start.status, start.headers, body)


class _Start:
    """WSGI's start_response."""

    status: int
    headers: list[tuple[str, str]]

    def __call__(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: Any = None,  # noqa: ANN401, ARG002 - nothing has been sent yet
    ) -> Callable[[bytes], object]:
        self.status = int(status[:3])
        self.headers = headers
        return _write


def _write(_data: bytes) -> object:
    raise NotImplementedError("The application returns its bodies.")


def _whole(chunks: Iterable[bytes]) -> bytes:
    try:
        return b"".join(chunks)
    finally:
        close = getattr(chunks, "close", None)
        if close:
            close()
