"""Conditional requests, TTLs of properties and `meta` on v1's rows (sections 1 and 4 of the extension's contract)."""

import json
from hashlib import sha256

import pytest

from tests.api.answers import TIMESTAMP, assert_empty, assert_error
from tests.support.clock import Clock
from tests.support.service import Account

SESSION = "/orders/s1/properties"
NAMESPACE = "/orders/properties"
OTHER = '"0123456789abcdef0123456789abcdef"'
MALFORMED = ["", "abc", '""', '"a",', ",".join(['"a"'] * 21)]


def tag(content: bytes) -> str:
    return f'"{sha256(content).hexdigest()[:32]}"'


@pytest.fixture(params=[NAMESPACE, SESSION])
def place(request: pytest.FixtureRequest) -> str:
    """The path of the properties of a namespace or a session."""
    path: str = request.param
    return path


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("query", ["", "?include=a", "?meta=true", "?include=a&meta=true"])
def test_reads_of_a_document_carry_the_tag_of_what_they_return(
    account: Account, place: str, method: str, query: str
) -> None:
    account.v1("PATCH", place, json={"b": 2, "a": {"x": 1.10}})
    plain = account.v1("GET", place + query.replace("meta=true", "meta=false"))
    assert account.v1(method, place + query).headers["ETag"] == tag(plain.content)


def test_an_empty_document_has_a_tag_too(account: Account, place: str) -> None:
    response = account.v1("GET", place)
    assert response.content == b"{}"
    assert response.headers["ETag"] == tag(b"{}")


def test_a_put_and_the_reads_of_its_property_carry_the_tag_of_the_stored_value(
    account: Account, place: str
) -> None:
    body = '{ "a" : [1.10, "é"] }'.encode()
    saved = account.v1("PUT", f"{place}/a", data=body, headers={"Content-Type": "application/json"})
    assert_empty(saved)
    read = account.v1("GET", f"{place}/a")
    assert saved.headers["ETag"] == read.headers["ETag"] == tag(read.content)


def test_a_bare_string_carries_no_tag_but_is_judged_by_that_of_its_json(
    account: Account, place: str
) -> None:
    etag = account.v1("PUT", f"{place}/a", json="text").headers["ETag"]
    text = {"Accept": "text/plain"}
    assert "ETag" not in account.v1("GET", f"{place}/a", headers=text).headers
    unchanged = account.v1("GET", f"{place}/a", headers=text | {"If-None-Match": etag})
    assert unchanged.status_code == 304


def test_the_tag_depends_on_content_alone(account: Account, clock: Clock) -> None:
    first = account.v1("PUT", f"{SESSION}/a", json=1).headers["ETag"]
    document = account.v1("GET", SESSION).headers["ETag"]
    assert account.v1("PUT", f"{SESSION}/a", json=2).headers["ETag"] != first
    clock.advance(seconds=60)
    assert account.v1("PUT", f"{SESSION}/a", json=1).headers["ETag"] == first
    account.results({"op": "touch", "name": "a", "ttl": 60})
    assert account.v1("GET", SESSION).headers["ETag"] == document


@pytest.mark.parametrize("path", [SESSION, f"{SESSION}/a"])
def test_a_read_of_what_the_client_has_is_304_with_the_tag(account: Account, path: str) -> None:
    account.v1("PUT", f"{SESSION}/a", json=1)
    etag = account.v1("GET", path).headers["ETag"]
    for condition in (etag, "*", f"{OTHER}, W/{etag}"):
        response = account.v1("GET", path, headers={"If-None-Match": condition})
        assert (response.status_code, response.content) == (304, b"")
        assert response.headers["ETag"] == etag
        assert response.headers["Cache-Control"] == "no-store"
    assert account.v1("GET", path, headers={"If-None-Match": OTHER}).status_code == 200


@pytest.mark.parametrize("path", [SESSION, f"{SESSION}/a"])
def test_a_read_of_what_is_not_as_expected_is_412(account: Account, path: str) -> None:
    account.v1("PUT", f"{SESSION}/a", json=1)
    etag = account.v1("GET", path).headers["ETag"]
    assert account.v1("GET", path, headers={"If-Match": etag}).status_code == 200
    assert account.v1("GET", path, headers={"If-Match": "*"}).status_code == 200
    # If-Match is judged first.
    both = {"If-Match": OTHER, "If-None-Match": etag}
    assert_error(account.v1("GET", path, headers=both), 412)


def test_a_read_of_an_absent_property_is_404_whatever_the_condition(account: Account) -> None:
    for header in ("If-Match", "If-None-Match"):
        assert_error(account.v1("GET", f"{SESSION}/a", headers={header: "*"}), 404)


def test_a_document_without_live_properties_is_not_present(account: Account, clock: Clock) -> None:
    account.v1("PUT", f"{SESSION}/a", json=1, headers={"Ccs-TTL": "5"})
    assert account.v1("GET", SESSION, headers={"If-Match": "*"}).status_code == 200
    clock.advance(seconds=5)
    assert_error(account.v1("GET", SESSION, headers={"If-Match": "*"}), 412)
    assert account.v1("GET", SESSION, headers={"If-None-Match": "*"}).status_code == 200


WRITES = [
    ("PATCH", SESSION, {"a": 2}),
    ("PUT", f"{SESSION}/a", 2),
    ("DELETE", SESSION, None),
    ("DELETE", f"{SESSION}/a", None),
    ("PATCH", NAMESPACE, {"a": 2}),
    ("PUT", f"{NAMESPACE}/a", 2),
    ("DELETE", NAMESPACE, None),
    ("DELETE", f"{NAMESPACE}/a", None),
    ("DELETE", "/namespace/orders/session/s1", None),
]


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_a_write_takes_place_only_if_its_condition_holds(
    account: Account, method: str, path: str, body: object
) -> None:
    read = SESSION if path.startswith("/namespace") else path
    at = NAMESPACE if path.startswith(NAMESPACE) else SESSION
    options = {} if body is None else {"json": body}
    account.v1("PUT", f"{at}/a", json=1)
    before = account.v1("GET", read)
    etag = before.headers["ETag"]
    for refused in ({"If-Match": OTHER}, {"If-None-Match": etag}, {"If-None-Match": "*"}):
        response = account.v1(method, path, headers=refused, **options)
        assert_error(response, 412)
        assert account.v1("GET", read).content == before.content
        if path.endswith("/a"):
            assert response.json()["current"] == account.v1("GET", f"{path}?meta=true").json()
        else:
            assert response.headers["ETag"] == etag
            assert "current" not in response.json()
    assert_empty(account.v1(method, path, headers={"If-Match": f"{OTHER}, {etag}"}, **options))
    assert account.v1("GET", at).json() == ({} if body is None else {"a": 2})


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_a_write_onto_nothing_is_refused_if_something_must_match(
    account: Account, method: str, path: str, body: object
) -> None:
    options = {} if body is None else {"json": body}
    for condition in ("*", OTHER):
        response = account.v1(method, path, headers={"If-Match": condition}, **options)
        assert_error(response, 412)
        if path.endswith("/a"):
            assert response.json()["current"] is None
    assert account.v1("GET", "").json() == [], "a refused request creates no namespace"
    assert_empty(account.v1(method, path, headers={"If-None-Match": "*"}, **options))


@pytest.mark.parametrize("header", ["If-Match", "If-None-Match"])
@pytest.mark.parametrize("condition", MALFORMED)
def test_a_malformed_condition_is_400_and_never_no_condition(
    account: Account, header: str, condition: str
) -> None:
    account.v1("PUT", f"{SESSION}/a", json=1)
    for method, path, body in [*WRITES[:4], ("GET", SESSION, None), ("GET", f"{SESSION}/a", None)]:
        options = {} if body is None else {"json": body}
        response = account.v1(method, path, headers={header: condition}, **options)
        assert_error(response, 400, field=header)
    assert account.v1("GET", SESSION).json() == {"a": 1}


def test_an_expired_property_is_absent(account: Account, clock: Clock) -> None:
    etag = account.v1("PUT", f"{SESSION}/a", json=1, headers={"Ccs-TTL": "5"}).headers["ETag"]
    clock.advance(seconds=5)
    response = account.v1("PUT", f"{SESSION}/a", json=2, headers={"If-Match": etag})
    assert_error(response, 412)
    assert response.json()["current"] is None
    assert_empty(account.v1("PUT", f"{SESSION}/a", json=2, headers={"If-None-Match": "*"}))


def test_v2_ignores_conditions(account: Account) -> None:
    body = {"accountId": account.id, "nameSpace": "orders", "payload": {"a": 1}}
    response = account.v2(
        "POST", "/context/document/create", json=body, headers={"If-Match": OTHER, "Ccs-TTL": "x"}
    )
    assert response.status_code == 201


@pytest.mark.parametrize(("method", "path", "body"), [WRITES[0], WRITES[1]])
def test_a_ttl_is_that_of_the_properties_of_the_request_alone(
    account: Account, clock: Clock, method: str, path: str, body: object
) -> None:
    account.v1("POST", "?ttlSecond=100", json={"name": "orders"})
    account.v1("PUT", f"{SESSION}/other", json=1)
    assert_empty(account.v1(method, path, json=body, headers={"Ccs-TTL": "10"}))
    clock.advance(seconds=10)
    assert account.v1("GET", SESSION).json() == {"other": 1}
    # It is not sticky.
    account.v1(method, path, json=body)
    clock.advance(seconds=89)
    assert account.v1("GET", SESSION).json() == {"a": 2, "other": 1}
    account.v1(method, path, json=body, headers={"Ccs-TTL": "0"})
    clock.advance(seconds=1000)
    assert account.v1("GET", SESSION).json() == {"a": 2}


def test_keep_leaves_the_expiry_of_existing_properties(account: Account, clock: Clock) -> None:
    account.v1("POST", "?ttlSecond=100", json={"name": "orders"})
    account.v1("PUT", f"{SESSION}/a", json=1, headers={"Ccs-TTL": "10"})
    account.v1("PUT", f"{SESSION}/gone", json=1, headers={"Ccs-TTL": "1"})
    clock.advance(seconds=5)
    account.v1("PATCH", SESSION, json={"a": 2, "b": 2, "gone": 2}, headers={"Ccs-TTL": "keep"})
    clock.advance(seconds=5)
    assert account.v1("GET", SESSION).json() == {"b": 2, "gone": 2}
    clock.advance(seconds=95)
    assert account.v1("GET", SESSION).json() == {}


@pytest.mark.parametrize("ttl", ["", "-1", "1.5", "1e3", "2147483648", "Keep", "1, 2", "٣"])
def test_a_malformed_ttl_is_400_and_saves_nothing(account: Account, ttl: str) -> None:
    headers = {"Ccs-TTL": ttl.encode()}
    for method, path, body in WRITES[:2]:
        response = account.v1(method, path, json=body, headers=headers)
        assert_error(response, 400, field="Ccs-TTL")
    assert account.v1("GET", SESSION).json() == {}


def test_a_ttl_is_ignored_where_nothing_is_saved(account: Account) -> None:
    account.v1("PUT", f"{SESSION}/a", json=1)
    assert account.v1("GET", SESSION, headers={"Ccs-TTL": "x"}).json() == {"a": 1}
    assert_empty(account.v1("DELETE", SESSION, headers={"Ccs-TTL": "x"}))


@pytest.mark.parametrize("fence", ["", "0", "-1", "x", "9007199254740992", "1.0"])
def test_a_malformed_fence_is_400(account: Account, fence: str) -> None:
    response = account.v1("PUT", f"{SESSION}/a", json=1, headers={"Ccs-Fence": fence})
    assert_error(response, 400, field="Ccs-Fence")


def test_meta_describes_each_value(account: Account, place: str) -> None:
    account.v1("PUT", f"{place}/a", json={"x": 1}, headers={"Ccs-TTL": "60"})
    etag = account.v1("PUT", f"{place}/b", json="text").headers["ETag"]
    found = account.v1("GET", f"{place}?meta=true").json()
    assert found.keys() == {"a", "b"}
    assert found["b"] == account.v1("GET", f"{place}/b?meta=true").json()
    assert found["b"]["value"] == "text"
    assert found["b"]["etag"] == etag
    assert found["b"]["expiresAt"] is None
    assert TIMESTAMP.fullmatch(found["a"]["expiresAt"])
    assert TIMESTAMP.fullmatch(found["a"]["updatedAt"])
    assert account.v1("GET", f"{place}?meta=true&include=a,x").json() == {"a": found["a"]}


@pytest.mark.parametrize("meta", ["", "1", "True", "yes"])
@pytest.mark.parametrize("path", [SESSION, f"{SESSION}/a"])
def test_meta_is_true_or_false(account: Account, path: str, meta: str) -> None:
    account.v1("PUT", f"{SESSION}/a", json=1)
    assert_error(account.v1("GET", f"{path}?meta={meta}"), 400, field="meta")


def test_a_pointer_reads_a_part_with_the_tag_of_the_whole(account: Account, place: str) -> None:
    value = '{"items":[{"price":1.10},{"price":2}],"a/b":"text"}'
    account.v1("PUT", f"{place}/a", data=value, headers={"Content-Type": "application/json"})
    etag = account.v1("GET", f"{place}/a").headers["ETag"]
    read = account.v1("GET", f"{place}/a?pointer=/items/0/price")
    assert (read.text, read.headers["ETag"]) == ("1.10", etag)
    assert account.v1("GET", f"{place}/a?pointer=/a~1b").json() == "text"
    assert account.v1("GET", f"{place}/a?pointer=").json() == json.loads(value)
    for absent in ("/items/2", "/items/-", "/items/00", "/x"):
        assert_error(account.v1("GET", f"{place}/a?pointer={absent}"), 404)
    for malformed in ("items", "/~2"):
        assert_error(account.v1("GET", f"{place}/a?pointer={malformed}"), 400, field="pointer")


def test_deleting_the_namespace_under_a_condition_is_not_offered(account: Account) -> None:
    """Row 3 is no conditional row."""
    account.v1("PUT", f"{SESSION}/a", json=1)
    assert_empty(account.v1("DELETE", "/orders", headers={"If-Match": OTHER}))
