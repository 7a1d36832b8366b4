"""A WSGI application with the cache recipe of the guide. Its client is created and used at import.

Its processes handle requests in step: each waits until all of them have one.
"""

import json
import multiprocessing
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tests.sdk.test_docs import ROOT, examples

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

PROCESSES = 4
PAGE = ROOT / "docs" / "sdk" / "cache-an-api-result.md"

recipe: dict[str, Any] = {}
exec(next(examples(PAGE)).code, recipe)  # noqa: S102 - code from the guide

together = multiprocessing.get_context("fork").Barrier(PROCESSES, timeout=30)


def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """Returns the status of the flight in the path."""
    together.wait()
    status = recipe["flight_status"](environ["PATH_INFO"].removeprefix("/"))
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(status).encode()]
