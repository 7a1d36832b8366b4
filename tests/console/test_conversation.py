"""The console's view of a conversation, as it is and while it changes."""

import pytest
from playwright.sync_api import Browser, expect

from ccs_server.store.database import Database
from tests.console.user import User
from tests.support.ports import free_port
from tests.support.service import Account, environment, new_account, serving

pytestmark = pytest.mark.browser

PLACE = "/airline/conv-1/properties"
AIRLINE = "#/namespaces/airline"
CONVERSATION = f"{AIRLINE}/conv-1"
LIVE = "Live: changes show as they happen"
POLLING = "Asking for changes every 2 seconds"


@pytest.fixture
def logged(admin: Account) -> Account:
    """An account whose namespace `airline` logs its changes."""
    admin.ext("PATCH", "/namespaces/airline", json={"changes": "values"})
    return admin


def test_each_property_has_its_expiry_and_its_writer(user: User, logged: Account) -> None:
    made = logged.ext("POST", "/keys", json={"label": "rebooking bot", "scope": "write"})
    bot = {"maven-api-key": made.json()["key"]}
    logged.v1("PATCH", PLACE, json={"intent": "rebook"}, headers={"Ccs-TTL": "3600"})
    logged.v1("PATCH", PLACE, json={"legs": [{"from": "LIS", "to": "JFK"}]}, headers=bot)
    user.sign_in(logged, address=CONVERSATION)
    intent, legs = user.property("intent"), user.property("legs")
    expect(intent).to_contain_text("rebook")
    expect(intent).to_contain_text("expires in 59 min")
    expect(intent).to_contain_text("by this key")
    expect(legs).to_contain_text("does not expire")
    expect(legs).to_contain_text("by rebooking bot")
    user.page.get_by_text("1 element").click()
    expect(legs.get_by_text("LIS")).to_be_hidden()
    user.page.get_by_text("1 element").click()
    expect(legs.get_by_text("LIS")).to_be_visible()
    user.check_accessibility()
    user.check_width()


def test_a_number_has_all_its_digits(user: User, account: Account) -> None:
    account.v1("PUT", f"{PLACE}/sum", data="[1.10, 12345678901234567890, 1e2]",
               headers={"Content-Type": "application/json"})  # fmt: skip
    user.sign_in(account, address=CONVERSATION)
    for number in ("1.10", "12345678901234567890", "1e2"):
        expect(user.property("sum").get_by_text(number, exact=True)).to_be_visible()


def test_html_and_scripts_are_text(user: User, logged: Account) -> None:
    """As a value, a member, the name of a property, a session and a label of a key."""
    texts = [
        "<img src=x onerror=alert(1)>",
        "<script>alert(1)<script>",
        "javascript:alert(1)",
        "${1}",
    ]
    made = logged.ext("POST", "/keys", json={"label": texts[0], "scope": "write"})
    place = {"op": "set", "ns": "airline", "session": texts[0]}
    operations = [{**place, "name": text, "value": {text: [text]}} for text in texts]
    bot = {"maven-api-key": made.json()["key"]}
    assert logged.ext("POST", "/ops", json={"ops": operations}, headers=bot).status_code == 200
    user.page.on("dialog", lambda dialog: user.errors.append(dialog.message))
    user.sign_in(logged, address=AIRLINE)
    user.page.get_by_role("link", name=texts[0]).click()
    user.heading(texts[0])
    for text in texts:
        shown = user.property(text)
        expect(shown.get_by_role("listitem").get_by_text(text).last).to_be_visible()
        expect(shown).to_contain_text(f"by {texts[0]}")
    assert user.page.locator("main :is(img, script)").count() == 0


def test_a_long_text_is_shown_when_asked_for(user: User, account: Account) -> None:
    account.v1("PUT", f"{PLACE}/story", json="once " * 159_900)
    user.sign_in(account, address=CONVERSATION)
    story = user.property("story")
    assert len(story.inner_text()) < 1000
    story.get_by_role("button", name="Show all 799,500 characters").click()
    assert len(story.inner_text()) > 799_000
    user.check_width()
    story.get_by_role("button", name="Show less").click()
    assert len(story.inner_text()) < 1000
    story.get_by_role("button", name="Edit").click()
    user.page.keyboard.press("Control+End")
    user.page.keyboard.type("more")
    story.get_by_role("button", name="Save").click()
    expect(story.get_by_role("button", name="Edit")).to_be_focused()
    assert account.v1("GET", f"{PLACE}/story").json().endswith("once more")


def test_a_long_list_is_shown_bit_by_bit(user: User, account: Account) -> None:
    account.v1("PUT", f"{PLACE}/log", json=[f"line {number}" for number in range(50_000)])
    user.sign_in(account, address=CONVERSATION)
    log = user.property("log")
    log.get_by_text("50000 elements").click()
    expect(log.get_by_role("listitem")).to_have_count(50)
    log.get_by_role("button", name="Show more of 50000").click()
    expect(log.get_by_role("listitem")).to_have_count(550)


def test_what_changes_is_shown_and_told(user: User, logged: Account) -> None:
    logged.v1("PATCH", PLACE, json={"step": 1, "mood": "calm"})
    user.sign_in(logged, address=CONVERSATION)
    expect(user.page.get_by_text(LIVE)).to_be_visible()
    logged.v1("PUT", f"{PLACE}/step", json=2)
    expect(user.property("step")).to_contain_text("2")
    expect(user.page.get_by_text("step changed")).to_be_attached()
    logged.v1("PUT", f"{PLACE}/agent", json="marta")
    expect(user.property("agent")).to_contain_text("marta")
    logged.v1("DELETE", f"{PLACE}/mood")
    expect(user.property("mood")).to_have_count(0)
    expect(user.page.get_by_text("mood gone")).to_be_attached()


def test_a_page_that_nobody_sees_takes_no_connection(user: User, logged: Account) -> None:
    hide = """hidden => {
        Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    logged.v1("PATCH", PLACE, json={"step": 1})
    user.sign_in(logged, address=CONVERSATION)
    expect(user.page.get_by_text(LIVE)).to_be_visible()
    user.page.evaluate(hide, arg=True)
    expect(user.page.get_by_text("Not connected.")).to_be_visible()
    logged.v1("PUT", f"{PLACE}/step", json=2)
    user.page.evaluate(hide, arg=False)
    expect(user.page.get_by_text(LIVE)).to_be_visible()
    expect(user.property("step")).to_contain_text("2")


def test_what_expires_goes(user: User, logged: Account) -> None:
    logged.v1("PATCH", PLACE, json={"code": 1234}, headers={"Ccs-TTL": "2"})
    logged.v1("PATCH", PLACE, json={"step": 1})
    user.sign_in(logged, address=CONVERSATION)
    expect(user.property("code")).to_contain_text("expires in")
    expect(user.property("code")).to_have_count(0)
    expect(user.property("step")).to_be_visible()


def test_a_namespace_that_logs_nothing_is_asked(user: User, account: Account) -> None:
    account.v1("PATCH", PLACE, json={"step": 1})
    user.sign_in(account, address=CONVERSATION)
    expect(user.page.get_by_text(POLLING)).to_be_visible()
    account.v1("PUT", f"{PLACE}/step", json=2)
    expect(user.property("step")).to_contain_text("2")


def test_a_token_of_a_session_shows_what_it_reaches(user: User, logged: Account) -> None:
    logged.v1("PATCH", PLACE, json={"step": 1, "secret": "x"})
    limits = {"ns": "airline", "session": "conv-1", "scope": "read", "names": ["step"]}
    token = logged.ext("POST", "/tokens", json=limits).json()["token"]
    user.sign_in(logged, token, address=CONVERSATION)
    expect(user.page.get_by_text(LIVE)).to_be_visible()
    expect(user.property("step")).to_contain_text("1")
    expect(user.property("secret")).to_have_count(0)
    user.page.get_by_role("link", name="airline").click()
    expect(user.page.get_by_role("alert")).to_contain_text("session")
    expect(user.page.get_by_text("No session is like this.")).to_have_count(0)


def test_a_key_that_is_revoked_is_said(user: User, logged: Account) -> None:
    logged.v1("PATCH", PLACE, json={"step": 1})
    made = logged.ext("POST", "/keys", json={"label": "mine", "scope": "read"}).json()
    user.sign_in(logged, made["key"], address=CONVERSATION)
    expect(user.page.get_by_text(LIVE)).to_be_visible()
    logged.ext("DELETE", f"/keys/{made['keyId']}")
    expect(user.page.get_by_text("No longer kept up to date")).to_be_visible()
    expect(user.page.get_by_role("alert")).to_contain_text("key")


def test_a_session_that_no_path_can_name_is_shown(user: User, account: Account) -> None:
    account.ops({"op": "set", "ns": "airline", "session": "..", "name": ".", "value": "dots"})
    user.sign_in(account, address="#/namespaces/airline/..")
    expect(user.property(".")).to_contain_text("dots")


def test_it_goes_on_when_the_service_is_killed_and_started_again(
    browser: Browser, database: Database, database_url: str
) -> None:
    env = environment(CCS_DATABASE_URL=database_url)
    start = ["--port", str(free_port()), "--workers", "1"]
    with serving(*start, env=env) as server, new_account(server, database, "admin") as account:
        account.ext("PATCH", "/namespaces/airline", json={"changes": "values"})
        account.v1("PATCH", PLACE, json={"step": 1})
        with User(browser, server.url, expected=("Failed to load resource",)) as user:
            user.sign_in(account, address=CONVERSATION)
            expect(user.page.get_by_text(LIVE)).to_be_visible()
            server.process.kill()
            expect(user.page.get_by_text("Not connected. Trying again…")).to_be_visible()
            expect(user.property("step")).to_contain_text("1")
            with serving(*start, env=env):
                account.v1("PUT", f"{PLACE}/step", json=2)
                expect(user.page.get_by_text(LIVE)).to_be_visible()
                expect(user.property("step")).to_contain_text("2")
