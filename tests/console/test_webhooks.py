"""The console's view of webhooks: how far behind they are and why, paused and resumed."""

import pytest
from playwright.sync_api import expect

from tests.console.user import User
from tests.support.ports import free_port
from tests.support.service import Account

pytestmark = pytest.mark.browser


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


def test_without_any_it_says_how_to_make_one(user: User, admin: Account) -> None:
    user.sign_in(admin, address="#/webhooks")
    expect(user.page.get_by_text("There are no webhooks.")).to_be_visible()
