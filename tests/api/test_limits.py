"""The size limits: 800,000 characters for a document, and 1 MiB for a request body."""

import json

import pytest
import requests

from tests.api.answers import assert_empty, assert_error
from tests.api.everyway import JSON, WRITES, WRITTEN, Property
from tests.support.clock import Clock
from tests.support.raw_http import send
from tests.support.service import Account, Server

DOCUMENT = 800_000
BODY = 1024 * 1024
TOO_LARGE = "document too large"


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def filler(size: int, **other: object) -> str:
    """Returns a JSON string that makes the document `{"a": filler, **other}` exactly this long."""
    return '"' + "x" * (size - len(compact({"a": "", **other}))) + '"'


def characters(account: Account, path: str = "/orders/s1/properties") -> int:
    """Returns the length of the document as compact JSON."""
    return len(compact(account.v1("GET", path).json()))


def assert_too_large(response: requests.Response) -> None:
    assert_error(response, 413)
    assert response.json()["message"] == TOO_LARGE


@pytest.mark.parametrize("write", WRITES)
def test_a_document_of_exactly_800000_characters_is_saved(account: Account, write: str) -> None:
    place = Property(account, "a")
    assert WRITES[write](place, filler(DOCUMENT)).status_code == WRITTEN[write]
    assert characters(account) == DOCUMENT


@pytest.mark.parametrize("write", WRITES)
def test_a_document_of_one_character_more_is_refused(account: Account, write: str) -> None:
    assert_too_large(WRITES[write](Property(account, "a"), filler(DOCUMENT + 1)))
    assert account.v1("GET", "/orders/s1/properties").json() == {}


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("other", [{"b": 1}, {"b": "ä"}, {"b": {"c": [1, 2, "ä"]}, "dd": None}])
def test_the_other_properties_count_to_the_last_character(
    account: Account, write: str, other: dict[str, object]
) -> None:
    assert_empty(
        account.v1("PATCH", "/orders/s1/properties", data=compact(other).encode(), headers=JSON)
    )
    place = Property(account, "a")
    assert_too_large(WRITES[write](place, filler(DOCUMENT + 1, **other)))
    assert account.v1("GET", "/orders/s1/properties").json() == other
    assert WRITES[write](place, filler(DOCUMENT, **other)).status_code == WRITTEN[write]
    assert characters(account) == DOCUMENT


@pytest.mark.parametrize("write", WRITES)
def test_a_full_document_accepts_no_more_properties(account: Account, write: str) -> None:
    Property(account, "a").put(filler(DOCUMENT))
    assert_too_large(WRITES[write](Property(account, "b"), "1"))
    assert characters(account) == DOCUMENT


@pytest.mark.parametrize("write", WRITES)
def test_replaced_values_do_not_count(account: Account, write: str) -> None:
    place = Property(account, "a")
    place.put(filler(DOCUMENT))
    assert WRITES[write](place, filler(DOCUMENT)).status_code == WRITTEN[write]
    assert WRITES[write](place, filler(DOCUMENT - 6)).status_code == WRITTEN[write]
    assert WRITES[write](Property(account, "b"), "1").status_code == WRITTEN[write]
    assert characters(account) == DOCUMENT


def test_deleted_properties_do_not_count(account: Account) -> None:
    place = Property(account, "a")
    place.put(filler(DOCUMENT))
    assert_empty(account.v1("DELETE", "/orders/s1/properties/a"))
    assert place.put(filler(DOCUMENT)).status_code == 204


def test_expired_properties_do_not_count(account: Account, clock: Clock) -> None:
    account.v1("POST", "/namespace/orders/session?ttlSecond=10", json={"sessionId": "s1"})
    Property(account, "a").put(filler(DOCUMENT))
    clock.advance(seconds=10)
    assert Property(account, "b").put(filler(DOCUMENT)).status_code == 204
    assert characters(account) == DOCUMENT


def test_every_session_and_the_namespace_have_separate_limits(account: Account) -> None:
    for session in ("s1", "s2", "__default__"):
        place = Property(account, "a", session=session)
        assert place.put(filler(DOCUMENT)).status_code == 204
    assert Property(account, "a", namespace="other").put(filler(DOCUMENT)).status_code == 204


def test_characters_are_counted_rather_than_bytes(account: Account) -> None:
    """600,000 characters of four bytes each are 2.4 MB, and allowed."""
    half = '"' + "😀" * 200_000 + '"'
    for name in ("a", "b", "c"):
        assert_empty(Property(account, name).put(half))
    rest = DOCUMENT - characters(account) - len(',"d":""')
    assert_too_large(Property(account, "d").put('"' + "ä" * (rest + 1) + '"'))
    assert_empty(Property(account, "d").put('"' + "ä" * rest + '"'))
    assert characters(account) == DOCUMENT


def test_white_space_between_tokens_is_not_counted(account: Account) -> None:
    spacious = "[1," + " " * 500_000 + "2]"
    assert_empty(Property(account, "a").put(spacious))
    assert_empty(Property(account, "b").put(spacious))
    assert_empty(Property(account, "c").patch(spacious))


def test_nothing_of_a_refused_request_is_saved(account: Account) -> None:
    account.v1("PATCH", "/orders/s1/properties", json={"kept": 1})
    members = {"kept": 2, "new": 3, "large": "x" * DOCUMENT}
    assert_too_large(account.v1("PATCH", "/orders/s1/properties", json=members))
    assert account.v1("GET", "/orders/s1/properties").json() == {"kept": 1}
    body = {
        "accountId": account.id,
        "nameSpace": "orders",
        "sessionId": "s1",
        "ttlSeconds": 10,
        "payload": members,
    }
    assert_too_large(account.v2("POST", "/context/document/create", json=body))
    assert account.v1("GET", "/orders/s1/properties").json() == {"kept": 1}
    document = account.v2("GET", f"/context/document/{account.id}/orders/s1").json()
    assert "ttl" not in document


def test_names_quotes_colons_and_commas_count(account: Account) -> None:
    members = {f"{number:05}": "x" * 67 for number in range(10_000)}
    assert len(compact(members)) == 780_001
    response = account.v1("PATCH", "/orders/s1/properties", json=members)
    assert_empty(response)
    rest = DOCUMENT - 780_001 - len(',"a":""')
    assert_too_large(Property(account, "a").put('"' + "x" * (rest + 1) + '"'))
    assert_empty(Property(account, "a").put('"' + "x" * rest + '"'))
    assert characters(account) == DOCUMENT


ROWS = [
    ("v1", "POST", ""),
    ("v1", "PATCH", "/orders/properties"),
    ("v1", "PUT", "/orders/properties/a"),
    ("v1", "PATCH", "/orders/s1/properties"),
    ("v1", "PUT", "/orders/s1/properties/a"),
    ("v1", "POST", "/namespace/orders/session?ttlSecond=60"),
    ("v2", "POST", "/context/document/create"),
    ("v2", "PATCH", "/context/document/create"),
    ("v2", "POST", "/context/document/properties"),
    ("v2", "DELETE", "/context/document/property/delete"),
    ("v2", "DELETE", "/context/document/delete"),
]


@pytest.mark.parametrize(("version", "method", "path"), ROWS)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_1_mib_is_refused_before_it_is_parsed(
    account: Account,
    version: str,
    method: str,
    path: str,
    chunked: bool,
) -> None:
    """The body is not valid JSON, so it would be 400 if it were parsed."""
    call = account.v1 if version == "v1" else account.v2
    text = b"x" * (BODY + 1)
    body = iter([text[: BODY // 2], text[BODY // 2 :]]) if chunked else text
    assert_error(call(method, path, data=body, headers=JSON), 413)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_exactly_1_mib_is_accepted(
    account: Account,
    chunked: bool,
) -> None:
    text = b'{"a":1}'.ljust(BODY)
    body = iter([text[: BODY // 2], text[BODY // 2 :]]) if chunked else text
    assert_empty(account.v1("PATCH", "/orders/properties", data=body, headers=JSON))
    assert account.v1("GET", "/orders/properties").json() == {"a": 1}


def test_a_body_announced_as_too_large_is_refused_unread(server: Server, account: Account) -> None:
    answer = send(
        server.url,
        (
            f"PATCH /v1/account/{account.id}/orders/properties HTTP/1.1\r\nHost: ccs\r\n"
            f"maven-api-key: {account.key}\r\nContent-Type: application/json\r\n"
            "Content-Length: 10737418240\r\n\r\n"
        ).encode(),
    )
    assert answer.status == 413
    assert json.loads(answer.body)["code"] == 413
