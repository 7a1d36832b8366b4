"""`page` and `perPage` of rows 16 and 17."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.api.answers import assert_error
from tests.api.strategies import exploring, sessions
from tests.support.service import Account

ROWS = ("session-ids", "session-properties")


def ids(account: Account, row: str, query: str = "") -> list[str]:
    response = account.v1("GET", f"/orders/{row}{query}")
    assert response.status_code == 200, response.text
    return [one if row == "session-ids" else one["sessionId"] for one in response.json()]


def fill(account: Account, session_ids: list[str]) -> None:
    for session in session_ids:
        path = f"/orders/{quote(session)}/properties/a"
        assert account.v1("PUT", path, json=1).status_code == 204


@pytest.mark.parametrize("row", ROWS)
def test_pages_begin_at_0_and_hold_100_by_default(account: Account, row: str) -> None:
    everything = [f"s{number:03}" for number in range(101)]
    fill(account, everything)
    assert ids(account, row) == everything[:100]
    assert ids(account, row, "?page=0") == everything[:100]
    assert ids(account, row, "?page=1") == everything[100:]
    assert ids(account, row, "?perPage=1000") == everything
    assert ids(account, row, "?perPage=1&page=100") == everything[100:]


@pytest.mark.parametrize("row", ROWS)
def test_pages_have_no_gaps_or_repetitions(account: Account, row: str) -> None:
    everything = [f"s{number}" for number in range(7)]
    fill(account, everything)
    pages = [ids(account, row, f"?page={page}&perPage=3") for page in range(3)]
    assert pages == [everything[:3], everything[3:6], everything[6:]]


@pytest.mark.parametrize("row", ROWS)
def test_a_page_counts_sessions_and_not_properties(account: Account, row: str) -> None:
    for session in ("s1", "s2", "s3"):
        account.v1("PATCH", f"/orders/{session}/properties", json={"a": 1, "b": 2, "c": 3})
    assert ids(account, row, "?perPage=2") == ["s1", "s2"]
    assert ids(account, row, "?perPage=2&page=1") == ["s3"]


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("page", [1, 2**31, 10**12])
def test_past_the_end_is_an_empty_list(account: Account, row: str, page: int) -> None:
    fill(account, ["s1"])
    assert ids(account, row, f"?page={page}&perPage=1000") == []


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("page", [2**63, 10**30])
def test_a_page_number_that_is_too_large_is_refused(account: Account, row: str, page: int) -> None:
    assert_error(account.v1("GET", f"/orders/{row}?page={page}"), 400, field="page")


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("page", ["-1", "1.5", "one", "", "1e1", "1_0", "%D9%A1", "true"])
def test_a_page_is_a_whole_number_from_0(account: Account, row: str, page: str) -> None:
    assert_error(account.v1("GET", f"/orders/{row}?page={page}"), 400, field="page")


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("per_page", ["0", "-1", "1001", "1.5", "all", "", "1e2", "1_0"])
def test_per_page_is_a_whole_number_from_1_to_1000(
    account: Account, row: str, per_page: str
) -> None:
    assert_error(account.v1("GET", f"/orders/{row}?perPage={per_page}"), 400, field="perPage")


@pytest.mark.parametrize("row", ROWS)
def test_a_page_after_a_session_has_the_sessions_that_follow(account: Account, row: str) -> None:
    everything = [f"s{number}" for number in range(7)]
    fill(account, everything)
    assert ids(account, row, "?after=s2&perPage=3") == everything[3:6]
    assert ids(account, row, "?after=s2") == everything[3:]
    assert ids(account, row, "?after=s2x&perPage=1") == ["s3"], "the session need not be there"
    assert ids(account, row, "?after=s6") == []
    assert ids(account, row, "?after=s2&page=5&perPage=3") == everything[3:6], "page does not count"


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("after", ["", "a/b", "a%00b", "x" * 257])
def test_after_is_a_session_id(account: Account, row: str, after: str) -> None:
    assert_error(account.v1("GET", f"/orders/{row}?after={after}"), 400, field="after")


@exploring
@given(session_ids=st.lists(sessions, min_size=2, max_size=8, unique=True))
def test_sessions_are_in_code_point_order(account: Account, session_ids: list[str]) -> None:
    account.v1("DELETE", "/orders")
    for session in session_ids:
        body = {
            "accountId": account.id,
            "nameSpace": "orders",
            "sessionId": session,
            "payload": {"a": 1},
        }
        assert account.v2("POST", "/context/document/create", json=body).status_code == 201
    for row in ROWS:
        assert ids(account, row) == sorted(session_ids)


def test_the_order_does_not_depend_on_a_locale(account: Account) -> None:
    in_order = ["A", "Z", "__default__", "a", "b", "ä", "ł", "日", "\uffee", "😀"]
    fill(account, in_order[::-1])
    for row in ROWS:
        assert ids(account, row) == in_order
