"""The console's first page: what an account has, what is done with it, and what is about to expire."""

from datetime import UTC, datetime

import pytest
from playwright.sync_api import Browser, expect

from ccs_server.domain.access import Access, Scope
from ccs_server.store import credentials
from ccs_server.store.activity import record
from ccs_server.store.credentials import KeyTerms
from ccs_server.store.database import Database
from tests.console.user import User
from tests.support.service import Account, Server

pytestmark = pytest.mark.browser


def test_it_shows_numbers_charts_and_namespaces(
    user: User, account: Account, database: Database
) -> None:
    account.v1("POST", "?ttlSecond=1200", json={"name": "airline"})
    account.v1("PATCH", "/airline/conv-1/properties", json={"step": 1, "intent": "rebook"})
    record(database, {(account.id, int(datetime.now(UTC).timestamp()) // 60 - 2): [1234, 56]})
    user.sign_in(account, address="")
    user.heading("Activity")
    cells = user.row("airline").get_by_role("cell")
    expect(cells).to_have_text(["1", "2", "20 min"])
    expect(user.page.get_by_role("img", name="Saves: 1,234 in the last hour")).to_be_visible()
    expect(user.page.get_by_role("img", name="Reads: 56 in the last hour")).to_be_visible()
    expect(user.page.get_by_role("img", name="Expiries to come: 2 properties")).to_be_visible()
    user.check_width()
    chart = user.page.get_by_role("figure").filter(has_text="Saves")
    chart.get_by_text("As a table").click()
    rows = chart.get_by_role("row")
    expect(rows).to_have_count(61)
    expect(rows.filter(has_text="1,234")).to_have_count(1)
    user.check_accessibility()
    user.row("airline").get_by_role("link").click()
    user.heading("airline")


def test_it_shows_what_has_changed_within_ten_seconds(
    browser: Browser, server: Server, account: Account
) -> None:
    with User(browser, server.url) as user:
        user.page.clock.install()
        user.sign_in(account, address="")
        expect(user.page.get_by_text("There are no namespaces yet")).to_be_visible()
        account.v1("PATCH", "/airline/conv-1/properties", json={"step": 1})
        user.page.clock.run_for(10_000)
        expect(user.row("airline")).to_be_visible()


def test_a_limited_key_sees_its_namespaces(
    user: User, account: Account, database: Database
) -> None:
    for namespace in ("airline", "bank"):
        account.v1("PATCH", f"/{namespace}/conv-1/properties", json={"step": 1})
    terms = KeyTerms(Access(Scope.READ, ("bank",)))
    user.sign_in(account, credentials.create_key(database, account.id, terms=terms).key, address="")
    expect(user.row("bank").get_by_role("cell")).to_have_text(["1", "1", "forever"])
    expect(user.row("airline")).to_have_count(0)
    expect(user.page.get_by_role("img", name="Saves")).to_have_count(0)


def test_a_session_token_is_led_to_its_session(user: User, account: Account) -> None:
    limits = {"ns": "airline", "session": "conv-1", "scope": "read"}
    user.sign_in(account, account.ext("POST", "/tokens", json=limits).json()["token"], address="")
    user.page.get_by_role("link", name="Open its session").click()
    user.heading("conv-1")
