"""Rows 4 to 15: the same six calls for the properties of a namespace and those of a session."""

import pytest

from tests.api.answers import assert_empty, assert_error
from tests.support.service import Account


@pytest.fixture(params=["/orders", "/orders/s1", "/orders/__default__"])
def place(request: pytest.FixtureRequest) -> str:
    """The path of the properties."""
    path: str = request.param
    return path


def test_patch_creates_every_member(account: Account, place: str) -> None:
    members = {"a": "one", "b": 2, "c": {"name": ["x", None]}}
    assert_empty(account.v1("PATCH", f"{place}/properties", json=members))
    assert account.v1("GET", f"{place}/properties").json() == members


def test_patch_replaces_members_and_keeps_those_left_out(account: Account, place: str) -> None:
    account.v1("PATCH", f"{place}/properties", json={"a": {"deep": 1}, "b": 2})
    assert_empty(account.v1("PATCH", f"{place}/properties", json={"a": {"other": 3}, "c": 4}))
    assert account.v1("GET", f"{place}/properties").json() == {"a": {"other": 3}, "b": 2, "c": 4}


def test_patch_of_an_empty_object_changes_nothing(account: Account, place: str) -> None:
    account.v1("PATCH", f"{place}/properties", json={"a": 1})
    assert_empty(
        account.v1(
            "PATCH", f"{place}/properties", data="{}", headers={"Content-Type": "application/json"}
        )
    )
    assert account.v1("GET", f"{place}/properties").json() == {"a": 1}


@pytest.mark.parametrize("body", ["[]", '"text"', "1", "null", "true"])
def test_patch_needs_an_object(account: Account, place: str, body: str) -> None:
    json = {"Content-Type": "application/json"}
    assert_error(account.v1("PATCH", f"{place}/properties", data=body, headers=json), 400)


@pytest.mark.parametrize("body", ['"text"', "2", "null", "true", "[]", "{}", '{"a":[1]}'])
def test_put_accepts_any_json_value(account: Account, place: str, body: str) -> None:
    json = {"Content-Type": "application/json"}
    assert_empty(account.v1("PUT", f"{place}/properties/a", data=body, headers=json))
    response = account.v1("GET", f"{place}/properties/a")
    assert response.status_code == 200
    assert response.text == body


def test_put_upserts_one_property_and_keeps_the_others(account: Account, place: str) -> None:
    account.v1("PATCH", f"{place}/properties", json={"a": 1, "b": 2})
    assert_empty(account.v1("PUT", f"{place}/properties/a", json=3))
    assert_empty(account.v1("PUT", f"{place}/properties/c", json=4))
    assert account.v1("GET", f"{place}/properties").json() == {"a": 3, "b": 2, "c": 4}


def test_no_properties_are_an_empty_object(account: Account, place: str) -> None:
    response = account.v1("GET", f"{place}/properties")
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("application/json")
    assert response.json() == {}


def test_include_returns_the_named_properties_that_exist(account: Account, place: str) -> None:
    account.v1("PATCH", f"{place}/properties", json={"a": 1, "b": 2, "c": 3})
    response = account.v1("GET", f"{place}/properties?include=a,c,nothing")
    assert response.status_code == 200
    assert response.json() == {"a": 1, "c": 3}


def test_include_of_absent_properties_is_an_empty_object(account: Account, place: str) -> None:
    account.v1("PATCH", f"{place}/properties", json={"a": 1})
    assert account.v1("GET", f"{place}/properties?include=b").json() == {}


def test_include_accepts_encoded_names(account: Account, place: str) -> None:
    account.v1("PATCH", f"{place}/properties", json={"ä b": 1, "c&d=e": 2, "f+g": 3, "h": 4})
    response = account.v1("GET", f"{place}/properties?include=%C3%A4%20b,c%26d%3De,f%2Bg")
    assert response.json() == {"ä b": 1, "c&d=e": 2, "f+g": 3}


def test_one_property_is_returned_as_its_json_value(account: Account, place: str) -> None:
    account.v1("PATCH", f"{place}/properties", json={"a": "myValue1"})
    response = account.v1("GET", f"{place}/properties/a")
    assert response.status_code == 200
    assert response.headers["Content-Type"].partition(";")[0] == "application/json"
    assert response.text == '"myValue1"'


def test_the_string_of_a_number_stays_a_string(account: Account, place: str) -> None:
    account.v1("PUT", f"{place}/properties/a", json="123")
    assert account.v1("GET", f"{place}/properties/a").text == '"123"'


@pytest.mark.parametrize("accept", ["text/plain", "text/plain; charset=utf-8", "text/*"])
def test_a_string_is_returned_bare_if_only_plain_text_is_accepted(
    account: Account, place: str, accept: str
) -> None:
    account.v1("PUT", f"{place}/properties/a", json='grüße "you"\n')
    response = account.v1("GET", f"{place}/properties/a", headers={"Accept": accept})
    assert response.status_code == 200
    assert response.headers["Content-Type"].partition(";")[0] == "text/plain"
    assert response.content.decode() == 'grüße "you"\n'


@pytest.mark.parametrize(
    "accept",
    [
        "*/*",
        "application/json",
        "application/json, text/plain, */*",  # what axios sends
        "application/json;q=0.9, text/plain;q=0.5",
        "text/html",
    ],
)
def test_a_string_is_returned_as_json_for_any_other_accept_header(
    account: Account, place: str, accept: str
) -> None:
    account.v1("PUT", f"{place}/properties/a", json="text")
    response = account.v1("GET", f"{place}/properties/a", headers={"Accept": accept})
    assert response.status_code == 200
    assert response.headers["Content-Type"].partition(";")[0] == "application/json"
    assert response.text == '"text"'


@pytest.mark.parametrize("value", [1, None, True, ["a"], {"a": "b"}, {}])
def test_other_values_are_json_even_as_plain_text(
    account: Account, place: str, value: object
) -> None:
    account.v1("PATCH", f"{place}/properties", json={"a": value})
    response = account.v1("GET", f"{place}/properties/a", headers={"Accept": "text/plain"})
    assert response.status_code == 200
    assert response.json() == value


def test_an_absent_property_is_not_found(account: Account, place: str) -> None:
    account.v1("PATCH", f"{place}/properties", json={"a": 1})
    assert_error(account.v1("GET", f"{place}/properties/b"), 404)


def test_a_stored_null_is_a_value_and_not_a_deletion(account: Account, place: str) -> None:
    account.v1("PATCH", f"{place}/properties", json={"a": 1})
    account.v1("PATCH", f"{place}/properties", json={"a": None})
    response = account.v1("GET", f"{place}/properties/a")
    assert response.status_code == 200
    assert response.text == "null"
    assert account.v1("GET", f"{place}/properties").json() == {"a": None}
    assert account.v1("GET", f"{place}/properties?include=a").json() == {"a": None}


def test_delete_of_all_deletes_all(account: Account, place: str) -> None:
    account.v1("PATCH", f"{place}/properties", json={"a": 1, "b": 2})
    assert_empty(account.v1("DELETE", f"{place}/properties"))
    assert account.v1("GET", f"{place}/properties").json() == {}
    assert_error(account.v1("GET", f"{place}/properties/a"), 404)


def test_delete_of_one_deletes_one(account: Account, place: str) -> None:
    account.v1("PATCH", f"{place}/properties", json={"a": 1, "b": 2})
    assert_empty(account.v1("DELETE", f"{place}/properties/a"))
    assert account.v1("GET", f"{place}/properties").json() == {"b": 2}


def test_deleting_absent_properties_is_not_an_error(account: Account, place: str) -> None:
    assert_empty(account.v1("DELETE", f"{place}/properties/a"))
    assert_empty(account.v1("DELETE", f"{place}/properties"))


def test_a_deleted_property_can_be_created_again(account: Account, place: str) -> None:
    account.v1("PUT", f"{place}/properties/a", json=1)
    account.v1("DELETE", f"{place}/properties/a")
    assert_empty(account.v1("PUT", f"{place}/properties/a", json=2))
    assert account.v1("GET", f"{place}/properties").json() == {"a": 2}


def test_a_write_is_read_at_once(account: Account, place: str) -> None:
    for number in range(20):
        account.v1("PUT", f"{place}/properties/a", json=number)
        assert account.v1("GET", f"{place}/properties/a").json() == number


def test_a_property_belongs_to_one_namespace_and_at_most_one_session(account: Account) -> None:
    places = ["/orders", "/orders/s1", "/orders/s2", "/other", "/other/s1"]
    for number, place in enumerate(places):
        account.v1("PUT", f"{place}/properties/a", json=number)
    for number, place in enumerate(places):
        assert account.v1("GET", f"{place}/properties").json() == {"a": number}


def test_deleting_namespace_properties_keeps_session_properties(account: Account) -> None:
    account.v1("PATCH", "/orders/properties", json={"a": 1})
    account.v1("PATCH", "/orders/s1/properties", json={"a": 2})
    account.v1("DELETE", "/orders/properties")
    assert account.v1("GET", "/orders/properties").json() == {}
    assert account.v1("GET", "/orders/s1/properties").json() == {"a": 2}


def test_deleting_session_properties_keeps_all_others(account: Account) -> None:
    for place in ("/orders", "/orders/s1", "/orders/s2"):
        account.v1("PATCH", f"{place}/properties", json={"a": 1})
    account.v1("DELETE", "/orders/s1/properties")
    assert account.v1("GET", "/orders/s1/properties").json() == {}
    assert account.v1("GET", "/orders/properties").json() == {"a": 1}
    assert account.v1("GET", "/orders/s2/properties").json() == {"a": 1}
