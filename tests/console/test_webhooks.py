"""The console's view of webhooks: made, paused, resumed and deleted, how far behind they are and why."""

import pytest
from playwright.sync_api import Locator, expect

from ccs_server.store.database import Database
from ccs_server.store.sequencing import sequence
from tests.console.user import User
from tests.support.ports import free_port
from tests.support.receivers import receiving
from tests.support.service import Account
from tests.support.waiting import wait_until

pytestmark = pytest.mark.browser


def dialog(user: User) -> Locator:
    return user.page.get_by_role("dialog")


def test_a_webhook_that_fails_says_why_and_is_paused_and_resumed(
    user: User, admin: Account
) -> None:
    url = f"https://127.0.0.1:{free_port()}/hook"
    admin.ext("PATCH", "/namespaces/airline", json={"changes": "names"})
    made = admin.ext("POST", "/webhooks", json={"url": url, "ns": ["airline"]})
    made.raise_for_status()
    admin.v1("PATCH", "/airline/conv-1/properties", json={"step": 1})
    user.sign_in(admin)
    user.page.get_by_role("link", name="Webhooks").click()
    cells = user.row(url).get_by_role("cell")
    expect(cells.nth(0)).to_have_text("all changes of airline")
    expect(cells.nth(1)).to_have_text("active, failing")
    expect(cells.nth(2)).to_have_text("1 change")
    expect(cells.nth(3)).to_contain_text("connect")
    user.check_accessibility()
    user.check_width()
    user.row(url).get_by_role("button", name="Pause").click()
    expect(cells.nth(1)).to_contain_text("paused")
    path = f"/webhooks/{made.json()['id']}"
    assert admin.ext("GET", path).json()["state"] == "paused"
    user.row(url).get_by_role("button", name="Resume").click()
    expect(cells.nth(1)).to_contain_text("active")
    assert admin.ext("GET", path).json()["state"] == "active"


def test_a_webhook_is_made_and_its_secret_shown_once(
    user: User, admin: Account, database: Database
) -> None:
    with receiving() as receiver:
        user.context.grant_permissions(["clipboard-read", "clipboard-write"])
        admin.ext("PATCH", "/namespaces/airline", json={"changes": "names"})
        user.sign_in(admin, address="#/webhooks")
        expect(user.page.get_by_text("There are no webhooks.")).to_be_visible()
        user.page.get_by_role("button", name="Make a webhook").click()
        user.page.get_by_label("URL").fill(receiver.url)
        user.page.get_by_label("Only of these namespaces").fill("airline, bank")
        user.page.get_by_label("property.set").check()
        user.page.get_by_label("property.deleted").check()
        user.check_accessibility()
        user.check_width()
        dialog(user).get_by_role("button", name="Make it").click()
        cells = user.row(receiver.url).get_by_role("cell")
        expect(cells.nth(0)).to_have_text("property.set, property.deleted of airline, bank")
        secret = user.page.get_by_label("Secret").input_value()
        user.check_accessibility()
        user.page.get_by_role("button", name="Copy", exact=True).click()
        expect(user.page.get_by_role("status")).to_have_text("Secret: copied.")
        assert user.page.evaluate("navigator.clipboard.readText()") == secret
        admin.v1("PATCH", "/airline/conv-1/properties", json={"step": 1})
        sequence(database)
        wait_until(lambda: bool(receiver.received))
        receiver.received[0].verify(secret)
    user.page.get_by_role("link", name="Activity").click()
    user.page.get_by_role("link", name="Webhooks").click()
    expect(user.row(receiver.url)).to_be_visible()
    assert secret not in user.page.content()


def test_a_webhook_that_cannot_be_made_says_why_and_keeps_what_was_typed(
    user: User, admin: Account
) -> None:
    user.sign_in(admin, address="#/webhooks")
    user.page.get_by_role("button", name="Make a webhook").click()
    user.page.get_by_label("URL").fill("https://10.0.0.1/hook")
    dialog(user).get_by_role("button", name="Make it").click()
    expect(dialog(user).get_by_role("alert")).to_contain_text("lead to a public address")
    expect(user.page.get_by_label("URL")).to_have_value("https://10.0.0.1/hook")
    user.page.keyboard.press("Escape")
    expect(user.page.get_by_role("button", name="Make a webhook")).to_be_focused()
    assert admin.ext("GET", "/webhooks").json()["webhooks"] == []


def test_a_webhook_is_deleted_when_that_was_confirmed(user: User, admin: Account) -> None:
    url = f"https://127.0.0.1:{free_port()}/hook"
    admin.ext("POST", "/webhooks", json={"url": url}).raise_for_status()
    user.sign_in(admin, address="#/webhooks")
    remove = user.row(url).get_by_role("button", name="Delete")
    remove.click()
    user.check_accessibility()
    dialog(user).get_by_role("button", name="Cancel").click()
    expect(remove).to_be_focused()
    remove.click()
    dialog(user).get_by_role("button", name="Delete it").click()
    expect(user.page.get_by_text("There are no webhooks.")).to_be_visible()
    assert admin.ext("GET", "/webhooks").json()["webhooks"] == []
