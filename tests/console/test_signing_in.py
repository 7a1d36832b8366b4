"""Signing in to the console, what it does with the credential, and the page around its views."""

import pytest
from playwright.sync_api import expect

from tests.console.user import User
from tests.support.service import Account

pytestmark = pytest.mark.browser


def test_a_key_leads_to_the_activity_of_its_account(user: User, account: Account) -> None:
    account.v1("PATCH", "/airline/conv-1/properties", json={"step": 1})
    user.open()
    user.check_accessibility()
    user.check_width()
    user.sign_in(account, address="")
    user.heading("Activity")
    expect(user.page.get_by_text(f"Account {account.id}")).to_be_visible()
    expect(user.row("airline")).to_contain_text("1")


def test_a_wrong_key_is_told_what_is_wrong(user: User, account: Account) -> None:
    user.sign_in(account, account.key + "x")
    expect(user.page.get_by_role("alert")).to_contain_text("key")
    expect(user.page.get_by_role("button", name="Sign in")).to_be_enabled()


def test_the_key_is_kept_nowhere(user: User, account: Account) -> None:
    user.sign_in(account, address="")
    user.heading("Activity")
    kept = user.page.evaluate(
        "[location.href.replace(/#$/, ''), document.cookie, localStorage.length, sessionStorage.length]"
    )
    assert kept == [f"{user.server_url}/console", "", 0, 0]
    assert user.page.evaluate("async () => (await indexedDB.databases()).length") == 0
    assert account.key not in user.page.content()
    user.page.reload()
    expect(user.page.get_by_label("Key or token")).to_have_value("")


def test_signing_out_forgets_the_account(user: User, account: Account) -> None:
    account.v1("PATCH", "/airline/conv-1/properties", json={"step": 1})
    user.sign_in(account)
    user.page.get_by_role("link", name="airline").click()
    user.page.get_by_role("button", name="Sign out").click()
    expect(user.page.get_by_label("Account")).to_be_focused()
    assert account.id not in user.page.content()
    assert "airline" not in user.page.url


def test_an_address_that_is_none_says_so(user: User, account: Account) -> None:
    user.sign_in(account, address="#/nowhere/%zz")
    user.heading("Nothing here")
    user.page.get_by_role("link", name="Go to the first one").click()
    user.heading("Activity")
