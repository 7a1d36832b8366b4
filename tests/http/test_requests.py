"""Lazy requests: the same as Flask's, whatever is looked at first."""

import copy
from typing import Any

import pytest
from flask import Request
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder

from ccs_server.http.requests import LazyRequest

HEADERS: list[tuple[str, str]] = [("X-Own", "1"), ("Accept", "text/plain")]


def environ() -> dict[str, Any]:
    return EnvironBuilder(
        "/caf%C3%A9", "https://ccs.example:8443/base", query_string="a=1&a=2", method="PATCH",
        headers=Headers(HEADERS), json={"b": 1.5}, environ_base={"REMOTE_ADDR": "192.0.2.1"},
    ).get_environ()  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        "args", "accept_mimetypes", "content_length", "data", "endpoint", "full_path", "host", "is_json",
        "json", "method", "mimetype", "path", "query_string", "remote_addr", "root_path", "scheme", "server",
        "shallow", "url", "url_rule", "view_args",
    ],
)  # fmt: skip
def test_each_attribute_is_as_in_flask(name: str) -> None:
    mine, flasks = LazyRequest(environ()), Request(environ())
    value = getattr(mine, name)
    assert value == getattr(flasks, name)
    assert type(value) is type(getattr(flasks, name))


def test_headers_are_as_in_flask() -> None:
    assert list(LazyRequest(environ()).headers) == list(Request(environ()).headers)


def test_what_was_set_before_stays() -> None:
    request = LazyRequest(environ())
    request.view_args = {"x": "1"}
    assert request.method == "PATCH"
    assert request.view_args == {"x": "1"}


def test_the_environment_is_at_hand_without_more() -> None:
    request = LazyRequest(environ())
    assert request.environ["REQUEST_METHOD"] == "PATCH"
    assert "headers" not in vars(request)


def test_a_shallow_request_has_no_body() -> None:
    with pytest.raises(RuntimeError, match="shallow"):
        LazyRequest(environ(), shallow=True).stream  # noqa: B018


def test_what_no_request_has_they_lack_too() -> None:
    with pytest.raises(AttributeError):
        LazyRequest(environ()).no_such_thing  # noqa: B018


def test_they_can_be_copied() -> None:
    assert copy.copy(LazyRequest(environ())).path == "/café"
