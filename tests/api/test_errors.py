"""Section 5: every error has the same envelope, whatever its source."""

import json
from contextlib import closing
from http.client import HTTPResponse
from socket import MSG_PEEK, create_connection
from urllib.parse import urlsplit

import pytest
import requests

from tests.api.answers import assert_error
from tests.api.everyway import JSON
from tests.api.rows import V1_ROWS_WITH_BODY, V2_ROWS_WITH_BODY, v1_rows, v2_rows
from tests.support.raw_http import send
from tests.support.service import Account, Server
from tests.support.waiting import wait_until

V1_METHODS = {
    "": {"POST", "GET"},
    "/orders": {"DELETE"},
    "/orders/properties": {"PATCH", "GET", "DELETE"},
    "/orders/properties/a": {"PUT", "GET", "DELETE"},
    "/orders/s1/properties": {"PATCH", "GET", "DELETE"},
    "/orders/s1/properties/a": {"PUT", "GET", "DELETE"},
    "/orders/session-ids": {"GET"},
    "/orders/session-properties": {"GET"},
    "/namespace/orders/session": {"POST", "GET"},
    "/namespace/orders/session/s1": {"DELETE"},
}
V2_METHODS = {
    "/authenticate/login": {"POST", "GET"},
    "/context/document/create": {"POST", "PATCH"},
    "/context/document/any/orders": {"GET"},
    "/context/document/any/orders/s1": {"GET"},
    "/context/document/properties": {"POST"},
    "/context/document/property/delete": {"DELETE", "GET"},  # GET: account `property`
    "/context/document/delete": {"DELETE"},
}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
# What HTTP itself answers, and no row does.
AUTOMATIC = {"HEAD", "OPTIONS"}


@pytest.mark.parametrize(
    "path",
    [
        "/nowhere",
        "/v1",
        "/v1/",
        "/v1/account",
        "/v1/account/a/b/c/d",
        "/v1/accounts/a",
        "/v2",
        "/v2/context",
        "/v2/context/document",
        "/v2/context/document/a/b/c/d",
        "/v3/account/a",
        "/index.html",
        "/%00",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_an_unknown_path_is_404(server: Server, method: str, path: str) -> None:
    url = server.url + path
    assert_error(requests.request(method, url, timeout=10, allow_redirects=False), 404)


@pytest.mark.parametrize("path", ["/docs/../../etc/passwd", "/docs/%2e%2e/%2e%2e/etc/passwd"])
def test_no_path_leads_out_of_the_docs(server: Server, path: str) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: ccs\r\nConnection: close\r\n\r\n"
    answer = send(server.url, request.encode())
    assert answer.status == 404
    assert json.loads(answer.body)["code"] == 404


@pytest.mark.parametrize("path", ["/orders/s1/nothing", "/orders/s1", "/namespace/orders/sessions"])
def test_an_unknown_path_below_an_account_is_404(account: Account, path: str) -> None:
    assert_error(account.v1("GET", path), 404)


@pytest.mark.parametrize(
    ("path", "method"),
    [
        (path, method)
        for path, there in V1_METHODS.items()
        for method in METHODS
        if method not in there
    ],
)
def test_an_unsupported_method_is_405_with_allow(account: Account, path: str, method: str) -> None:
    response = account.v1(method, path, json={"a": 1})
    assert_error(response, 405)
    allowed = {name.strip() for name in response.headers["Allow"].split(",")}
    assert allowed - AUTOMATIC == V1_METHODS[path]


@pytest.mark.parametrize(
    ("path", "method"),
    [
        (path, method)
        for path, there in V2_METHODS.items()
        for method in METHODS
        if method not in there
    ],
)
def test_an_unsupported_method_is_405_with_allow_in_v2(
    account: Account, path: str, method: str
) -> None:
    response = account.v2(method, path, json={"a": 1})
    assert_error(response, 405)
    allowed = {name.strip() for name in response.headers["Allow"].split(",")}
    assert allowed - AUTOMATIC == V2_METHODS[path]


@pytest.mark.parametrize("method", ["TRACE", "PROPFIND", "BREW"])
def test_a_method_of_another_protocol_is_405(account: Account, method: str) -> None:
    response = account.v1(method, "/orders/properties")
    assert_error(response, 405)
    assert "GET" in response.headers["Allow"]


@pytest.mark.parametrize("row", V1_ROWS_WITH_BODY)
@pytest.mark.parametrize("text", ["", "{", '{"a": }', "nonsense", '{"a": 1}}'])
def test_malformed_json_is_400_in_v1(account: Account, row: str, text: str) -> None:
    call = v1_rows()[row]
    assert_error(account.v1(call.method, call.path, data=text, headers=JSON), 400)


@pytest.mark.parametrize("row", V2_ROWS_WITH_BODY)
@pytest.mark.parametrize("text", ["", "{", '{"a": }', "nonsense", '{"a": 1}}', "[]", "1"])
def test_malformed_json_is_400_in_v2(account: Account, row: str, text: str) -> None:
    call = v2_rows(account.id)[row]
    assert_error(account.v2(call.method, call.path, data=text, headers=JSON), 400)


def test_a_message_says_what_to_change(account: Account) -> None:
    """The message is one sentence that names what is wrong with this request."""
    for response, about in [
        (account.v1("PUT", "/sde/properties/a", json=1), "reserved"),
        (account.v1("GET", "/orders/session-ids?perPage=0"), "perPage"),
        (account.v1("POST", "?ttlSecond=x", json={"name": "orders"}), "ttlSecond"),
        (account.v1("PATCH", "/orders/properties", json=[]), "object"),
        (account.v1("PATCH", "/orders/properties", data=b"{}"), "application/json"),
    ]:
        message = response.json()["message"]
        assert about in message, message
        assert "\n" not in message


@pytest.mark.parametrize("query", ["page=%ff", "perPage=%00", "page=1&page=x", "%ff=%ff"])
def test_a_malformed_query_is_not_a_server_error(account: Account, query: str) -> None:
    response = account.v1("GET", f"/orders/session-ids?{query}")
    assert response.status_code in {200, 400}
    if response.status_code == 400:
        assert_error(response, 400)


def test_a_path_longer_than_any_name_is_refused(account: Account) -> None:
    assert_error(account.v1("GET", f"/orders/s1/properties/{'x' * 257}"), 400)
    assert_error(account.v1("GET", f"/orders/s1/properties/{'x' * 30_000}"), 414)


@pytest.mark.parametrize(
    "request_line",
    [
        "GET /v1/account/a HTTP/1.1\r\nHost: ccs\r\nmaven-api-key: \xff\r\n",
        "GET /v1/account/\xff HTTP/1.1\r\nHost: ccs\r\n",
        "GET /v2/context/document/a/b HTTP/1.1\r\nHost: ccs\r\nAuthorization: Bearer \xff\xfe\r\n",
        "GET /v2/authenticate/login HTTP/1.1\r\nHost: ccs\r\nAuthorization: Basic \xff\r\n",
        "GET /v1/account/a HTTP/1.1\r\nHost: ccs\r\nX-Request-ID: \xff\r\n",
        "GET /v1/account/a HTTP/1.1\r\nHost: ccs\r\nContent-Length: 0\r\nAccept: \xff\r\n",
    ],
)
def test_bytes_that_are_not_text_are_not_a_server_error(server: Server, request_line: str) -> None:
    answer = send(server.url, request_line.encode("latin-1") + b"Connection: close\r\n\r\n")
    assert 400 <= answer.status < 500


@pytest.mark.parametrize(("key", "status"), [("wrong", 403), ("right", 413)])
def test_a_body_that_is_refused_unread_can_be_sent_to_its_end(
    server: Server, account: Account, key: str, status: int
) -> None:
    """A client or a proxy that sends before it reads would lose a response that came with a reset."""
    key = account.key if key == "right" else key
    head = (
        f"PATCH /v1/account/{account.id}/orders/s1/properties HTTP/1.1\r\nHost: ccs\r\n"
        f"maven-api-key: {key}\r\n"
        "Content-Type: application/json\r\nContent-Length: 3145728\r\n\r\n"
    ).encode()

    def is_received() -> bool:
        address = urlsplit(server.url)
        with create_connection((address.hostname, address.port), timeout=10) as connection:
            connection.sendall(head)
            connection.recv(1, MSG_PEEK)
            try:
                for _ in range(48):
                    connection.sendall(b"x" * 65536)
            except ConnectionError:
                return False
            with closing(HTTPResponse(connection)) as response:
                response.begin()
                assert response.status == status
                assert response.getheader("connection") == "close"
                assert json.loads(response.read())["code"] == status
            assert connection.recv(1) == b"", "it is closed once the body has come"
            return True

    # Other tests may just have sent as many such bodies as a worker receives at once.
    wait_until(is_received)
