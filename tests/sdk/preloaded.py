"""A WSGI application that serves the guide's recipe of a cache, whose client is made and used when it is imported.

Its processes answer requests in step: each waits until all of them have one.
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
exec(next(examples(PAGE)).code, recipe)  # noqa: S102 - the reader's module

together = multiprocessing.get_context("fork").Barrier(PROCESSES, timeout=30)


def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """The status of the flight that the path names."""
    together.wait()
    status = recipe["flight_status"](environ["PATH_INFO"].removeprefix("/"))
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(status).encode()]
