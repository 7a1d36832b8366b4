"""Export and import over HTTP: parameters, lines, rights, errors. The store's tests check what is in a page."""

import json
from typing import Any

import pytest
from requests import Response

from ccs_server.api.policy import RequestPolicy
from ccs_server.domain.access import Access, Scope
from ccs_server.domain.cursors import new_cursor
from ccs_server.store.credentials import KeyTerms, create_key
from ccs_server.store.database import Database
from ccs_server.store.sequencing import sequence
from tests.api.answers import assert_error
from tests.api.test_ext_changes import put, read, switch_on
from tests.support.service import Account, Server, new_account

NDJSON = {"Content-Type": "application/x-ndjson"}
PROPERTY = {"ns": "orders", "session": "s1", "name": "size", "value": 1}


def export(account: Account, **query: object) -> Response:
    return account.ext("GET", "/export", params=query)


def lines(response: Response) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == "application/x-ndjson"
    assert response.text.endswith("\n")
    return [json.loads(line) for line in response.text.splitlines()]


def bring(account: Account, *given: object, mode: str | None = None, **options: Any) -> Response:
    text = b"\n".join(
        each if isinstance(each, bytes) else json.dumps(each).encode() for each in given
    )
    query = {} if mode is None else {"mode": mode}
    options["headers"] = NDJSON | options.pop("headers", {})
    return account.ext("POST", "/import", data=text, params=query, **options)


def key_of(account: Account, database: Database, scope: Scope, *namespaces: str) -> dict[str, str]:
    terms = KeyTerms(Access(scope, namespaces or None))
    return {"maven-api-key": create_key(database, account.id, terms=terms).key}


def fill(account: Account) -> None:
    account.v1("POST", "?ttlSecond=3600", json={"name": "orders"}).raise_for_status()
    account.v1("PATCH", "/orders/s1/properties", json={"b": 1.5, "a": "é"}).raise_for_status()
    body = {"sessionId": "s1"}
    account.v1("POST", "/namespace/orders/session?ttlSecond=0", json=body).raise_for_status()
    account.v1("PATCH", "/other/properties", json={"c": None}).raise_for_status()


def test_an_export_has_a_line_for_each_namespace_ttl_and_property(account: Account) -> None:
    fill(account)
    namespace, ttl, a, b, other, c, end = lines(export(account))
    assert namespace == {"ns": "orders", "ttlSecond": 3600}
    assert ttl == {"ns": "orders", "session": "s1", "ttlSecond": 0}
    meta = account.v1("GET", "/orders/s1/properties?meta=true").json()["a"]
    assert a == {
        "ns": "orders", "session": "s1", "name": "a", "value": "é",
        "expiresAt": meta["expiresAt"], "updatedAt": meta["updatedAt"],
    }  # fmt: skip
    assert (b["name"], b["value"]) == ("b", 1.5)
    assert other == {"ns": "other", "ttlSecond": 0}
    assert (c["session"], c["value"], c["expiresAt"]) == ("__default__", None, None)
    assert end == {"end": True}


def test_a_page_that_is_not_the_last_ends_with_a_cursor(account: Account) -> None:
    fill(account)
    whole = export(account).text
    pages = []
    query: dict[str, object] = {"limit": 2}
    while True:
        *page, last = export(account, **query).text.splitlines(keepends=True)
        pages += page
        if json.loads(last) == {"end": True}:
            break
        query["after"] = json.loads(last)["next"]
    assert "".join(pages) + last == whole


def test_an_export_may_be_of_one_namespace_or_of_one_session(account: Account) -> None:
    fill(account)
    everything = lines(export(account))
    assert lines(export(account, ns="other")) == everything[4:]
    assert lines(export(account, ns="orders", session="s1"))[:-1] == everything[1:4]
    assert lines(export(account, ns="other", session="__default__"))[:-1] == everything[5:6]
    assert lines(export(account, ns="none")) == [{"end": True}]
    first = lines(export(account, ns="orders", session="s1", limit=1))
    rest = lines(export(account, ns="orders", session="s1", after=first[-1]["next"]))
    assert first[:-1] + rest[:-1] == everything[1:4]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"), ("limit=10001", "limit"), ("limit=x", "limit"), ("limit=", "limit"),
        ("limit=-1", "limit"), ("limit=1.0", "limit"), ("limit=%D9%A1", "limit"),
        ("ns=a%20b", "ns"), ("ns=", "ns"), ("ns=custom", "ns"), ("session=s1", "ns"),
        ("ns=a&session=", "session"), ("ns=a&session=properties", "session"),
        ("after=", "after"), ("after=x", "after"), ("after=" + 2049 * "A", "after"),
        ("page=1", "page"), ("ns=a&ns=b", "ns"), ("ns=%FF", "query"),
    ],
)  # fmt: skip
def test_a_bad_parameter_of_an_export_is_refused(account: Account, query: str, field: str) -> None:
    assert_error(account.ext("GET", f"/export?{query}"), 400, field=field)


def test_a_cursor_belongs_to_its_query_but_not_to_its_limit(
    account: Account, other_account: Account
) -> None:
    fill(account)
    cursor = lines(export(account, limit=1))[-1]["next"]
    assert len(lines(export(account, after=cursor, limit=9))) == 6
    assert_error(export(account, after=cursor, ns="orders"), 400, field="after")
    assert_error(export(other_account, after=cursor), 400, field="after")


@pytest.mark.parametrize(
    "position", ["", "a", "\n\n", "a\n\np", "a b\n\n", "a\ns/\n", "a\ns\n\x01", "a\ns\np\n"]
)
def test_a_cursor_that_somebody_made_up_is_refused_unless_it_is_a_position(
    account: Account, position: str
) -> None:
    query = ("export", account.id, "", "")
    assert_error(export(account, after=new_cursor(query, position)), 400, field="after")
    assert export(account, after=new_cursor(query, "a\ns\np")).status_code == 200


def test_an_export_is_imported_as_it_is(account: Account, other_account: Account) -> None:
    fill(account)
    exported = export(account).content
    response = bring(other_account, exported)
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == "application/json"
    assert response.json() == {"saved": 6, "skipped": 0}
    assert export(other_account).content == exported
    one, other = (each.v1("GET", "/orders/s1/properties") for each in (account, other_account))
    assert one.content == other.content
    assert one.headers["ETag"] == other.headers["ETag"]
    assert bring(other_account, exported, mode="keep").json() == {"saved": 0, "skipped": 6}
    assert bring(other_account, exported, mode="overwrite").json() == {"saved": 6, "skipped": 0}
    page = export(account, limit=2).content
    assert bring(other_account, page).json() == {"saved": 2, "skipped": 0}


def test_what_is_imported_is_read_and_changed_like_anything_else(account: Account) -> None:
    assert bring(account, PROPERTY | {"value": 1.10}, {"ns": "orders", "name": "n", "value": []}).ok
    assert account.v1("GET", "/orders/s1/properties/size").json() == 1.1
    assert account.v1("GET", "/orders/properties").json() == {"n": []}
    assert account.v1("GET", "/orders/session-ids").json() == ["__default__", "s1"]
    etag = account.v1("GET", "/orders/s1/properties/size").headers["ETag"]
    guarded = {"If-Match": etag}
    put = account.v1("PUT", "/orders/s1/properties/size", json=2, headers=guarded)
    assert put.status_code == 204


GOOD = b'{"ns":"orders","session":"s1","name":"a","value":1}'
BAD: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"{", "body"),
    "two on a line": (GOOD + GOOD, "body"),
    "an array": (b"[1]", "body"),
    "not UTF-8": (b'{"ns":"a","name":"b","value":"\xff"}', "body"),
    "an empty object": (b"{}", "ns"),
    "no namespace": (b'{"session":"s","name":"a","value":1}', "ns"),
    "a bad namespace": (b'{"ns":"a b","name":"a","value":1}', "ns"),
    "a reserved namespace": (b'{"ns":"custom","ttlSecond":1}', "ns"),
    "a bad session": (b'{"ns":"a","session":"x/y","name":"a","value":1}', "session"),
    "a bad name": (b'{"ns":"a","name":"","value":1}', "name"),
    "no value": (b'{"ns":"a","name":"a"}', "name"),
    "no name": (b'{"ns":"a","value":1}', "name"),
    "a namespace alone": (b'{"ns":"a"}', "name"),
    "a session alone": (b'{"ns":"a","session":"s"}', "name"),
    "an unknown member": (b'{"ns":"a","name":"a","value":1,"etag":"x"}', "body"),
    "a TTL beside a value": (b'{"ns":"a","name":"a","value":1,"ttlSecond":1}', "ttlSecond"),
    "a TTL beside an expiry": (b'{"ns":"a","ttlSecond":1,"expiresAt":null}', "ttlSecond"),
    "a negative TTL": (b'{"ns":"a","ttlSecond":-1}', "ttlSecond"),
    "a broken TTL": (b'{"ns":"a","ttlSecond":1.5}', "ttlSecond"),
    "a TTL of another type": (b'{"ns":"a","ttlSecond":"1"}', "ttlSecond"),
    "a TTL of no session": (b'{"ns":"a","session":"__default__","ttlSecond":1}', "session"),
    "no such day": (b'{"ns":"a","name":"a","value":1,"expiresAt":"2026-02-31T00:00:00Z"}', "expiresAt"),
    "no zone": (b'{"ns":"a","name":"a","value":1,"expiresAt":"2026-02-01T00:00:00"}', "expiresAt"),
    "a number as a time": (b'{"ns":"a","name":"a","value":1,"updatedAt":1}', "updatedAt"),
    "a time after all": (
        b'{"ns":"a","name":"a","value":1,"expiresAt":"9999-12-31T23:59:59-01:00"}', "expiresAt",
    ),
    "U+0000": (b'{"ns":"a","name":"a","value":"\\u0000"}', "body"),
    "a lone surrogate": (b'{"ns":"a","name":"a","value":"\\ud800"}', "body"),
    "too deep": (b'{"ns":"a","name":"a","value":' + 101 * b"[" + 101 * b"]" + b"}", "body"),
    "a cursor beside a value": (b'{"ns":"a","name":"a","value":1,"next":"x"}', "ns"),
    "NaN": (b'{"ns":"a","name":"a","value":NaN}', "body"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_line_is_refused_by_its_number_and_nothing_is_imported(
    account: Account, kind: str
) -> None:
    line, field = BAD[kind]
    response = bring(account, GOOD, b"", line, GOOD)
    assert_error(response, 400, field=field)
    assert response.json()["line"] == 3
    assert lines(export(account)) == [{"end": True}]


def test_values_are_imported_to_their_last_digit_and_with_each_member_once(
    account: Account,
) -> None:
    start = b'{"ns":"a","name":"a","value":'
    for given, stored in (
        (b"-0.10E+01", b"-0.10E+01"),
        (b"123456789012345678901234567890", b"123456789012345678901234567890"),
        (b' { "a" : 1 , "a" : [ 2 ] } ', b'{"a":[2]}'),
        (b'"\\u00e9\\ud83d\\ude00"', b'"\\u00e9\\ud83d\\ude00"'),
        (100 * b"[" + 100 * b"]", 100 * b"[" + 100 * b"]"),
    ):
        assert bring(account, start + given + b"}").ok
        assert account.v1("GET", "/a/properties/a").content == stored


def test_the_mode_of_an_import_is_overwrite_or_keep(account: Account) -> None:
    assert_error(bring(account, GOOD, mode="merge"), 400, field="mode")
    assert_error(account.ext("POST", "/import?modes=keep", data=GOOD, headers=NDJSON), 400)


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", None])
def test_an_import_of_another_content_type_is_refused(
    account: Account, content_type: str | None
) -> None:
    assert_error(bring(account, GOOD, headers={"Content-Type": content_type}), 415)


def test_a_body_of_json_is_refused_as_lines_elsewhere(account: Account) -> None:
    path = "/orders/s1/properties"
    assert_error(account.v1("PATCH", path, data=b'{"a":1}', headers=NDJSON), 415)


def test_an_import_is_at_most_1_mib(account: Account) -> None:
    line = b'{"ns":"a","name":"a","value":1}\n'
    blanks = b" " * ((1 << 20) - len(line))
    assert bring(account, line + blanks).json() == {"saved": 1, "skipped": 0}
    assert_error(bring(account, line + blanks + b" "), 413)


def test_an_empty_import_saves_nothing(account: Account) -> None:
    for body in (b"", b"\n", b'{"next":"x"}\n{"end":true}\n'):
        assert bring(account, body).json() == {"saved": 0, "skipped": 0}


def test_a_property_at_the_size_limit_goes_there_and_back(
    account: Account, other_account: Account
) -> None:
    value = "x" * (800_000 - len('{"size":""}'))
    account.v1("PATCH", "/orders/s1/properties", json={"size": value}).raise_for_status()
    exported = export(account).content
    assert bring(other_account, exported).json() == {"saved": 2, "skipped": 0}
    assert other_account.v1("GET", "/orders/s1/properties").json() == {"size": value}
    response = bring(other_account, PROPERTY | {"name": "more"})
    assert_error(response, 413)
    assert response.json()["line"] == 1


def test_a_key_exports_and_imports_within_its_rights(account: Account, database: Database) -> None:
    fill(account)
    everything = lines(export(account))
    reading = key_of(account, database, Scope.READ)
    assert lines(account.ext("GET", "/export", headers=reading)) == everything
    assert_error(bring(account, PROPERTY, headers=reading), 403)
    limited = key_of(account, database, Scope.WRITE, "ord*", "none")
    assert lines(account.ext("GET", "/export", headers=limited)) == [
        *everything[:4],
        everything[-1],
    ]
    assert lines(account.ext("GET", "/export?ns=orders", headers=limited))[:-1] == everything[:4]
    assert_error(account.ext("GET", "/export?ns=other", headers=limited), 403)
    assert bring(account, PROPERTY, headers=limited).ok
    before = export(account).content
    for line in ({"ns": "other", "ttlSecond": 5}, PROPERTY | {"ns": "other"}):
        response = bring(account, PROPERTY | {"value": 9}, line, headers=limited)
        assert_error(response, 403)
        assert response.json()["line"] == 2
    assert export(account).content == before


def test_a_session_token_exports_and_imports_nothing(account: Account) -> None:
    body = {"ns": "orders", "session": "s1", "scope": "write"}
    token = account.ext("POST", "/tokens", json=body).json()["token"]
    bearer = {"Authorization": f"Bearer {token}"}
    for query in ("", "?ns=orders", "?ns=orders&session=s1"):
        assert_error(account.ext("GET", f"/export{query}", headers=bearer), 403)
    assert_error(bring(account, PROPERTY, headers=bearer), 403)


def test_exports_and_imports_are_admitted_as_listings() -> None:
    for method, path, is_long in (
        ("GET", "/export", True), ("POST", "/import", True), ("GET", "/export/", True),
        ("GET", "/import", False), ("POST", "/export", False), ("POST", "/ops", False),
    ):  # fmt: skip
        environ = {"REQUEST_METHOD": method, "PATH_INFO": f"/ext/v1/demo{path}"}
        assert RequestPolicy.is_listing(environ) is is_long


def test_the_first_page_tells_where_the_change_log_ended_before(
    server: Server, database: Database
) -> None:
    with new_account(server, database, "admin") as account:
        switch_on(account)
        put(account, "exported")
        sequence(database)
        first = export(account, limit=1)
        put(account, "later")
        page = read(database, account, after=first.headers["Ccs-Position"])
        assert [change["name"] for change in page["changes"]] == ["later"]
        second = export(account, after=lines(first)[-1]["next"])
        assert "Ccs-Position" not in second.headers


def test_an_account_that_logs_nothing_has_a_position_too(account: Account) -> None:
    fill(account)
    cursor = export(account).headers["Ccs-Position"]
    assert account.ext("GET", "/changes", params={"after": cursor}).json()["changes"] == []
