"""Authentication and authorisation of every row: `maven-api-key` in v1, the token in v2."""

import base64
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from ccs_server.store.database import Database
from ccs_server.store.signing_keys import load_signing_keys
from tests.api.answers import assert_error
from tests.api.rows import V1_ROWS, V2_ROWS, v1_rows, v2_rows
from tests.support.service import Account, Server

KEY = "maven-api-key"


def v1(server: Server, account: Account, row: str, headers: dict[str, str]) -> requests.Response:
    call = v1_rows()[row]
    url = f"{server.url}/v1/account/{account.id}{call.path}"
    return requests.request(
        call.method, url, json=call.body, headers=headers, allow_redirects=False, timeout=10
    )


def v2(server: Server, account: Account, row: str, **arguments: Any) -> requests.Response:
    call = v2_rows(account.id)[row]
    url = f"{server.url}/v2{call.path}"
    return requests.request(
        call.method, url, json=call.body, allow_redirects=False, timeout=10, **arguments
    )


@pytest.mark.parametrize("row", V1_ROWS)
def test_v1_without_a_key_is_401(server: Server, account: Account, row: str) -> None:
    assert_error(v1(server, account, row, {}), 401)


@pytest.mark.parametrize("row", V1_ROWS)
def test_v1_with_an_unknown_key_is_403(server: Server, account: Account, row: str) -> None:
    assert_error(v1(server, account, row, {KEY: "ccs_" + "x" * 40}), 403)


@pytest.mark.parametrize("row", V1_ROWS)
def test_v1_with_the_key_of_another_account_is_403(
    server: Server, account: Account, other_account: Account, row: str
) -> None:
    account.v1("PATCH", "/orders/s1/properties", json={"size": "mine"})
    assert_error(v1(server, account, row, {KEY: other_account.key}), 403)
    assert account.v1("GET", "/orders/s1/properties").json() == {"size": "mine"}


@pytest.mark.parametrize(
    "alter",
    [
        str.lower,
        str.upper,
        lambda key: key[:-1],
        lambda key: key + "x",
        lambda key: f"{key},{key}",
        lambda key: f"Bearer {key}",
        lambda _: "x" * 4000,
        lambda _: "' OR 1=1 --",
    ],
)
def test_v1_with_a_key_that_is_almost_right_is_403(
    server: Server, account: Account, alter: Callable[[str], str]
) -> None:
    altered = alter(account.key)
    assert altered != account.key
    url = f"{server.url}/v1/account/{account.id}"
    assert_error(requests.get(url, headers={KEY: altered}, timeout=10), 403)


def test_v1_accepts_no_other_credentials(server: Server, account: Account) -> None:
    url = f"{server.url}/v1/account/{account.id}"
    bearer = {"Authorization": f"Bearer {account.token}"}
    assert_error(requests.get(url, headers=bearer, timeout=10), 401)
    assert_error(requests.get(url, params={KEY: account.key}, timeout=10), 401)
    assert_error(requests.get(url, headers={KEY: account.token}, timeout=10), 403)


def test_the_name_of_the_header_is_case_insensitive(server: Server, account: Account) -> None:
    url = f"{server.url}/v1/account/{account.id}"
    assert requests.get(url, headers={"MAVEN-API-Key": account.key}, timeout=10).ok


@pytest.mark.parametrize("row", V2_ROWS)
def test_v2_accepts_the_token_as_bearer(server: Server, account: Account, row: str) -> None:
    account.v1("PATCH", "/orders/properties", json={"size": 1})
    account.v1("PATCH", "/orders/s1/properties", json={"size": 1})
    bearer = {"Authorization": f"Bearer {account.token}"}
    assert v2(server, account, row, headers=bearer).ok


@pytest.mark.parametrize("row", V2_ROWS)
def test_v2_accepts_the_token_in_the_query(server: Server, account: Account, row: str) -> None:
    account.v1("PATCH", "/orders/properties", json={"size": 1})
    account.v1("PATCH", "/orders/s1/properties", json={"size": 1})
    assert v2(server, account, row, params={"access_token": account.token}).ok


@pytest.mark.parametrize("row", V2_ROWS)
def test_v2_without_a_token_is_401(server: Server, account: Account, row: str) -> None:
    assert_error(v2(server, account, row), 401)


@pytest.mark.parametrize("row", V2_ROWS)
def test_v2_with_the_token_of_another_account_is_403(
    server: Server, account: Account, other_account: Account, row: str
) -> None:
    account.v1("PATCH", "/orders/s1/properties", json={"size": "mine"})
    bearer = {"Authorization": f"Bearer {other_account.token}"}
    assert_error(v2(server, account, row, headers=bearer), 403)
    assert account.v1("GET", "/orders/s1/properties").json() == {"size": "mine"}


@pytest.mark.parametrize(
    "authorization",
    ["Bearer", "Bearer ", "Bearer abc", "Bearer a.b.c", "Bearer ...", "Basic YTpi", "Token abc"],
)
def test_v2_with_a_malformed_token_is_401(
    server: Server, account: Account, authorization: str
) -> None:
    headers = {"Authorization": authorization}
    assert_error(v2(server, account, "22 GET a/ns", headers=headers), 401)


@pytest.mark.parametrize("text", ["", "abc", "a.b.c", "ü", "\0"])
def test_v2_with_a_malformed_token_in_the_query_is_401(
    server: Server, account: Account, text: str
) -> None:
    assert_error(v2(server, account, "22 GET a/ns", params={"access_token": text}), 401)


def test_v2_accepts_no_key_and_no_password(server: Server, account: Account) -> None:
    row = "22 GET a/ns"
    assert_error(v2(server, account, row, headers={KEY: account.key}), 401)
    bearer = {"Authorization": f"Bearer {account.key}"}
    assert_error(v2(server, account, row, headers=bearer), 401)
    assert_error(v2(server, account, row, auth=(account.username, account.password)), 401)


def test_the_name_of_the_scheme_is_case_insensitive(server: Server, account: Account) -> None:
    account.v1("PATCH", "/orders/properties", json={"size": 1})
    for scheme in ("bearer", "BEARER"):
        headers = {"Authorization": f"{scheme} {account.token}"}
        assert v2(server, account, "22 GET a/ns", headers=headers).ok


def signed(database: Database, claims: dict[str, Any]) -> dict[str, str]:
    """Returns a header with a token that is signed with the service's own key."""
    key = load_signing_keys(database, token_lifetime=86400).newest
    text = jwt.encode(claims, key.private_key, "EdDSA", headers={"kid": key.key_id})
    return {"Authorization": f"Bearer {text}"}


def test_v2_with_an_expired_token_is_401(
    server: Server, account: Account, database: Database
) -> None:
    account.v1("PATCH", "/orders/properties", json={"size": 1})
    claims = jwt.decode(account.token, options={"verify_signature": False})
    now = int(time.time())
    alive = signed(database, claims | {"iat": now - 86390, "exp": now + 10})
    assert v2(server, account, "22 GET a/ns", headers=alive).status_code == 200
    expired = signed(database, claims | {"iat": now - 86401, "exp": now - 1})
    assert_error(v2(server, account, "22 GET a/ns", headers=expired), 401)


@pytest.mark.parametrize("claim", ["sub", "iat", "exp", "tenantId"])
def test_v2_with_a_token_that_lacks_a_claim_is_401(
    server: Server, account: Account, database: Database, claim: str
) -> None:
    claims = jwt.decode(account.token, options={"verify_signature": False})
    del claims[claim]
    assert_error(v2(server, account, "22 GET a/ns", headers=signed(database, claims)), 401)


def encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def test_v2_with_a_badly_signed_token_is_401(server: Server, account: Account) -> None:
    text = account.token
    header = jwt.get_unverified_header(text)
    claims = jwt.decode(text, options={"verify_signature": False})
    head, body, signature = text.split(".")
    extended = claims | {"exp": claims["exp"] + 1}
    another_rsa = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    another_ed25519 = ed25519.Ed25519PrivateKey.generate()
    kid = {"kid": header["kid"]}
    forged = {
        "claims exchanged": f"{head}.{encoded(extended)}.{signature}",
        "no signature": f"{head}.{body}.",
        "signature cut": text[:-4],
        "algorithm none": jwt.encode(claims, "", algorithm="none", headers=kid),
        "algorithm none in capitals": f"{encoded(header | {'alg': 'NONE'})}.{body}.",
        "secret": jwt.encode(claims, "s" * 64, algorithm="HS256", headers=kid),
        "another RSA key": jwt.encode(claims, another_rsa, algorithm="RS256", headers=kid),
        "another EdDSA key": jwt.encode(claims, another_ed25519, algorithm="EdDSA", headers=kid),
        "unknown key": jwt.encode(
            claims, another_ed25519, algorithm="EdDSA", headers={"kid": "unknown"}
        ),
        "key without a name": jwt.encode(claims, another_ed25519, algorithm="EdDSA"),
        "name of another type": f"{encoded(header | {'kid': 1})}.{body}.{signature}",
    }
    for forgery, forged_text in forged.items():
        bearer = {"Authorization": f"Bearer {forged_text}"}
        response = v2(server, account, "22 GET a/ns", headers=bearer)
        assert response.status_code == 401, forgery
        assert_error(response, 401)


def test_v2_with_a_token_signed_by_the_public_key_as_secret_is_401(
    server: Server, account: Account
) -> None:
    text = account.token
    (published, *_) = requests.get(f"{server.url}/.well-known/jwks.json", timeout=10).json()["keys"]
    claims = jwt.decode(text, options={"verify_signature": False})
    header = {"alg": "HS256", "typ": "JWT", "kid": published["kid"]}
    unsigned = f"{encoded(header)}.{encoded(claims)}"
    raw_key = base64.urlsafe_b64decode(published.get("x", published.get("n")) + "==")
    for secret in (raw_key, json.dumps(published).encode()):
        digest = hmac.digest(secret, unsigned.encode(), "sha256")
        forged = f"{unsigned}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"
        bearer = {"Authorization": f"Bearer {forged}"}
        assert_error(v2(server, account, "22 GET a/ns", headers=bearer), 401)


@pytest.mark.parametrize("suffix", ["\ud800", "\x00", "é", " "])
def test_v2_with_a_subject_that_no_user_can_have_is_401(
    server: Server, account: Account, database: Database, suffix: str
) -> None:
    now = int(time.time())
    subject = account.username + suffix
    claims = {"sub": subject, "tenantId": account.id, "iat": now, "exp": now + 600}
    account.v1("PATCH", "/orders/properties", json={"size": 1})
    assert_error(v2(server, account, "22 GET a/ns", headers=signed(database, claims)), 401)


def test_two_credentials_in_one_request_are_never_confused(
    account: Account, other_account: Account
) -> None:
    """v2 uses the token and ignores a key beside it, and its result is not cached for the key."""
    key = {"maven-api-key": other_account.key}
    path = f"/v2/context/document/{account.id}/ns"
    good = {"Authorization": f"Bearer {account.token}"}
    assert account.call("GET", path, good, headers=key).status_code == 404
    bad = {"Authorization": "Bearer bad"}
    assert account.call("GET", path, bad, headers=key).status_code == 401
    assert account.call("GET", f"/v1/account/{account.id}", key, headers=good).status_code == 403
