"""Complete responses: the same as werkzeug's, whether anything looks at them or not."""

import copy
import pickle

import pytest
from flask import Response
from werkzeug.test import run_wsgi_app

from ccs_server.http.responses import (
    CompleteResponse,
    json_response,
    no_content,
    text_response,
)

ENVIRON = {"REQUEST_METHOD": "GET", "SERVER_NAME": "ccs", "SERVER_PORT": "80", "wsgi.url_scheme": "http"}  # fmt: skip


def sent(response: Response, method: str = "GET") -> tuple[bytes, str, list[tuple[str, str]]]:
    body, status, headers = run_wsgi_app(response, ENVIRON | {"REQUEST_METHOD": method})
    return b"".join(body), status.upper(), sorted(headers.items())


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("made", "same"),
    [
        (lambda: json_response(b'{"a":1}'), lambda: Response(b'{"a":1}', 200, content_type="application/json")),
        (lambda: json_response(b"{}", 201), lambda: Response(b"{}", 201, content_type="application/json")),
        (lambda: text_response('"ä"'.encode()), lambda: Response("ä", 200, mimetype="text/plain")),
    ],
)  # fmt: skip
def test_they_are_sent_as_werkzeug_sends_them(made: object, same: object, method: str) -> None:
    assert callable(made)
    assert callable(same)
    assert sent(made(), method) == sent(same(), method)
    looked_at = made()
    assert looked_at.status_code == same().status_code
    assert sent(looked_at, method) == sent(same(), method)


def test_no_content_has_no_headers_of_a_body() -> None:
    assert sent(no_content()) == (b"", "204 NO CONTENT", [])
    looked_at = no_content()
    assert looked_at.get_data() == b""
    assert sent(looked_at) == (b"", "204 NO CONTENT", [])


def test_they_can_be_changed_like_others() -> None:
    response = json_response(b"{}")
    response.headers["X-Own"] = "1"
    response.set_data(b"[1]")
    body, _, headers = sent(response)
    assert body == b"[1]"
    assert dict(headers) == {"Content-Type": "application/json", "Content-Length": "3", "X-Own": "1"}  # fmt: skip


def test_what_no_response_has_they_lack_too() -> None:
    with pytest.raises(AttributeError):
        json_response(b"{}").no_such_thing  # noqa: B018
    assert not hasattr(CompleteResponse(b"", 200, None), "no_such_thing")


def test_they_can_be_copied() -> None:
    assert sent(copy.copy(json_response(b"{}"))) == sent(json_response(b"{}"))
    assert sent(pickle.loads(pickle.dumps(json_response(b"{}")))) == sent(json_response(b"{}"))  # noqa: S301
