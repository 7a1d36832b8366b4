"""The head of a request: what becomes its environment, and what is refused."""

from typing import Any
from wsgiref.types import WSGIEnvironment

import pytest

from ccs_server.serving.exchange import Refusal, environ_of

LIMIT = 65_536


def scope(*headers: tuple[bytes, bytes], **others: object) -> dict[str, Any]:
    return {
        "http_version": "1.1",
        "server": ("127.0.0.1", "8000"),
        "client": ("127.0.0.1", "40000"),
        "scheme": "http",
        "method": "GET",
        "raw_path": b"/a",
        "query_string": b"",
        "headers": list(headers),
        **others,
    }


def variables(*headers: tuple[bytes, bytes], **others: object) -> WSGIEnvironment:
    return environ_of(scope(*headers, **others), LIMIT)[0]


def refusal_of(
    *headers: tuple[bytes, bytes], limit: int = LIMIT, **others: object
) -> Refusal | None:
    return environ_of(scope(*headers, **others), limit)[1]


HOST = (b"host", b"ccs")


def test_a_name_with_an_underscore_is_not_the_one_with_a_hyphen() -> None:
    environ = variables(HOST, (b"maven_api_key", b"stolen"), (b"x_request_id", b"made-up"))
    assert "HTTP_MAVEN_API_KEY" not in environ
    assert "HTTP_X_REQUEST_ID" not in environ
    assert variables((b"maven-api-key", b"k"))["HTTP_MAVEN_API_KEY"] == "k"


def test_bytes_of_paths_and_headers_are_kept_as_wsgi_has_them() -> None:
    environ = variables((b"x-a", b"\xc3\xa9"), raw_path=b"/%C3%A9%2F%FF")
    assert environ["HTTP_X_A"] == "Ã©"
    assert environ["PATH_INFO"] == "/Ã©/ÿ"


def test_a_repeated_header_is_one_with_commas() -> None:
    assert variables((b"accept", b"a"), (b"accept", b"b"))["HTTP_ACCEPT"] == "a,b"


def test_names_that_clients_make_up_are_not_kept() -> None:
    from ccs_server.serving import exchange  # noqa: PLC0415

    for number in range(2_000):
        variables((f"x-{number}".encode(), b"1"), (b"y" * 200, b"1"))
    assert len(exchange._VARIABLES) <= 256


@pytest.mark.parametrize(
    ("headers", "version", "status"),
    [
        ([HOST], "1.1", None),
        ([(b"host", b"")], "1.1", 400),
        ([HOST, HOST], "1.1", 400),
        ([(b"host", b"")], "1", None),
        ([HOST, (b"transfer-encoding", b"Chunked")], "1.1", None),
        ([HOST, (b"transfer-encoding", b"gzip, chunked")], "1.1", 400),
        ([HOST, (b"transfer-encoding", b"gzip"), (b"transfer-encoding", b"chunked")], "1.1", 400),
    ],
)
def test_what_http_leaves_open_is_refused(
    headers: list[tuple[bytes, bytes]], version: str, status: int | None
) -> None:
    refusal = refusal_of(*headers, http_version=version)
    assert (refusal and int(refusal.status)) == status


def test_the_limit_of_a_head_is_exact() -> None:
    """As sent: the request line and each header with their line ends, the empty line not."""
    head = b"GET /a?b HTTP/1.1\r\nhost: ccs\r\nx-a: " + b"x" * 100 + b"\r\n"
    headers = HOST, (b"x-a", b"x" * 100)
    assert refusal_of(*headers, limit=len(head), query_string=b"b") is None
    refusal = refusal_of(*headers, limit=len(head) - 1, query_string=b"b")
    assert refusal
    assert refusal.status == 431
