"""The console's exports and imports: what goes to files, in parts, and on after errors."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FilePayload, Route, expect

from tests.console.user import User
from tests.support.service import Account, Server

pytestmark = pytest.mark.browser

NDJSON = "application/x-ndjson"


def lines(count: int) -> str:
    made = ({"ns": "air", "session": f"s{n}", "name": "p", "value": n} for n in range(count))
    return "".join(f"{json.dumps(line)}\n" for line in made)


def fill(account: Account, count: int) -> None:
    sent = lines(count).splitlines(keepends=True)
    for first in range(0, count, 1000):
        body = "".join(sent[first : first + 1000])
        response = account.ext("POST", "/import", data=body, headers={"Content-Type": NDJSON})
        response.raise_for_status()


def choose(user: User, content: str | bytes) -> None:
    buffer = content.encode() if isinstance(content, str) else content
    file: FilePayload = {"name": "export.ndjson", "mimeType": NDJSON, "buffer": buffer}
    user.page.get_by_label("File").set_input_files(files=[file])


def test_an_export_is_downloaded_and_imported_again(
    user: User, account: Account, other_account: Account, tmp_path: Path
) -> None:
    exact = '{"exact":1.10,"text":"<b>é"}'.encode()
    headers = {"Content-Type": "application/json"}
    saved = account.v1("PATCH", "/airline/conv-1/properties", data=exact, headers=headers)
    saved.raise_for_status()
    fill(account, 5500)
    user.sign_in(account)
    user.page.get_by_role("link", name="Export and import").click()
    with user.page.expect_download() as download:
        user.page.get_by_role("button", name="Download").click()
    file = tmp_path / "export.ndjson"
    download.value.save_as(file)
    assert download.value.suggested_filename == f"{account.id}.ndjson"
    expect(user.page.get_by_text("5,504 lines: the export is complete.")).to_be_visible()
    exported = file.read_text().splitlines()
    assert len(exported) == 5504
    assert '"value":1.10' in next(line for line in exported if '"exact"' in line)
    user.page.get_by_role("button", name="Sign out").click()

    user.sign_in(other_account, address="#/transfer")
    choose(user, file.read_bytes())
    user.page.get_by_role("button", name="Import", exact=True).click()
    expect(user.page.get_by_text("5,504 saved, 0 skipped: the import is complete.")).to_be_visible()
    assert (
        other_account.v1("GET", "/airline/conv-1/properties").content
        == account.v1("GET", "/airline/conv-1/properties").content
    )
    user.check_accessibility()
    user.check_width()


def test_a_file_is_written_while_it_comes(
    browser: Browser, server: Server, account: Account
) -> None:
    """Where pages may write files. The picker cannot be operated here: it leads to a file of the browser's own."""
    account.v1("PATCH", "/airline/conv-1/properties", json={"step": 1})
    with User(browser, server.url) as user:
        user.page.add_init_script(
            "window.showSaveFilePicker = async ({ suggestedName }) =>"
            " (await navigator.storage.getDirectory()).getFileHandle(suggestedName, { create: true })"
        )
        user.sign_in(account, address="#/transfer")
        user.page.get_by_label("Only this namespace").fill("airline")
        user.page.get_by_role("button", name="Write to a file").click()
        expect(user.page.get_by_text("the export is complete")).to_be_visible()
        written = user.page.evaluate(
            """async (name) => {
                const directory = await navigator.storage.getDirectory();
                return (await (await directory.getFileHandle(name)).getFile()).text();
            }""",
            f"{account.id}-airline.ndjson",
        )
        assert [json.loads(line).get("name") for line in written.splitlines()] == [None, "step"]


def test_an_export_goes_on_after_an_error(
    browser: Browser, server: Server, account: Account, tmp_path: Path
) -> None:
    fill(account, 5500)

    failed: list[str] = []

    def fail_once(route: Route) -> None:
        if "after=" in route.request.url and not failed:
            failed.append(route.request.url)
            route.abort()
        else:
            route.continue_()

    with User(browser, server.url) as user:
        user.expected = (*user.expected, "net::ERR_FAILED")
        user.page.route("**/export*", fail_once)
        user.sign_in(account, address="#/transfer")
        user.page.get_by_role("button", name="Download").click()
        expect(user.page.get_by_role("alert")).to_contain_text("cannot be reached")
        with user.page.expect_download() as download:
            user.page.get_by_role("button", name="Go on").click()
        download.value.save_as(tmp_path / "export")
        exported = (tmp_path / "export").read_text().splitlines()
        assert len(exported) == len(set(exported)) == 5501


def test_a_bad_line_is_named_and_what_follows_can_be_imported(user: User, account: Account) -> None:
    user.sign_in(account, address="#/transfer")
    good = lines(1500).splitlines(keepends=True)
    choose(user, "".join([*good[:1200], '{"ns":"a/b"}\n', *good[1200:]]))
    user.page.get_by_role("button", name="Import", exact=True).click()
    expect(user.page.get_by_role("alert")).to_contain_text("Line 1201 is bad:")
    expect(user.page.get_by_text("1,000 saved, 0 skipped; the next line is 1,001")).to_be_visible()
    expect(user.page.get_by_label("From line")).to_have_value("1001")
    # The file that was put right, from that line on; its last line has no end.
    choose(user, "".join(good).rstrip("\n"))
    user.page.get_by_label("What exists is").select_option(label="kept")
    user.page.get_by_role("button", name="Import", exact=True).click()
    expect(user.page.get_by_text("500 saved, 0 skipped: the import is complete.")).to_be_visible()
    ids = account.v1("GET", "/air/session-ids", params={"perPage": 1000}).json()
    assert len(ids) == 1000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"ns":"' + b"x" * 1_100_000, "Line 1 is longer than 1 MiB"),
        (b'{"ns":"\xff"}\n', "from line 1 on is not UTF-8"),
    ],
)
def test_what_cannot_be_sent_is_refused(
    user: User, account: Account, content: bytes, message: str
) -> None:
    user.sign_in(account, address="#/transfer")
    choose(user, content)
    user.page.get_by_role("button", name="Import", exact=True).click()
    expect(user.page.get_by_role("alert")).to_contain_text(message)
