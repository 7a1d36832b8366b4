"""Errors outside of Flask: their responses are those that the application gives to the same errors.

tests/api/test_errors.py is about the errors that clients meet.
"""

from http import HTTPStatus

import pytest
from flask import Flask
from werkzeug.test import Client, EnvironBuilder

from ccs_server.domain.errors import BUSY, Unavailable
from ccs_server.http.errors import FAILED, plain_response, register_error_handlers
from ccs_server.http.exchanges import Exchanges, Recorded

ID = {"X-Request-ID": "mine"}


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (Unavailable(BUSY), HTTPStatus.SERVICE_UNAVAILABLE, BUSY),
        (ZeroDivisionError(), HTTPStatus.INTERNAL_SERVER_ERROR, FAILED),
    ],
)
def test_an_error_outside_of_flask_looks_like_one_within(
    error: Exception, status: HTTPStatus, message: str
) -> None:
    app = Flask(__name__)
    register_error_handlers(app)

    @app.get("/")
    def fail() -> str:
        raise error

    within = Client(Recorded(app.wsgi_app, Exchanges(), pages={})).get("/", headers=ID)
    environ = EnvironBuilder(headers=[*ID.items()]).get_environ()
    code, headers, body = plain_response(environ, status, message)
    assert (code, body) == (within.status_code, within.data)
    assert sorted(headers) == sorted(within.headers.to_wsgi_list())


def test_without_an_id_of_the_client_the_response_carries_one_that_was_made() -> None:
    environ = EnvironBuilder().get_environ()
    _, headers, _ = plain_response(environ, HTTPStatus.REQUEST_TIMEOUT, "Send it again.")
    assert dict(headers)["X-Request-ID"]
    assert "Retry-After" not in dict(headers)
