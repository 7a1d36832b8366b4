"""Measures the CPU time of the service's own Python code: `python -m benchmarks.hot_path`.

It uses one thread, no HTTP server, and a fake database that returns a constant result at once. So only the
application is measured. Each figure is the minimum of many repetitions, in microseconds: the time without disturbance.
"""

import os
import tempfile
from collections.abc import Callable, Iterable
from io import BytesIO
from time import thread_time
from typing import Any

os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp()  # as in a worker, and read at import

from benchmarks.operations import DOCUMENT, compact
from ccs_server.app import create_app
from ccs_server.domain.credentials import hash_secret, new_id, new_key
from ccs_server.http.application import Application
from ccs_server.http.routing import read_path
from ccs_server.settings import Settings
from ccs_server.store.connection import Statement

ROUNDS = 60
REQUESTS = 200

VALUES = b'{ "p0" : "a value of some length", "p1" : "a value of some length", "p2" : 3 }'
PATH = "/v1/account/demo/airline/conv-1/properties"


class Result:
    """The result of a statement."""

    ntuples = command_tuples = 1

    def __init__(self, value: bytes) -> None:
        self._value = value

    def get_value(self, _row: int, _column: int) -> bytes | None:
        return self._value


class KeyResult(Result):
    """The result of looking up a key: its account and hash, no quota, and the rights of all data for ever."""

    def get_value(self, _row: int, column: int) -> bytes | None:
        row = (b"demo", b"key:demo", self._value, b"t", None, b"write", None, b"0", None)
        return row[column]


def least(step: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        began = thread_time()
        for _ in range(REQUESTS):
            step()
        best = min(best, thread_time() - began)
    return best / REQUESTS * 1e6


def application(*, access_log: bool) -> Callable[[str, str, bytes], Iterable[bytes]]:
    """Returns a function that calls the application as a WSGI server does."""
    app = create_app(Settings(database_url="postgresql://nowhere", access_log=access_log))
    key_id = new_id()
    key = new_key(key_id)
    key_result = KeyResult(rb"\x" + hash_secret(key).hex().encode())

    def execute(statement: Statement, *_params: bytes | None) -> Result:
        return key_result if statement.name == b"api_key_find" else Result(VALUES)

    app.extensions["ccs"].database.execute = execute
    common: dict[str, Any] = {
        "SERVER_NAME": "localhost", "SERVER_PORT": "8000", "SERVER_PROTOCOL": "HTTP/1.1",
        "SCRIPT_NAME": "", "QUERY_STRING": "", "HTTP_HOST": "localhost:8000",
        "HTTP_MAVEN_API_KEY": key, "wsgi.url_scheme": "http", "wsgi.input_terminated": True,
    }  # fmt: skip

    def call(method: str, path: str, body: bytes) -> Iterable[bytes]:
        environ = {
            **common, "REQUEST_METHOD": method, "PATH_INFO": path, "wsgi.input": BytesIO(body),
            "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body)),
        }  # fmt: skip
        statuses: list[str] = []
        response = app(environ, lambda status, *_: statuses.append(status))  # type: ignore[arg-type]
        assert statuses[0][0] == "2", statuses
        return response

    return call


def main() -> None:
    quiet, logging = application(access_log=False), application(access_log=True)
    one = b'{"p0":"another value"}'
    ten = b"{%b}" % b",".join(b'"p%d":"another value"' % number for number in range(10))
    nested = b'{"p0":{"a":[1,2,{"b":1.10}]}}'
    conversation = compact(DOCUMENT).encode()
    app = create_app(Settings(database_url="postgresql://nowhere"))
    assert isinstance(app, Application)
    routes = app.route_table()
    path = {"PATH_INFO": PATH, "QUERY_STRING": ""}
    for name, step in {
        "GET of all": lambda: quiet("GET", PATH, b""),
        "GET of all, with a log line": lambda: logging("GET", PATH, b""),
        "GET of one": lambda: quiet("GET", f"{PATH}/p0", b""),
        "PATCH of 1": lambda: quiet("PATCH", PATH, one),
        "PATCH of 10": lambda: quiet("PATCH", PATH, ten),
        "PATCH of 1 that is nested": lambda: quiet("PATCH", PATH, nested),
        "PATCH of 10, two of them nested": lambda: quiet("PATCH", PATH, conversation),
        "finding the view": lambda: routes.find("GET", read_path(path, 16_384, {})),
    }.items():
        print(f"{name}: {least(step):.1f} µs")


if __name__ == "__main__":
    main()
