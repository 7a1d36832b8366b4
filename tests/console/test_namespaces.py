"""The console's view of an account's namespaces."""

import pytest
from playwright.sync_api import expect

from tests.console.user import User
from tests.support.service import Account

pytestmark = pytest.mark.browser


def test_each_has_its_sessions_and_its_settings(user: User, admin: Account) -> None:
    admin.v1("POST", "?ttlSecond=5400", json={"name": "airline"})
    for session in ("conv-1", "conv-2"):
        admin.v1("PATCH", f"/airline/{session}/properties", json={"step": 1, "mood": "calm"})
    admin.ext("PATCH", "/namespaces/airline", json={"changes": "values", "index": ["step"]})
    admin.v1("POST", "", json={"name": "empty"})
    user.sign_in(admin)
    cells = user.row("airline").get_by_role("cell")
    expect(cells).to_have_count(5)
    expect(cells.nth(0)).to_have_text("2")
    expect(cells.nth(1)).to_have_text("4")
    expect(cells.nth(2)).to_have_text("1 h 30 min")
    expect(cells.nth(3)).to_have_text("names and values")
    expect(cells.nth(4)).to_contain_text("step")
    expect(user.row("empty").get_by_role("cell")).to_have_text(["0", "0", "forever", "off", "none"])
    user.check_accessibility()
    user.check_width()


def test_without_the_scope_settings_are_left_out(user: User, account: Account) -> None:
    account.v1("POST", "", json={"name": "airline"})
    user.sign_in(account)
    expect(user.row("airline").get_by_role("cell")).to_have_text(["0", "0", "forever", "–", "–"])
    expect(user.page.get_by_role("alert")).to_have_count(0)


def test_many_are_read_page_by_page(user: User, account: Account) -> None:
    lines = "\n".join(f'{{"ns": "ns{number:03}", "ttlSecond": 0}}' for number in range(101))
    kind = {"Content-Type": "application/x-ndjson"}
    assert account.ext("POST", "/import", data=lines, headers=kind).status_code == 200
    user.sign_in(account)
    expect(user.page.get_by_role("rowheader")).to_have_count(100)
    user.page.get_by_role("button", name="Show more").click()
    expect(user.page.get_by_role("rowheader")).to_have_count(101)
    expect(user.row("ns100")).to_be_visible()


def test_a_token_of_version_2_lists_them_too(user: User, account: Account) -> None:
    account.v1("PATCH", "/airline/conv-1/properties", json={"step": 1})
    user.sign_in(account, account.token)
    user.page.get_by_role("link", name="airline").click()
    user.page.get_by_role("link", name="conv-1").click()
    expect(user.property("step")).to_contain_text("1")


def test_an_account_without_any_is_told_how_they_come(user: User, account: Account) -> None:
    user.sign_in(account)
    expect(user.page.get_by_text("saving a property creates one")).to_be_visible()


def test_a_token_that_lists_nothing_opens_its_session_by_name(user: User, account: Account) -> None:
    limits = {"ns": "airline", "session": "conv 1-ä", "scope": "read"}
    made = account.ext("POST", "/tokens", json=limits)
    user.sign_in(account, made.json()["token"])
    expect(user.page.get_by_text("This credential lists no namespaces.")).to_be_visible()
    expect(user.page.get_by_label("Namespace", exact=True)).to_have_value("airline")
    user.page.get_by_role("button", name="Open").click()
    assert user.page.url.endswith("#/namespaces/airline/conv%201-%C3%A4")
