"""The console's view of the sessions of a namespace."""

import json

import pytest
from playwright.sync_api import Locator, expect

from tests.console.user import User
from tests.support.service import Account

pytestmark = pytest.mark.browser

AIRLINE = "#/namespaces/airline"
LATEST = "#/namespaces/airline?sort=-updatedAt"


def save(account: Account, **sessions: object) -> None:
    for session, status in sessions.items():
        account.v1("PATCH", f"/airline/{session}/properties", json={"status": status})


def found(user: User) -> Locator:
    return user.page.get_by_role("rowheader")


def test_they_are_found_by_the_beginning_of_their_ids(user: User, account: Account) -> None:
    save(account, call1="a", call2="b", chat1="c")
    user.sign_in(account)
    user.page.get_by_role("link", name="airline").click()
    user.heading("airline")
    expect(found(user)).to_have_text(["call1", "call2", "chat1"])
    user.page.get_by_label("Session begins with").fill("call")
    user.page.get_by_label("Session begins with").press("Enter")
    expect(found(user)).to_have_text(["call1", "call2"])
    user.check_accessibility()
    user.check_width()
    user.page.go_back()
    expect(found(user)).to_have_count(3)


def test_they_are_found_by_the_value_of_a_property(user: User, account: Account) -> None:
    save(account, text="open", number=5, digits="5")
    account.v1("PATCH", "/airline/other/properties", json={"score": 5})
    user.sign_in(account, address=AIRLINE)
    expect(found(user)).to_have_count(4)
    for condition, value, sessions in (
        ("is", "open", ["text"]),
        ("is", "5", ["number"]),
        ("is", '"5"', ["digits"]),
        ("begins with", "5", ["digits"]),
        ("is at least", "4.5", ["number"]),
        ("exists", "", ["digits", "number", "text"]),
    ):
        user.page.get_by_label("Property").fill("status")
        user.page.get_by_label("Condition").select_option(condition)
        user.page.get_by_label("Value").fill(value)
        user.page.get_by_role("button", name="Find").click()
        expect(user.page.get_by_role("columnheader", name="status")).to_be_visible()
        expect(found(user)).to_have_text(sessions)


def test_who_may_switches_the_order_by_last_change_on(user: User, admin: Account) -> None:
    save(admin, first="a", second="b")
    save(admin, first="c")
    user.sign_in(admin, address=LATEST)
    user.page.get_by_role("button", name="Switch on").click()
    # The service fills the index by itself, and the page waits for it.
    expect(found(user)).to_have_text(["first", "second"])


def test_others_are_told_who_does(user: User, account: Account) -> None:
    save(account, first="a")
    user.sign_in(account, address=LATEST)
    expect(user.page.get_by_text('{"sortByUpdate": true}')).to_be_visible()
    expect(user.page.get_by_role("button", name="Switch on")).to_have_count(0)
    user.check_accessibility()
    user.page.get_by_role("combobox", name="Order").select_option("by id")
    user.page.get_by_role("button", name="Find").click()
    expect(found(user)).to_have_text(["first"])


def test_ten_thousand_are_read_page_by_page(user: User, account: Account) -> None:
    for begin in range(0, 10_000, 1000):
        lines = [
            {"ns": "airline", "session": f"conv-{number:05}", "name": "step", "value": number}
            for number in range(begin, begin + 1000)
        ]
        body = "\n".join(map(json.dumps, lines))
        kind = {"Content-Type": "application/x-ndjson"}
        assert account.ext("POST", "/import", data=body, headers=kind).status_code == 200
    user.sign_in(account)
    expect(user.row("airline")).to_contain_text("10,000")
    user.page.get_by_role("link", name="airline").click()
    expect(user.page.get_by_text("100 sessions so far")).to_be_visible()
    user.page.get_by_role("button", name="Show more").click()
    expect(found(user)).to_have_count(200)
    expect(found(user).last).to_have_text("conv-00199")
    user.page.get_by_label("Session begins with").fill("conv-0999")
    user.page.get_by_role("button", name="Find").click()
    expect(user.page.get_by_text("10 sessions", exact=True)).to_be_visible()


def test_an_id_that_is_not_there_can_be_opened(user: User, account: Account) -> None:
    save(account, first="a")
    user.sign_in(account, address=f"{AIRLINE}?prefix=f%20x")
    expect(user.page.get_by_text("No session is like this.")).to_be_visible()
    user.page.get_by_role("link", name="Open it").click()
    assert user.page.url.endswith("#/namespaces/airline/f%20x")
