"""Rules for every request: trailing slash, alias, content type, request id and chunked bodies."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.api.answers import assert_empty, assert_error
from tests.api.rows import (
    V1_ROWS,
    V1_ROWS_WITH_BODY,
    V2_ROWS,
    V2_ROWS_WITH_BODY,
    Call,
    v1_rows,
    v2_rows,
)
from tests.support.service import Account, Server

FILLED = {"size": 1, "size/": 1}


def fill(account: Account) -> None:
    """Saves properties that every row finds, with and without a trailing slash, which is part of a property name."""
    account.v1("PATCH", "/orders/properties", json=FILLED)
    account.v1("PATCH", "/orders/s1/properties", json=FILLED)


def with_trailing_slash(call: Call) -> str:
    path, mark, query = call.path.partition("?")
    return f"{path}/{mark}{query}"


@pytest.mark.parametrize("row", V1_ROWS)
def test_v1_writes_answer_204_without_body_and_reads_200(account: Account, row: str) -> None:
    fill(account)
    call = v1_rows()[row]
    response = account.v1(call.method, call.path, **call.arguments)
    assert response.status_code == call.success
    if call.success == 204:
        assert_empty(response)


@pytest.mark.parametrize("row", V1_ROWS)
def test_v1_accepts_a_trailing_slash_without_a_redirect(account: Account, row: str) -> None:
    fill(account)
    call = v1_rows()[row]
    response = account.v1(call.method, with_trailing_slash(call), **call.arguments)
    assert response.status_code == call.success


@pytest.mark.parametrize("row", V2_ROWS)
def test_v2_accepts_a_trailing_slash_without_a_redirect(account: Account, row: str) -> None:
    fill(account)
    call = v2_rows(account.id)[row]
    response = account.v2(call.method, with_trailing_slash(call), **call.arguments)
    assert response.status_code in {200, 201}


@pytest.mark.parametrize("trailing_slash", [False, True])
@pytest.mark.parametrize("row", V1_ROWS)
def test_brand_is_an_alias_of_account(
    server: Server,
    account: Account,
    row: str,
    trailing_slash: bool,
) -> None:
    fill(account)
    call = v1_rows()[row]
    path = with_trailing_slash(call) if trailing_slash else call.path
    response = requests.request(
        call.method,
        f"{server.url}/v1/brand/{account.id}{path}",
        json=call.body,
        headers={"maven-api-key": account.key},
        allow_redirects=False,
        timeout=10,
    )
    assert response.status_code == call.success


def test_brand_and_account_are_the_same_place(server: Server, account: Account) -> None:
    response = requests.patch(
        f"{server.url}/v1/brand/{account.id}/orders/properties",
        json={"a": 1},
        headers={"maven-api-key": account.key},
        timeout=10,
    )
    assert_empty(response)
    assert account.v1("GET", "/orders/properties").json() == {"a": 1}


@pytest.mark.parametrize("path", ["//orders/properties", "/orders//properties", "/orders//"])
@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_slashes_are_never_merged_and_nothing_is_redirected(
    account: Account, method: str, path: str
) -> None:
    """Two slashes enclose an empty name, which is an error rather than another place.

    A client that has lost its session id sends this, and its DELETE must not delete the namespace's properties.
    """
    fill(account)
    body = {"json": {"size": 2}} if method == "PATCH" else {}
    response = account.v1(method, path, **body)
    assert response.status_code in {400, 404}
    assert_error(response, response.status_code)
    assert account.v1("GET", "/orders/properties").json() == FILLED


@pytest.mark.parametrize("row", V1_ROWS_WITH_BODY)
@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8"],
)
def test_v1_accepts_json(account: Account, row: str, content_type: str) -> None:
    call = v1_rows()[row]
    headers = {"Content-Type": content_type}
    response = account.v1(call.method, call.path, data=json.dumps(call.body), headers=headers)
    assert_empty(response)


@pytest.mark.parametrize("row", V1_ROWS_WITH_BODY)
@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "text/json", "json"]
)
def test_v1_refuses_a_body_of_another_type(account: Account, row: str, content_type: str) -> None:
    call = v1_rows()[row]
    headers = {"Content-Type": content_type}
    response = account.v1(call.method, call.path, data=json.dumps(call.body), headers=headers)
    assert_error(response, 415)


@pytest.mark.parametrize("row", V1_ROWS_WITH_BODY)
def test_v1_refuses_a_body_without_a_type(account: Account, row: str) -> None:
    call = v1_rows()[row]
    body = json.dumps(call.body).encode()  # requests gives bytes no type
    assert_error(account.v1(call.method, call.path, data=body), 415)


@pytest.mark.parametrize("row", V2_ROWS_WITH_BODY)
@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded"])
def test_v2_refuses_a_body_of_another_type(account: Account, row: str, content_type: str) -> None:
    call = v2_rows(account.id)[row]
    headers = {"Content-Type": content_type}
    response = account.v2(call.method, call.path, data=json.dumps(call.body), headers=headers)
    assert_error(response, 415)


@pytest.mark.parametrize("row", [row for row in V1_ROWS if row not in V1_ROWS_WITH_BODY])
@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "nonsense"])
def test_the_content_type_does_not_matter_without_a_body(
    account: Account, row: str, content_type: str
) -> None:
    fill(account)
    call = v1_rows()[row]
    response = account.v1(call.method, call.path, headers={"Content-Type": content_type})
    assert response.status_code == call.success


@pytest.mark.parametrize("path", ["", "/orders/properties", "/orders/properties/nothing"])
def test_a_request_id_is_echoed(account: Account, path: str) -> None:
    response = account.v1("GET", path, headers={"X-REQUEST-ID": "2f1c-only-mine"})
    assert response.headers["X-Request-ID"] == "2f1c-only-mine"


def test_a_request_id_is_generated_if_there_is_none(account: Account) -> None:
    # Concurrently, so that every worker generates some.
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda _: account.v1("GET", ""), range(200))
    ids = [answer.headers["X-Request-ID"] for answer in answers]
    assert all(ids)
    assert len(set(ids)) == len(ids)


def test_errors_carry_the_request_id_too(server: Server) -> None:
    for path in ("/v1/account/a", "/v2/context/document/a/b", "/nowhere"):
        url = f"{server.url}{path}"
        echoed = requests.get(url, headers={"X-Request-ID": "mine"}, timeout=10)
        assert echoed.headers["X-Request-ID"] == "mine"
        assert requests.get(url, timeout=10).headers["X-Request-ID"]


def test_a_bare_number_may_come_in_chunks(account: Account) -> None:
    headers = {"Content-Type": "application/json"}
    assert_empty(account.v1("PUT", "/ns/properties/n", data=iter([b"12", b"34"]), headers=headers))
    assert account.v1("GET", "/ns/properties/n").json() == 1234


def test_a_body_may_come_in_chunks(account: Account) -> None:
    chunks = iter([b'{"a":', b" 1}"])
    headers = {"Content-Type": "application/json"}
    assert_empty(account.v1("PATCH", "/orders/properties", data=chunks, headers=headers))
    assert account.v1("GET", "/orders/properties").json() == {"a": 1}


@pytest.mark.parametrize("size", [1000, 100_000, 1024 * 1024, 1024 * 1024 + 1, 3_000_000])
@pytest.mark.parametrize("status", [401, 403, 405, 413, 415])
def test_a_refused_body_does_not_affect_the_next_request(
    server: Server, account: Account, status: int, size: int
) -> None:
    """It is not parsed as a request, and the client sends no request on a connection that is being closed."""
    method = "POST" if status == 405 else "PATCH"
    key = {401: {}, 403: {"maven-api-key": "unknown"}}.get(status, {"maven-api-key": account.key})
    content_type = "text/plain" if status == 415 else "application/json"
    url = f"{server.url}/v1/account/{account.id}/orders/properties"
    with requests.Session() as session:
        for _ in range(5):
            headers = {"Content-Type": content_type} | key
            response = session.request(method, url, data=b"x" * size, headers=headers, timeout=10)
            if status == 413 and size <= 1024 * 1024:
                assert_error(response, 400)
            else:
                assert response.status_code in {status, 413}
                assert_error(response, response.status_code)
            read = session.get(url, headers={"maven-api-key": account.key}, timeout=10)
            assert read.json() == {}


@pytest.mark.parametrize(
    "path", ["/orders/properties", "/orders/properties/a", "/orders/s1/properties"]
)
def test_options_lists_the_methods_of_a_path_of_properties(account: Account, path: str) -> None:
    response = account.v1("OPTIONS", path)
    assert response.status_code == 200
    assert {"GET", "DELETE", "OPTIONS"} <= set(response.headers["Allow"].split(", "))
