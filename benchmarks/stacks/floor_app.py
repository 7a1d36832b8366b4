"""The application of the floor: a bare WSGI callable that runs the service's SQL on the service's tables.

It has no credentials, no checks of names or bodies, no error handling and no logs. It only splits the path and executes
a prepared statement through libpq.
"""

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from msgspec import Raw
from msgspec.json import Decoder
from psycopg.pq import ExecStatus, PGconn
from psycopg.pq.abc import PGresult

from ccs_server.store.connection import Statement
from ccs_server.store.deleting import DELETE_ALL
from ccs_server.store.document import LOCK
from ccs_server.store.reading import READ_ALL, READ_ONE
from ccs_server.store.saving import SAVE, SAVE_ONE
from ccs_server.store.sessions import DELETE_TTL, LIST_IDS

_CONNECTION = os.environ["FLOOR_DATABASE"].encode()
_NO_LENGTH: list[tuple[str, str]] = []
_object = Decoder(dict[str, Raw])
_thread = threading.local()

StartResponse = Callable[[str, list[tuple[str, str]]], object]


class Connection:
    """A libpq connection with its prepared statements."""

    def __init__(self) -> None:
        self._pgconn = PGconn.connect(_CONNECTION)
        assert self._pgconn.status == 0, self._pgconn.error_message
        self._prepared: set[bytes] = set()

    def execute(self, statement: Statement, params: Sequence[bytes]) -> PGresult:
        if statement.name not in self._prepared:
            self._pgconn.prepare(statement.name, statement.sql)
            self._prepared.add(statement.name)
        result = self._pgconn.exec_prepared(statement.name, params)
        assert result.status != ExecStatus.FATAL_ERROR, result.error_message
        return result

    def simple(self, sql: bytes) -> None:
        self._pgconn.exec_(sql)


def application(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """Serves those paths of `/v1/account/{a}/…` that the benchmark uses."""
    connection = _connection()
    account, *path = environ["PATH_INFO"][len("/v1/account/") :].encode().split(b"/", 4)
    content: bytes | None
    match environ["REQUEST_METHOD"], path:
        case "GET", [namespace, b"session-ids"]:
            page = (account, namespace, b"", b"0", b"100", b"1000000")
            content = connection.execute(LIST_IDS, page).get_value(0, 0)
        case "GET", [namespace, session, b"properties"]:
            place = (account, namespace, session)
            content = connection.execute(READ_ALL, place).get_value(0, 0) or b"{}"
        case "GET", [namespace, session, b"properties", name]:
            one = (account, namespace, session, name)
            content = connection.execute(READ_ONE, one).get_value(0, 0)
        case "PATCH", [namespace, session, b"properties"]:
            body = environ["wsgi.input"].read()
            match [*_object.decode(body).items()]:
                case [(name, value)]:
                    params = (account, namespace, session, name.encode(), bytes(value))
                    save(connection, SAVE_ONE, params)
                case _:
                    save(connection, SAVE, (account, namespace, session, body))
            content = None
        case "PUT", [namespace, session, b"properties", name]:
            value = environ["wsgi.input"].read()
            save(connection, SAVE_ONE, (account, namespace, session, name, value))
            content = None
        case "DELETE", [b"namespace", namespace, b"session", session]:
            delete_session(connection, (account, namespace, session))
            content = None
    if content is None:
        start_response("204 No Content", _NO_LENGTH)
        return []
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(content)))]
    start_response("200 OK", headers)
    return [content]


def save(connection: Connection, statement: Statement, params: Sequence[bytes]) -> None:
    result = connection.execute(statement, params)
    assert result.command_tuples, "not saved"


def delete_session(connection: Connection, place: tuple[bytes, bytes, bytes]) -> None:
    connection.simple(b"BEGIN")
    connection.execute(LOCK, place)
    connection.execute(DELETE_ALL, place)
    connection.execute(DELETE_TTL, place)
    connection.simple(b"COMMIT")


def _connection() -> Connection:
    try:
        connection: Connection = _thread.connection
    except AttributeError:
        connection = _thread.connection = Connection()
    return connection
