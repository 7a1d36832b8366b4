"""The login of v2, and the token that it returns."""

import time
from typing import Any

import jwt
import pytest
import requests

from tests.api.answers import assert_error
from tests.support.service import Account, Server

METHODS = ("GET", "POST")


def login(server: Server, method: str, **arguments: Any) -> requests.Response:
    return requests.request(method, f"{server.url}/v2/authenticate/login", timeout=10, **arguments)


def token(server: Server, account: Account) -> str:
    answer = login(server, "POST", auth=(account.username, account.password)).json()
    text: str = answer["token"]
    return text


@pytest.mark.parametrize("method", METHODS)
def test_a_login_returns_a_bearer_token(server: Server, account: Account, method: str) -> None:
    response = login(server, method, auth=(account.username, account.password))
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("application/json")
    answer = response.json()
    assert answer.keys() == {"token", "access_token", "token_type", "expires_in"}
    assert answer["token"] == answer["access_token"]
    assert answer["token_type"] == "Bearer"
    assert answer["expires_in"] == 86400


@pytest.mark.parametrize("trailing", ["", "/"])
def test_a_login_accepts_a_trailing_slash(server: Server, account: Account, trailing: str) -> None:
    response = requests.post(
        f"{server.url}/v2/authenticate/login{trailing}",
        auth=(account.username, account.password),
        allow_redirects=False,
        timeout=10,
    )
    assert response.status_code == 200


def test_the_token_is_verifiable_with_the_published_key(server: Server, account: Account) -> None:
    text = token(server, account)
    key = jwt.PyJWKClient(f"{server.url}/.well-known/jwks.json").get_signing_key_from_jwt(text)
    claims = jwt.decode(
        text,
        key,
        algorithms=["RS256", "EdDSA"],
        options={"require": ["sub", "iat", "exp", "tenantId"]},
    )
    assert claims["tenantId"] == account.id
    assert claims["sub"] == account.username
    assert claims["exp"] - claims["iat"] == 86400
    assert abs(claims["iat"] - time.time()) < 10


def test_only_the_public_key_is_published(server: Server) -> None:
    response = requests.get(f"{server.url}/.well-known/jwks.json", timeout=10)
    assert response.status_code == 200
    keys = response.json()["keys"]
    assert keys
    for key in keys:
        assert key["kid"]
        assert key["kty"] in {"RSA", "OKP"}
        assert not key.keys() & {"d", "p", "q", "dp", "dq", "qi", "k"}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "Basic",
        "Basic !!!",
        "Basic bm9jb2xvbg==",  # no colon
        "Basic /////w==",  # no UTF-8
        "Basic AAAAOgAA",  # U+0000
        "Bearer abc",
        "Digest username=x",
    ],
)
def test_a_login_without_valid_credentials_is_refused(
    server: Server, method: str, authorization: str | None
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    response = login(server, method, headers=headers)
    assert_error(response, 401)
    assert response.headers["WWW-Authenticate"].partition(" ")[0] == "Basic"


@pytest.mark.parametrize("method", METHODS)
def test_a_login_with_wrong_credentials_is_refused(
    server: Server, account: Account, other_account: Account, method: str
) -> None:
    for auth in [
        (account.username, "wrong"),
        (account.username, ""),
        (account.username, account.password.swapcase()),
        (account.username, other_account.password),
        (account.username, account.key),
        ("nobody", account.password),
        ("", account.password),
    ]:
        response = login(server, method, auth=auth)
        assert_error(response, 401)
        assert response.headers["WWW-Authenticate"].partition(" ")[0] == "Basic"


def test_a_failed_login_does_not_tell_which_part_was_wrong(
    server: Server, account: Account
) -> None:
    wrong_password = login(server, "POST", auth=(account.username, "wrong"))
    wrong_username = login(server, "POST", auth=("nobody", "wrong"))
    assert wrong_password.json()["message"] == wrong_username.json()["message"]


def test_a_login_needs_no_body_and_no_content_type(server: Server, account: Account) -> None:
    response = login(
        server,
        "POST",
        auth=(account.username, account.password),
        headers={"Content-Type": "text/plain"},
    )
    assert response.status_code == 200


def test_a_token_stays_valid_when_another_is_issued(server: Server, account: Account) -> None:
    first, second = token(server, account), token(server, account)
    for text in (first, second):
        response = requests.post(
            f"{server.url}/v2/context/document/properties",
            params={"access_token": text},
            json={"accountId": account.id, "nameSpace": "orders", "filter": []},
            timeout=10,
        )
        assert response.status_code == 200
