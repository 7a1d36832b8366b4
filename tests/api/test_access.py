"""What keys and session tokens with limited rights may do in v1: every row with every kind of them.

Section 6 of docs/extension.md defines the rules.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Literal

import pytest
from requests import Response

from ccs_server.domain.access import ALL_DATA, Access, Scope, SessionLimit
from ccs_server.domain.credentials import key_id_of
from ccs_server.domain.errors import Forbidden
from ccs_server.store import credentials
from ccs_server.store.credentials import KeyTerms
from ccs_server.store.database import Database
from tests.api.answers import assert_error
from tests.api.rows import V1_ROWS, Call, v1_rows
from tests.support.clock import Clock
from tests.support.service import Account

READS = {row for row in V1_ROWS if " GET" in row}
SESSION_ROWS = {row for row in V1_ROWS if 10 <= int(row.split()[0]) <= 15}
NEEDS_ACCOUNT = {"2 GET"}

Headers = dict[str, str]


def as_key(secret: str) -> Headers:
    return {"maven-api-key": secret}


def as_bearer(token: str) -> Headers:
    return {"Authorization": f"Bearer {token}"}


@dataclass(frozen=True)
class Holder:
    """An account with data in two namespaces and two sessions, and what makes credentials of it."""

    account: Account
    database: Database

    def key(
        self,
        scope: Scope = Scope.WRITE,
        *namespaces: str,
        expires_in: int | None = None,
    ) -> str:
        terms = KeyTerms(Access(scope, namespaces or None), expires_in)
        return credentials.create_key(self.database, self.account.id, terms=terms).key

    def token(
        self,
        scope: Literal["read", "write"] = "write",
        session: str = "s1",
        *,
        key: str | None = None,
        **more: object,
    ) -> str:
        body = {"ns": "orders", "session": session, "scope": scope} | more
        response = self.account.ext(
            "POST", "/tokens", json=body, headers=as_key(key or self.account.key)
        )
        assert response.status_code == 201, response.text
        token: str = response.json()["token"]
        return token

    def call(self, call: Call, credential: Headers) -> Response:
        target = f"/v1/account/{self.account.id}{call.path}"
        return self.account.call(call.method, target, credential, **call.arguments)

    def data(self) -> list[object]:
        """All that the account has."""
        paths = ("/orders/session-properties", "/other/session-properties", "")
        return [self.account.v1("GET", path).json() for path in paths]


@pytest.fixture
def holder(account: Account, database: Database) -> Holder:
    for namespace, session in product(("orders", "other"), ("__default__", "s1", "s2")):
        path = f"/{namespace}/{session}/properties"
        account.v1("PATCH", path, json={"size": 1, "secret": 2}).raise_for_status()
    return Holder(account, database)


Make = Callable[[Holder], Headers]

# Each kind of credential, the rows that it may use in the namespace `orders` and the session `s1`, and those that it
# may use elsewhere.
KINDS: dict[str, tuple[Make, set[str], set[str]]] = {
    "a plain key": (lambda h: as_key(h.key()), set(V1_ROWS), set(V1_ROWS)),
    "an admin key": (lambda h: as_key(h.key(Scope.ADMIN)), set(V1_ROWS), set(V1_ROWS)),
    "a read key": (lambda h: as_key(h.key(Scope.READ)), READS, READS),
    "a limited key": (lambda h: as_key(h.key(Scope.WRITE, "orders")), set(V1_ROWS), NEEDS_ACCOUNT),
    "a limited read key": (
        lambda h: as_key(h.key(Scope.READ, "x", "orders")),
        READS,
        NEEDS_ACCOUNT,
    ),
    "a wildcard": (lambda h: as_key(h.key(Scope.WRITE, "ord*")), set(V1_ROWS), NEEDS_ACCOUNT),
    "a wildcard for nothing": (
        lambda h: as_key(h.key(Scope.WRITE, "orders*")),
        set(V1_ROWS),
        NEEDS_ACCOUNT,
    ),
    "a wildcard of all": (lambda h: as_key(h.key(Scope.WRITE, "*")), set(V1_ROWS), set(V1_ROWS)),
    "a session token": (lambda h: as_bearer(h.token()), SESSION_ROWS, set()),
    "a session token as key": (lambda h: as_key(h.token()), SESSION_ROWS, set()),
    "a session token to read": (lambda h: as_bearer(h.token("read")), SESSION_ROWS & READS, set()),
    "a token with names": (
        lambda h: as_bearer(h.token(names=["size", "other"])),
        SESSION_ROWS - {"12 GET ns/s/properties", "14 DELETE ns/s/properties"},
        set(),
    ),
    "a token with names as key": (
        lambda h: as_key(h.token("read", names=["size"])),
        {"13 GET ns/s/properties/p"},
        set(),
    ),
    "a token with other names": (lambda h: as_bearer(h.token(names=["siz"])), set(), set()),
}


@pytest.mark.parametrize("row", V1_ROWS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_credential_may_use_the_rows_that_its_rights_cover(
    holder: Holder, kind: str, row: str
) -> None:
    make, here, _ = KINDS[kind]
    before = holder.data()
    response = holder.call(v1_rows()[row], make(holder))
    if row in here:
        assert response.status_code == v1_rows()[row].success, response.text
    else:
        assert_error(response, 403)
        assert holder.data() == before


@pytest.mark.parametrize("kind", KINDS)
def test_elsewhere_a_limited_credential_may_use_nothing(holder: Holder, kind: str) -> None:
    make, _, elsewhere = KINDS[kind]
    credential, before = make(holder), holder.data()
    for row, call in v1_rows(namespace="other").items():
        response = holder.call(call, credential)
        if row in elsewhere:
            assert response.status_code == call.success, (row, response.text)
        else:
            assert_error(response, 403)
    assert elsewhere - READS or holder.data() == before


@pytest.mark.parametrize("row", sorted(SESSION_ROWS))
def test_a_session_token_does_not_reach_another_session(holder: Holder, row: str) -> None:
    before = holder.data()
    assert_error(holder.call(v1_rows(session="s2")[row], as_bearer(holder.token())), 403)
    assert_error(holder.call(v1_rows(session="__default__")[row], as_key(holder.token())), 403)
    assert holder.data() == before


@pytest.mark.parametrize("row", V1_ROWS)
def test_what_has_ended_is_403_as_key_and_401_as_bearer(
    holder: Holder, row: str, clock: Clock
) -> None:
    # A key is remembered for a moment where it was used, so those that make the tokens are others.
    expired, of_expired = holder.key(expires_in=100), holder.token(key=holder.key(expires_in=100))
    expired_token = holder.token(expiresIn=60)
    clock.advance(seconds=100)
    revoked, maker = holder.key(), holder.key()
    of_revoked = holder.token(key=maker)
    for key in (revoked, maker):
        revoke(holder, key)
    before = holder.data()
    call = v1_rows()[row]
    for secret in (expired, revoked, expired_token, of_expired, of_revoked):
        assert_error(holder.call(call, as_key(secret)), 403)
    for token in (expired_token, of_expired, of_revoked):
        assert_error(holder.call(call, as_bearer(token)), 401)
    assert holder.data() == before


def revoke(holder: Holder, key: str) -> None:
    key_id = key_id_of(key)
    assert key_id
    credentials.revoke_key(holder.database, holder.account.id, key_id)


def test_the_list_of_namespaces_shows_those_that_the_key_may_use(holder: Holder) -> None:
    for name in ("day_1", "day_", "dayX1", "DAY_1"):
        assert holder.account.v1("POST", "", json={"name": name}).status_code == 204

    def listed(*namespaces: str) -> list[str]:
        response = holder.call(Call("GET", ""), as_key(holder.key(Scope.READ, *namespaces)))
        return [namespace["name"] for namespace in response.json()]

    assert listed("day_*") == ["day_", "day_1"]
    assert listed("orders", "day_*", "absent") == ["day_", "day_1", "orders"]
    assert listed("absent") == []
    assert listed("*") == ["DAY_1", "dayX1", "day_", "day_1", "orders", "other"]


def test_a_limited_key_registers_only_namespaces_that_it_may_use(holder: Holder) -> None:
    key = as_key(holder.key(Scope.WRITE, "day_*"))
    assert holder.call(Call("POST", "", {"name": "day_9"}), key).status_code == 204
    assert_error(holder.call(Call("POST", "", {"name": "night"}), key), 403)
    assert_error(
        holder.call(Call("POST", "/namespace/night/session", {"sessionId": "a"}), key), 403
    )


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("?include=size", 200),
        ("?include=size,color", 200),
        ("?include=size&include=secret", 200),  # the first one counts
        ("?include=secret", 403),
        ("?include=size,secret", 403),
        ("?include=secret&include=size", 403),
        ("?include=&include=size", 403),
        ("?include&include=size", 403),
        ("?meta=false&include=size", 200),
        ("?meta=true", 403),
        ("?include=size,", 403),
        ("?include=", 403),
        ("?include", 403),
        ("?Include=size", 403),
        ("?include=%73ize", 200),
        ("?include=size%2Csecret", 403),
        ("?include=size%00", 403),
        ("?include=%FF", 400),
        ("", 403),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_token_with_names_reads_a_document_by_those_names_only(
    holder: Holder, method: str, query: str, status: int
) -> None:
    token = holder.token("read", names=["size", "color"])
    path = f"/orders/s1/properties{query}"
    response = holder.call(Call(method, path), as_bearer(token))
    assert response.status_code == status, response.text
    if status == 200 and method == "GET":
        assert response.json() == {"size": 1}


def test_a_token_with_names_saves_those_names_only(holder: Holder) -> None:
    token = as_key(holder.token(names=["size", "a/b"]))
    path = "/orders/s1/properties"
    assert holder.call(Call("PATCH", path, {"size": 5, "a/b": 1}), token).status_code == 204
    before = holder.data()
    for refused in (
        Call("PATCH", path, {"size": 6, "secret": 6}),
        Call("PATCH", path, {"Size": 6}),
        Call("PUT", f"{path}/size/", 6),
        Call("PUT", f"{path}/a", 6),
        Call("DELETE", f"{path}/secret"),
        Call("DELETE", path),
    ):
        assert_error(holder.call(refused, token), 403)
    assert holder.data() == before
    assert holder.call(Call("GET", f"{path}/a%2Fb"), token).json() == 1


@pytest.mark.parametrize("prefix", ["/orders", "/orders/__default__"])
def test_a_token_of_the_default_session_reaches_it_by_both_its_paths(
    holder: Holder, prefix: str
) -> None:
    token = as_bearer(holder.token(session="__default__"))
    path = f"{prefix}/properties"
    assert holder.call(Call("PATCH", path, {"size": 7}), token).status_code == 204
    assert holder.call(Call("GET", f"{path}/size"), token).json() == 7
    assert_error(holder.call(Call("GET", "/orders/s1/properties"), token), 403)
    assert_error(holder.call(Call("GET", "/other/properties"), token), 403)
    assert_error(holder.call(Call("GET", "/orders/session-ids"), token), 403)


def test_v1_prefers_a_key_to_a_token(holder: Holder) -> None:
    call = Call("GET", "/orders/s1/properties")
    both = as_key(holder.account.key) | as_bearer("garbage")
    assert holder.call(call, both).status_code == 200
    assert_error(holder.call(call, as_key("garbage") | as_bearer(holder.token())), 403)


def test_a_key_is_no_bearer_token_even_where_it_is_remembered(holder: Holder) -> None:
    call = Call("GET", "/orders/s1/properties")
    for _ in range(5):
        assert holder.call(call, as_key(holder.account.key)).status_code == 200
        assert_error(holder.call(call, as_bearer(holder.account.key)), 401)


def test_rights_of_keys_made_without_any_are_those_of_before() -> None:
    assert Access() == ALL_DATA
    ALL_DATA.require(Scope.WRITE)
    ALL_DATA.require_namespace("any")
    ALL_DATA.require_document("any", "any", None)
    with pytest.raises(Forbidden):
        ALL_DATA.require(Scope.ADMIN)


def test_a_session_limit_needs_names_that_it_holds() -> None:
    access = Access(session=SessionLimit("ns", "s", frozenset({"a", "b"})))
    access.require_document("ns", "s", {"a"})
    for names in (None, {"a", "c"}):
        with pytest.raises(Forbidden):
            access.require_document("ns", "s", names)
        with pytest.raises(Forbidden):
            access.require_names(names)
    with pytest.raises(Forbidden):
        access.require_document("ns", "other", {"a"})
    with pytest.raises(Forbidden):
        access.require_account()
