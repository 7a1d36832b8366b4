"""What one has just done, to copy as a command and as a program: both do the same again."""

import os
import subprocess
import sys
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.console.user import User
from tests.support.service import Account

pytestmark = pytest.mark.browser

ODD = 'it\'s "new" $HOME `x` \\n é 🙂'


def copied(user: User, label: str) -> str:
    details = user.page.get_by_text("The last request")
    if user.page.get_by_label("As curl").count() == 0:
        details.click()
    return user.page.get_by_label(label).input_value()


def run(account: Account, command: list[str], program: str) -> str:
    environment = os.environ | {"CCS_API_KEY": account.key, "NO_PROXY": "*"}
    done = subprocess.run(
        command, input=program, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_a_request_is_repeated_by_what_was_copied(user: User, admin: Account) -> None:
    admin.v1("PATCH", "/airline/conv-1/properties", json={"step": 1})
    user.sign_in(admin, address="#/keys")
    user.page.get_by_role("button", name="Make a key").click()
    user.page.get_by_label("What it is for").fill(ODD)
    user.page.get_by_role("dialog").get_by_role("button", name="Make it").click()
    expect(user.page.get_by_label(f"Key {ODD}")).to_be_visible()
    expect(user.page.get_by_text("The last request")).to_contain_text("POST")
    curl, python = copied(user, "As curl"), copied(user, "As Python")
    assert admin.key not in curl + python
    run(admin, ["sh"], curl)
    run(admin, [sys.executable, "-"], python)
    labels = [key["label"] for key in admin.ext("GET", "/keys").json()["keys"]]
    assert labels.count(ODD) == 3
    user.check_accessibility()
    user.check_width()


def test_making_and_deleting_a_webhook_is_repeated_by_what_was_copied(
    user: User, admin: Account
) -> None:
    def listed() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = admin.ext("GET", "/webhooks").json()["webhooks"]
        return found

    user.sign_in(admin, address="#/webhooks")
    user.page.get_by_role("button", name="Make a webhook").click()
    user.page.get_by_label("URL").fill("https://127.0.0.1/it's?a=$b")
    user.page.get_by_label("Only of these namespaces").fill("airline")
    user.page.get_by_label("erasure.done").check()
    user.page.get_by_role("dialog").get_by_role("button", name="Make it").click()
    expect(user.page.get_by_label("Secret")).to_be_visible()
    made = copied(user, "As curl"), copied(user, "As Python")
    [first] = listed()
    user.page.get_by_role("button", name="Delete").click()
    user.page.get_by_role("dialog").get_by_role("button", name="Delete it").click()
    expect(user.page.get_by_text("There are no webhooks.")).to_be_visible()
    for deletes, makes in zip(("As curl", "As Python"), made, strict=True):
        command = ["sh"] if deletes == "As curl" else [sys.executable, "-"]
        assert "whsec_" in run(admin, command, makes)
        [again] = listed()
        assert [again[name] for name in ("url", "ns", "types")] == [
            first[name] for name in ("url", "ns", "types")
        ]
        run(admin, command, copied(user, deletes).replace(first["id"], again["id"]))
        assert listed() == []


def test_a_search_is_repeated_by_what_was_copied(user: User, account: Account) -> None:
    account.v1("PATCH", "/airline/conv-1/properties", json={"step": 1.10})
    account.v1("PATCH", "/airline/conv-2/properties", json={"step": 2})
    user.sign_in(account, address="#/namespaces/airline?name=step&operator=%24eq&value=1.10")
    user.heading("airline")
    expect(user.row("conv-1")).to_be_visible()
    for program in ((["sh"], "As curl"), ([sys.executable, "-"], "As Python")):
        printed = run(account, program[0], copied(user, program[1]))
        assert "conv-1" in printed
        assert "conv-2" not in printed
