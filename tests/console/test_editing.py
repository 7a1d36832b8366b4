"""Changing a conversation in the console, never without having seen what is there."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.console.user import User
from tests.support.service import Account

pytestmark = pytest.mark.browser

PLACE = "/airline/conv-1/properties"
CONVERSATION = "#/namespaces/airline/conv-1"


@pytest.fixture
def editor(user: User, account: Account) -> User:
    """Someone who looks at a conversation of three properties."""
    properties = {"intent": "rebook", "cart": {"seat": "12A", "price": 1}, "step": 1}
    account.v1("PATCH", PLACE, json=properties)
    user.sign_in(account, address=CONVERSATION)
    expect(user.property("intent")).to_be_visible()
    return user


@pytest.fixture
def other(browser: Browser, editor: User, account: Account) -> Iterator[User]:
    """Someone else who looks at the same conversation."""
    with User(browser, editor.server_url) as other:
        other.sign_in(account, address=CONVERSATION)
        expect(other.property("intent")).to_be_visible()
        yield other


def edit(user: User, name: str, text: str) -> None:
    user.page.get_by_role("button", name=f"Edit {name}").click()
    user.page.get_by_label("Value", exact=True).fill(text)


def press(user: User, button: str) -> None:
    user.page.get_by_role("button", name=button, exact=True).click()


def test_a_text_is_edited_as_text(editor: User, account: Account) -> None:
    edit(editor, "intent", 'refund "now"')
    editor.check_accessibility()
    press(editor, "Save")
    expect(editor.property("intent")).to_contain_text('refund "now"')
    expect(editor.page.get_by_role("button", name="Edit intent")).to_be_focused()
    assert account.v1("GET", f"{PLACE}/intent").json() == 'refund "now"'


def test_other_values_are_edited_as_json_and_keep_their_digits(
    editor: User, account: Account
) -> None:
    edit(editor, "cart", '{"price": 1.10, "id": 12345678901234567890}')
    press(editor, "Save")
    expect(editor.property("cart")).to_contain_text("12345678901234567890")
    assert account.v1("GET", f"{PLACE}/cart").text == '{"price":1.10,"id":12345678901234567890}'


def test_what_is_no_json_is_said_and_not_saved(editor: User, account: Account) -> None:
    edit(editor, "cart", "{seat: 14C}")
    press(editor, "Save")
    expect(editor.page.get_by_role("alert")).to_contain_text("This is no JSON")
    expect(editor.page.get_by_label("Value", exact=True)).to_have_value("{seat: 14C}")
    editor.check_accessibility()
    editor.page.get_by_label("Value is").select_option("text")
    press(editor, "Save")
    expect(editor.property("cart")).to_contain_text("{seat: 14C}")
    assert account.v1("GET", f"{PLACE}/cart").json() == "{seat: 14C}"


def test_nothing_is_overwritten_that_was_not_seen(editor: User, other: User) -> None:
    """Two browsers at one conversation."""
    edit(editor, "cart", '{"seat": "14C"}')
    edit(other, "cart", '{"seat": "21F"}')
    press(other, "Save")
    expect(other.property("cart")).to_contain_text("21F")
    press(editor, "Save")
    conflict = editor.page.get_by_role("alert", name="It has changed")
    expect(conflict).to_contain_text("21F")
    expect(conflict).to_contain_text("14C")
    expect(editor.property("cart").get_by_text("21F")).to_have_count(2)
    editor.check_accessibility()
    editor.check_width()
    press(editor, "Save mine instead")
    expect(other.property("cart")).to_contain_text("14C")
    edit(other, "cart", '{"seat": "1A"}')
    edit(editor, "cart", '{"seat": "2B"}')
    press(editor, "Save")
    expect(editor.property("cart")).to_contain_text("2B")
    press(other, "Save")
    press(other, "Keep what is there")
    expect(other.property("cart")).to_contain_text("2B")
    expect(other.property("cart")).not_to_contain_text("1A")


def test_what_changes_between_a_conflict_and_its_end_is_another_conflict(
    editor: User, account: Account
) -> None:
    edit(editor, "step", "5")
    for step in (2, 3):
        account.v1("PUT", f"{PLACE}/step", json=step)
        press(editor, "Save" if step == 2 else "Save mine instead")
        conflict = editor.page.get_by_role("alert", name="It has changed")
        expect(conflict.get_by_text(str(step), exact=True)).to_be_visible()
    press(editor, "Save mine instead")
    expect(editor.page.get_by_role("button", name="Edit step")).to_be_focused()
    expect(editor.property("step")).to_contain_text("5")


def test_what_was_deleted_meanwhile_is_not_brought_back_unasked(
    editor: User, account: Account
) -> None:
    edit(editor, "step", "5")
    account.v1("DELETE", f"{PLACE}/step")
    press(editor, "Save")
    expect(editor.page.get_by_role("alert", name="It has changed")).to_contain_text("Nothing")
    press(editor, "Save mine instead")
    expect(editor.page.get_by_role("button", name="Edit step")).to_be_focused()
    expect(editor.property("step")).to_contain_text("5")
    assert account.v1("GET", f"{PLACE}/step").json() == 5


def test_what_was_typed_stays_when_the_property_is_deleted_meanwhile(
    user: User, admin: Account
) -> None:
    admin.ext("PATCH", "/namespaces/airline", json={"changes": "values"})
    admin.v1("PATCH", PLACE, json={"note": "a", "step": 1})
    user.sign_in(admin, address=CONVERSATION)
    expect(user.page.get_by_text("Live: changes")).to_be_visible()
    edit(user, "note", "typed")
    admin.v1("DELETE", f"{PLACE}/note")
    expect(user.property("note")).to_have_count(0)
    expect(user.page.get_by_label("Value", exact=True)).to_have_value("typed")
    press(user, "Save")
    press(user, "Save mine instead")
    expect(user.property("note")).to_contain_text("typed")


def test_a_property_is_added_unless_it_is_there(editor: User, account: Account) -> None:
    press(editor, "Add a property")
    editor.page.get_by_label("Name").fill("intent")
    editor.page.get_by_label("Value", exact=True).fill("refund")
    press(editor, "Save")
    expect(editor.page.get_by_role("alert", name="It has changed")).to_contain_text("rebook")
    press(editor, "Keep what is there")
    press(editor, "Add a property")
    editor.page.get_by_label("Name").fill("note/1")
    editor.page.get_by_label("Value", exact=True).fill("call back")
    editor.page.get_by_label("Keep it").select_option("for …")
    editor.page.get_by_label("Amount").fill("2")
    press(editor, "Save")
    expect(editor.property("note/1")).to_contain_text("expires in 1 h 59 min")
    assert account.v1("GET", f"{PLACE}/note/1").json() == "call back"


def test_an_expiry_is_set_and_the_value_stays(editor: User, account: Account) -> None:
    expect(editor.property("intent")).to_contain_text("does not expire")
    editor.page.get_by_role("button", name="Expiry of intent").click()
    editor.page.get_by_label("From now on, keep it").select_option("for …")
    editor.page.get_by_label("Unit").select_option("days")
    editor.check_accessibility()
    press(editor, "Set")
    expect(editor.property("intent")).to_contain_text("expires in 23 h 59 min")
    assert account.v1("GET", f"{PLACE}/intent").json() == "rebook"


def test_a_property_is_deleted_when_that_is_meant(editor: User, account: Account) -> None:
    editor.page.get_by_role("button", name="Delete intent").click()
    editor.page.keyboard.press("Escape")
    expect(editor.page.get_by_role("button", name="Delete intent")).to_be_focused()
    editor.page.get_by_role("button", name="Delete intent").click()
    account.v1("PUT", f"{PLACE}/intent", json="refund")
    press(editor, "Delete")
    expect(editor.page.get_by_role("alert", name="It has changed")).to_contain_text("refund")
    press(editor, "Delete it nevertheless")
    expect(editor.property("intent")).to_have_count(0)
    assert account.v1("GET", f"{PLACE}/intent").status_code == 404


def test_all_is_deleted_if_it_is_as_it_was_seen(editor: User, account: Account) -> None:
    editor.page.get_by_text("The conversation as a whole").click()
    press(editor, "Delete all properties…")
    expect(editor.page.get_by_role("button", name="Delete all", exact=True)).to_be_focused()
    account.v1("PUT", f"{PLACE}/step", json=2)
    press(editor, "Delete all")
    expect(editor.page.get_by_role("alert")).to_contain_text("nothing is deleted")
    press(editor, "Delete all")
    expect(editor.page.get_by_text("Nothing is known of this conversation.")).to_be_visible()
    assert account.v1("GET", PLACE).json() == {}


def test_the_time_to_live_of_a_session_is_seen_and_set(editor: User, account: Account) -> None:
    editor.page.get_by_text("The conversation as a whole").click()
    expect(editor.page.get_by_text("No time to live is set on this session")).to_be_visible()
    editor.page.get_by_label("Time to live").last.select_option("for …")
    press(editor, "Set")
    expect(editor.page.get_by_text("What is saved lives 1 h")).to_be_visible()
    found = account.v1("GET", "/namespace/airline/session").json()
    assert [(each["sessionId"], each["ttlSecond"]) for each in found] == [("conv-1", 3600)]


def test_looking_for_a_lease_takes_none(editor: User, account: Account) -> None:
    place = {"ns": "airline", "session": "conv-1"}
    editor.page.get_by_text("The conversation as a whole").click()
    press(editor, "Who has the lease?")
    expect(editor.page.get_by_text("Nobody has it.")).to_be_visible()
    (lease,) = account.results({"op": "lease", **place, "owner": "bot-7", "seconds": 60})
    press(editor, "Who has the lease?")
    expect(editor.page.get_by_text("bot-7 has it for")).to_be_visible()
    editor.check_accessibility()
    account.results({"op": "release", **place, "fence": lease["fence"]})
    press(editor, "Who has the lease?")
    expect(editor.page.get_by_text("Nobody has it.")).to_be_visible()


def test_who_may_only_read_is_told_so(user: User, admin: Account) -> None:
    admin.v1("PATCH", PLACE, json={"step": 1})
    reader = admin.ext("POST", "/keys", json={"label": "", "scope": "read"}).json()["key"]
    user.sign_in(admin, reader, address=CONVERSATION)
    edit(user, "step", "2")
    press(user, "Save")
    expect(user.page.get_by_role("alert")).to_contain_text("scope")
    expect(user.page.get_by_label("Value", exact=True)).to_have_value("2")


def test_the_keyboard_is_enough(user: User, account: Account) -> None:
    """From the page as it is opened to an edited value."""
    account.v1("PATCH", PLACE, json={"intent": "rebook"})
    user.open()
    user.page.reload()
    keyboard = user.page.keyboard
    expect(user.page.get_by_label("Account")).to_be_focused()
    keyboard.type(account.id)
    keyboard.press("Tab")
    keyboard.type(account.key)
    keyboard.press("Enter")
    for link in ("airline", "conv-1"):
        to = user.page.get_by_role("link", name=link, exact=True)
        expect(to).to_be_visible()
        user.tab_to(to)
        keyboard.press("Enter")
        user.heading(link)
    button = user.page.get_by_role("button", name="Edit intent")
    expect(button).to_be_visible()
    user.tab_to(button)
    keyboard.press("Enter")
    expect(user.page.get_by_label("Value", exact=True)).to_be_focused()
    keyboard.press("Control+A")
    keyboard.type("refund")
    user.tab_to(user.page.get_by_role("button", name="Save", exact=True))
    keyboard.press("Enter")
    expect(button).to_be_focused()
    expect(user.property("intent")).to_contain_text("refund")
