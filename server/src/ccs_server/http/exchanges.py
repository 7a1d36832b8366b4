"""Batches of requests and their responses, for the metrics and the access log.

Counted and logged one by one, they would cost a request as much as the database does.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import Lock, Thread, main_thread
from time import perf_counter, time
from typing import TYPE_CHECKING
from weakref import ref
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from msgspec import Struct

from ccs_server.http import log
from ccs_server.http.headers import API_HEADERS, Headers
from ccs_server.http.request_id import REQUEST_ID, request_id_of
from ccs_server.http.routing import RULE
from ccs_server.http.tracing import TRACE, Trace

if TYPE_CHECKING:
    from _typeshed import OptExcInfo

_BATCH = 128
"""Half a millisecond's work."""

_LATEST_SECONDS = 0.08

# No registered method is longer; what a client sends is not.
_METHOD_LENGTH = 32


ACCOUNT = "ccs.account"
"""The key of the environment under which the application puts for whom it handles the request, once it knows."""


# It is made in a third of the time of a named tuple, and its fields are read in two thirds.
class Exchange(Struct, frozen=True, gc=False):
    """A request and its response."""

    request_id: str
    method: str
    """As the client sent it, cut to 32 characters."""
    path: str
    """As WSGI has it: its bytes, decoded as Latin-1."""
    rule: str
    """The rule of the route that matched, or nothing."""
    status: int
    ended: float
    """In seconds since the epoch."""
    duration: float
    """In seconds."""
    trace: Trace | None = None
    """None if the request is not traced."""
    account: str = ""
    """For whom it was; empty if that did not become known."""


Consumer = Callable[[Sequence[Exchange]], None]

# A name, since the annotations of a function within another are evaluated each time: at each request.
_Write = Callable[[bytes], object]


class _Batch:
    """The exchanges that wait, and what they are handed to."""

    def __init__(self, consumers: Sequence[Consumer], at_end: Callable[[], None]) -> None:
        self.waiting: deque[Exchange] = deque()
        self.lock = Lock()
        self.at_end = at_end
        self._consumers = consumers

    def flush(self) -> None:
        """Hands over the exchanges that wait."""
        with self.lock:
            batch = [self.waiting.popleft() for _ in range(len(self.waiting))]
            if batch:
                for consume in self._consumers:
                    consume(batch)


class Exchanges:
    """Hands exchanges to `consumers` in batches.

    An exchange waits a tenth of a second at most. The last ones are handed over before the process ends, or when this
    object is no longer used; then `at_end` is called.
    """

    def __init__(self, *consumers: Consumer, at_end: Callable[[], None] = lambda: None) -> None:
        self._batch = _Batch(consumers, at_end)
        self._flusher: Thread | None = None

    def add(self, exchange: Exchange) -> None:
        """Adds an exchange that has just come to its end."""
        batch = self._batch
        batch.waiting.append(exchange)
        if len(batch.waiting) >= _BATCH:
            batch.flush()
        if self._flusher is None:
            self._start_flusher()

    def _start_flusher(self) -> None:
        # Not before the first request: there may have been a fork since the app was made.
        with self._batch.lock:
            if self._flusher is None:
                # The worker's application may be gone before the thread has handed over the last exchanges.
                arguments = ref(self), self._batch
                # A thread that is started by one of the HTTP server's would otherwise be a daemon, as those are.
                self._flusher = Thread(
                    target=_keep_flushing, args=arguments, name="exchanges", daemon=False
                )
                self._flusher.start()


class Recorded:
    """Records the exchanges of an application, and adds the request's id and the headers of `headers` to responses.

    Args:
        app: the application.
        exchanges: takes the records.
        pages: the headers of pages for people, by the beginning of their paths.
    """

    def __init__(
        self, app: WSGIApplication, exchanges: Exchanges, *, pages: Mapping[str, Headers]
    ) -> None:
        self._app = app
        self._exchanges = exchanges
        self._pages = pages
        self._beginnings = tuple(pages)

    def __call__(  # noqa: D102 - a WSGI application
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        began = perf_counter()
        code = 0
        path: str = environ["PATH_INFO"]
        request_id = request_id_of(environ)
        beginnings = self._beginnings

        # One wrapper does both: a second one would cost a request five percent of its time.
        def start(status: str, headers: Headers, exc_info: "OptExcInfo | None" = None) -> _Write:
            nonlocal code
            code = int(status[:3])
            headers += self._headers_of_page(path) if path.startswith(beginnings) else API_HEADERS
            headers.append((REQUEST_ID, request_id))
            return start_response(status, headers, exc_info)

        body = self._app(environ, start)
        method = environ["REQUEST_METHOD"][:_METHOD_LENGTH]
        took = perf_counter() - began
        self._exchanges.add(
            Exchange(
                request_id,
                method,
                path,
                environ.get(RULE, ""),
                code,
                time(),
                took,
                environ.get(TRACE),
                environ.get(ACCOUNT, ""),
            )
        )
        return body

    def _headers_of_page(self, path: str) -> Headers:
        return next(
            headers for beginning, headers in self._pages.items() if path.startswith(beginning)
        )


def _keep_flushing(exchanges: ref[Exchanges], batch: _Batch) -> None:
    """Flushes until the exchanges are gone, or the process ends: it waits for this thread, which flushes once more."""
    is_last = False
    while not is_last:
        main_thread().join(_LATEST_SECONDS)
        is_last = not main_thread().is_alive() or exchanges() is None
        batch.flush()
    batch.at_end()
    log.flush()
