"""What responses say to browsers: to guess, keep and run nothing, and which pages may read them."""

from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from ccs_server.domain.quotas import RateStanding
from ccs_server.http.request_id import REQUEST_ID, request_id_of

if TYPE_CHECKING:
    from _typeshed import OptExcInfo

Headers = list[tuple[str, str]]

_ALWAYS: Headers = [("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer")]

API_HEADERS: Headers = [
    *_ALWAYS,
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
]
"""Of responses that are data."""


def data_headers(environ: WSGIEnvironment) -> Headers:
    """The headers of a response that is data, the request's id among them."""
    return [*API_HEADERS, (REQUEST_ID, request_id_of(environ))]


def rate_headers(standing: RateStanding) -> Headers:
    """The headers that tell a client its rate limit (draft-ietf-httpapi-ratelimit-headers)."""
    return [
        ("RateLimit-Policy", f'"account";q={standing.limit};w={standing.window}'),
        ("RateLimit", f'"account";r={standing.remaining};t={standing.reset}'),
    ]


def _page_headers(styles: str) -> Headers:
    policy = (
        f"default-src 'none'; script-src 'self'; style-src {styles}; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return [*_ALWAYS, ("Content-Security-Policy", policy)]


STRICT_PAGE_HEADERS = _page_headers("'self'")
"""Of pages for people: they may be kept, and run our scripts."""

# Swagger UI writes style attributes.
PAGE_HEADERS = _page_headers("'self' 'unsafe-inline'")
"""The same of pages whose elements have styles of their own."""


_REQUEST_HEADERS = (
    "Authorization",
    "Content-Type",
    "maven-api-key",
    "X-Request-ID",
    "If-Match",
    "If-None-Match",
    "Ccs-TTL",
    "Ccs-Fence",
    "Ccs-Consistency",
    "Idempotency-Key",
    "Last-Event-ID",
)
_PREFLIGHT: Headers = [
    ("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE"),
    ("Access-Control-Allow-Headers", ", ".join(_REQUEST_HEADERS)),
    ("Access-Control-Max-Age", "7200"),
]
_EXPOSED = (
    "Access-Control-Expose-Headers",
    (
        "X-Request-ID, Retry-After, ETag, Location, RateLimit, RateLimit-Policy, Idempotency-Replayed, "
        "Ccs-Source, Ccs-Position"
    ),
)
_ANY = "*"


class CrossOrigin:
    """An application that pages of other origins may call (CORS); without it, browsers let only its own pages.

    Credentials of v1 and v2 are headers that a page's script must set itself. There are no cookies, so responses
    never allow credentials in the sense of CORS, and `*` grants nothing that is not possible without a browser.
    """

    def __init__(self, app: WSGIApplication, origins: Collection[str]) -> None:
        self._app = app
        self._origins = frozenset(origins)
        self._any = _ANY in self._origins

    def __call__(  # noqa: D102 - a WSGI application
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        origin = environ.get("HTTP_ORIGIN")
        allowed: Headers = [] if self._any else [("Vary", "Origin")]
        if origin and (self._any or origin in self._origins):
            allowed += [("Access-Control-Allow-Origin", _ANY if self._any else origin), _EXPOSED]
        # A preflight carries no credential: it is responded to before one is required.
        if (
            environ["REQUEST_METHOD"] == "OPTIONS"
            and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ
        ):
            start_response("204 No Content", [*allowed, *_PREFLIGHT, *data_headers(environ)])
            return []

        def start(
            status: str, headers: Headers, exc_info: "OptExcInfo | None" = None
        ) -> Callable[[bytes], object]:
            return start_response(status, [*headers, *allowed], exc_info)

        return self._app(environ, start)
