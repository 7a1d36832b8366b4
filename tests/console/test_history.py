"""The console's time line of a conversation and of a property."""

from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from ccs_server.store.database import Database
from ccs_server.store.sequencing import sequence
from tests.console.user import User
from tests.support.service import Account
from tests.support.waiting import wait_until

pytestmark = pytest.mark.browser

PLACE = "/airline/conv-1/properties"
CONVERSATION = "#/namespaces/airline/conv-1"


@pytest.fixture
def logged(admin: Account) -> Account:
    """An account whose namespace `airline` logs its changes."""
    admin.ext("PATCH", "/namespaces/airline", json={"changes": "values"})
    return admin


def moments(user: User) -> Locator:
    """What happened, the newest first."""
    return user.page.get_by_role("list", name="Changes, the newest first").locator("> li")


def put(account: Account, name: str, value: Any) -> None:
    assert account.v1("PUT", f"{PLACE}/{name}", json=value).status_code == 204


def test_a_property_is_shown_with_what_each_change_made_different(
    user: User, logged: Account, database: Database
) -> None:
    cart = {"from": "LIS", "to": "JFK", "seats": ["12A", "12B"], "bags": 1, "meals": 0}
    put(logged, "cart", cart)
    put(logged, "cart", cart | {"seats": ["12A", "14C"]})
    put(logged, "step", 1)
    logged.v1("DELETE", f"{PLACE}/cart")
    put(logged, "cart", {"to": "BER"})
    sequence(database)
    user.sign_in(logged, address=CONVERSATION)
    user.page.get_by_role("link", name="History of cart").click()
    user.heading("History of cart")
    expect(moments(user)).to_have_count(4)
    newest, deleted, changed, first = moments(user).all()
    expect(newest.get_by_role("insertion")).to_contain_text('+   "to": "BER"')
    expect(newest.get_by_role("deletion")).to_have_count(0)
    expect(deleted).to_contain_text("deleted")
    expect(changed.get_by_role("deletion")).to_have_text('−     "12B"')
    expect(changed.get_by_role("insertion")).to_have_text('+     "14C"')
    expect(changed).not_to_contain_text("meals")
    expect(first.get_by_role("insertion")).to_contain_text('"meals": 0')
    expect(first).to_contain_text("by this key")
    user.check_accessibility()
    user.check_width()


def test_a_conversation_is_shown_by_what_was_done_at_once(
    user: User, logged: Account, database: Database
) -> None:
    logged.v1("PATCH", PLACE, json={"intent": "rebook", "step": 1})
    logged.v1("PATCH", PLACE, json={"intent": "refund", "step": 2})
    logged.results({"op": "touch", "ns": "airline", "session": "conv-1", "name": "step", "ttl": 60})
    sequence(database)
    user.sign_in(logged, address=f"{CONVERSATION}/history")
    user.heading("History")
    expect(moments(user)).to_have_count(3)
    touched, changed, _ = moments(user).all()
    expect(touched).to_contain_text("has another expiry, expires 1 min later")
    expect(changed.get_by_role("heading")).to_have_text(["step", "intent"])
    expect(changed.get_by_role("deletion")).to_have_text(["1", "rebook"])
    expect(changed.get_by_role("insertion")).to_have_text(["2", "refund"])


def test_an_erasure_of_other_sessions_is_no_part_of_a_history(
    user: User, logged: Account, database: Database
) -> None:
    put(logged, "step", 1)
    logged.v1("PATCH", "/airline/conv-2/properties", json={"who": "ann"})
    erase = {"kind": "erase", "match": {"value": ["ann"]}, "ns": ["airline"]}
    job = logged.ext("POST", "/jobs", json=erase).json()["id"]
    wait_until(lambda: logged.ext("GET", f"/jobs/{job}").json()["state"] == "done")
    sequence(database)
    told = logged.ext("GET", "/changes?ns=airline&session=conv-1").json()["changes"]
    assert [change["type"] for change in told] == ["property.set", "erasure.done"]
    user.sign_in(logged, address=f"{CONVERSATION}/history")
    expect(moments(user)).to_have_count(1)
    expect(moments(user).get_by_role("heading")).to_have_text("step")


def test_older_changes_are_read_page_by_page(
    user: User, logged: Account, database: Database
) -> None:
    place = {"op": "incr", "ns": "airline", "session": "conv-1", "name": "turns"}
    logged.results(*[place] * 60)
    logged.results(*[place] * 60)
    sequence(database)
    user.sign_in(logged, address=f"{CONVERSATION}/history?name=turns")
    expect(user.page.get_by_role("heading", name="turns", exact=True)).to_have_count(100)
    expect(moments(user).last).to_contain_text("Show older changes to see what it was before.")
    user.page.get_by_role("button", name="Show older changes").click()
    expect(user.page.get_by_text("The log goes back no further.")).to_be_visible()
    expect(user.page.get_by_role("heading", name="turns", exact=True)).to_have_count(120)
    expect(user.page.get_by_text("to see what it was before")).to_have_count(0)


def test_html_in_a_difference_is_text_and_long_lines_are_cut(
    user: User, logged: Account, database: Database
) -> None:
    put(logged, "page", "<b>one</b>\n<script>alert(1)</script>")
    put(logged, "page", "<b>two</b>\n<script>alert(1)</script>")
    put(logged, "page", "x" * 400_000 + "<i>three</i>" + "y" * 300_000)
    put(logged, "page", "x" * 400_000 + "<i>four</i>" + "y" * 300_000)
    sequence(database)
    user.page.on("dialog", lambda dialog: user.errors.append(dialog.message))
    user.sign_in(logged, address=f"{CONVERSATION}/history?name=page")
    expect(moments(user)).to_have_count(4)
    newest, _, changed, _ = moments(user).all()
    expect(newest.get_by_role("deletion")).to_have_text("three")
    expect(newest.get_by_role("insertion")).to_have_text("four")
    expect(changed.get_by_role("deletion")).to_have_text("− <b>one</b>")
    assert len(user.page.get_by_role("main").inner_text()) < 5000
    assert user.page.locator("main :is(b, i, script)").count() == 0


def test_a_log_without_values_says_so(user: User, admin: Account, database: Database) -> None:
    admin.ext("PATCH", "/namespaces/airline", json={"changes": "names"})
    put(admin, "step", 1)
    sequence(database)
    user.sign_in(admin, address=f"{CONVERSATION}/history")
    expect(moments(user)).to_contain_text("The log has no values of it.")


def test_nothing_logged_is_nothing_shown(user: User, account: Account) -> None:
    put(account, "step", 1)
    user.sign_in(account, address=f"{CONVERSATION}/history")
    expect(user.page.get_by_text("The change log has nothing of this.")).to_be_visible()
