"""The console's view of jobs: an erasure that is counted first, progress, records, and cancelling."""

import pytest
from playwright.sync_api import expect

from ccs_server.store.database import Database
from tests.console.user import User
from tests.support.jobs import held_erasure
from tests.support.service import Account

pytestmark = pytest.mark.browser


def test_an_erasure_is_counted_and_then_carried_out(user: User, admin: Account) -> None:
    for session in ("conv-1", "conv-2"):
        admin.v1("PATCH", f"/airline/{session}/properties", json={"tel": "+49301234567", "a": 1})
    user.sign_in(admin)
    user.page.get_by_role("link", name="Jobs").click()
    user.page.get_by_text("Erase a person or a thing").click()
    user.page.get_by_label("What to look for").fill("+49301234567\n")
    user.page.get_by_label("Reference").fill("ticket-17")
    user.check_accessibility()
    user.page.get_by_role("button", name="Count what would go").click()
    expect(user.page.get_by_text("Would go: 2 properties, 0 whole sessions")).to_be_visible()
    assert admin.v1("GET", "/airline/conv-1/properties").json().keys() == {"tel", "a"}
    user.page.get_by_role("button", name="Erase them").click()
    user.page.get_by_role("dialog").get_by_role("button", name="Erase them").click()
    row = user.row("ticket-17").filter(has_not_text="counted only")
    expect(row).to_contain_text("done")
    expect(row).to_contain_text("2 properties")
    assert admin.v1("GET", "/airline/conv-1/properties").json() == {"a": 1}
    user.check_width()
    row.get_by_role("link").click()
    user.heading("ticket-17")
    expect(user.page.get_by_role("definition").nth(0)).to_have_text("done")
    expect(user.page.get_by_role("main")).not_to_contain_text("+49301234567")
    user.check_accessibility()


def test_a_form_that_was_changed_is_counted_again(user: User, admin: Account) -> None:
    admin.v1("PATCH", "/airline/conv-1/properties", json={"tel": "+49301234567"})
    user.sign_in(admin, address="#/jobs")
    user.page.get_by_text("Erase a person or a thing").click()
    user.page.get_by_label("What to look for").fill("+49301234567")
    user.page.get_by_role("button", name="Count what would go").click()
    expect(user.page.get_by_role("button", name="Erase them")).to_be_visible()
    user.page.get_by_label("What to look for").fill("+4930")
    expect(user.page.get_by_role("button", name="Erase them")).to_have_count(0)


def test_a_job_that_has_not_ended_is_canceled(
    user: User, admin: Account, database: Database
) -> None:
    job = held_erasure(database, admin.id, values=["x"])
    user.sign_in(admin, address=f"#/jobs/{job.id}")
    expect(user.page.get_by_role("progressbar", name="Examined")).to_be_visible()
    user.page.get_by_role("button", name="Cancel the job").click()
    user.check_accessibility()
    user.page.get_by_role("dialog").get_by_role("button", name="Cancel it").click()
    expect(user.page.get_by_role("definition").nth(0)).to_have_text("canceled")
    expect(user.page.get_by_role("button", name="Cancel the job")).to_have_count(0)
