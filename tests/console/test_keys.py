"""The console's view of keys: made, shown once, rotated and revoked."""

import re

import pytest
from playwright.sync_api import Locator, expect

from tests.console.user import User
from tests.support.service import Account

pytestmark = pytest.mark.browser


def dialog(user: User) -> Locator:
    return user.page.get_by_role("dialog")


def status(account: Account, key: str, path: str = "/bank/properties") -> int:
    return account.v1("GET", path, headers={"maven-api-key": key}).status_code


def test_a_key_is_made_and_shown_once(user: User, admin: Account) -> None:
    user.context.grant_permissions(["clipboard-read", "clipboard-write"])
    user.sign_in(admin)
    user.page.get_by_role("link", name="Keys").click()
    user.page.get_by_role("button", name="Make a key").click()
    user.page.get_by_label("What it is for").fill("<b>reports")
    user.page.get_by_label("What it may do").select_option("read")
    user.page.get_by_label("Only in these namespaces").fill("bank, air*")
    user.page.get_by_label("It ends").select_option(label="in a day")
    user.check_accessibility()
    dialog(user).get_by_role("button", name="Make it").click()
    shown = user.page.get_by_label("Key <b>reports")
    key = shown.input_value()
    cells = user.row("<b>reports").get_by_role("cell")
    expect(cells.nth(1)).to_have_text("read")
    expect(cells.nth(2)).to_have_text("bank, air*")
    expect(cells.nth(4)).not_to_have_text("never")
    assert (status(admin, key), status(admin, key, "/hotel/properties")) == (200, 403)
    user.page.get_by_role("button", name="Copy").click()
    expect(user.page.get_by_role("status")).to_have_text("Key <b>reports: copied.")
    assert user.page.evaluate("navigator.clipboard.readText()") == key
    user.check_width()
    user.page.get_by_role("link", name="Activity").click()
    user.page.get_by_role("link", name="Keys").click()
    expect(user.row("<b>reports")).to_be_visible()
    assert key not in user.page.content()


def test_a_key_that_cannot_be_made_says_why_and_keeps_what_was_typed(
    user: User, admin: Account
) -> None:
    user.sign_in(admin, address="#/keys")
    user.page.get_by_role("button", name="Make a key").click()
    user.page.get_by_label("What it is for").fill("mine")
    user.page.get_by_label("What it may do").select_option("admin")
    user.page.get_by_label("Only in these namespaces").fill("bank")
    dialog(user).get_by_role("button", name="Make it").click()
    expect(dialog(user).get_by_role("alert")).to_contain_text("not limited to namespaces")
    expect(user.page.get_by_label("What it is for")).to_have_value("mine")
    user.page.keyboard.press("Escape")
    expect(dialog(user)).to_have_count(0)
    expect(user.page.get_by_role("button", name="Make a key")).to_be_focused()


def test_a_key_is_rotated_with_an_overlap_and_revoked(user: User, admin: Account) -> None:
    old = admin.ext("POST", "/keys", json={"scope": "read", "label": "bot"}).json()
    user.sign_in(admin, address="#/keys")
    user.page.get_by_role("button", name="Rotate bot").click()
    user.page.get_by_label("The old one ends").select_option(label="in an hour")
    dialog(user).get_by_role("button", name="Rotate it").click()
    new = user.page.get_by_label("Key bot").input_value()
    assert new != old["key"]
    assert status(admin, old["key"]) == status(admin, new) == 200
    rows = user.page.get_by_role("row").filter(has_text="bot")
    expect(rows).to_have_count(2)
    ending = user.page.get_by_role("row").filter(has_text=old["keyId"])
    ending.get_by_role("button", name="Revoke").click()
    dialog(user).get_by_role("button", name="Cancel").click()
    expect(rows).to_have_count(2)
    ending.get_by_role("button", name="Revoke").click()
    dialog(user).get_by_role("button", name="Revoke it").click()
    expect(rows).to_have_count(1)
    listed = admin.ext("GET", "/keys").json()["keys"]
    assert old["keyId"] not in [key["keyId"] for key in listed]


def test_who_may_not_manage_keys_is_offered_none(user: User, account: Account) -> None:
    user.sign_in(account, address="#/keys")
    expect(user.page.get_by_text(re.compile("does not see the keys.*scope"))).to_be_visible()
    expect(user.page.get_by_role("link", name="Activity")).to_be_visible()
    expect(user.page.get_by_role("link", name=re.compile("Keys|Jobs|Webhooks"))).to_have_count(0)
