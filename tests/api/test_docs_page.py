"""The documentation page in a real browser that can only connect to the server."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Locator,
    Page,
    Route,
    expect,
    sync_playwright,
)

from tests.support.service import Account, Server

pytestmark = pytest.mark.browser

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = [
    "--no-sandbox",  # its sandbox needs rights that a container does not give
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
expect.set_options(timeout=20_000)  # what a busy machine needs; an idle one waits no longer for it

V1 = "/v1/account/{account}/{namespace}/{session}/properties"
V2 = "/v2/context/document/{account}/{namespace}/{session}"


@dataclass
class DocsPage:
    """The open page, with its errors and its requests to other hosts."""

    page: Page
    server: Server
    elsewhere: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def open(self) -> None:
        self.page.context.route("**/*", self._only_to_the_server)
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(f"{self.server.url}/docs")
        expect(self.page.locator(".opblock").first).to_be_visible()

    def authorise(self, scheme: str, *secrets: str) -> None:
        """Fills in the dialog of the Authorize button."""
        self.page.locator(".scheme-container .authorize").click()
        form = self.page.locator(".auth-container", has_text=scheme).first
        for box, secret in zip(form.locator("input").all(), secrets, strict=True):
            box.fill(secret)
        form.get_by_role("button", name="Apply credentials").click()
        expect(form.get_by_role("button", name="Remove authorization")).to_be_visible()
        form.locator(".btn-done").click()

    def execute(self, method: str, path: str, body: object = None, **parameters: str) -> Locator:
        """Tries an operation out; returns the table that shows its response."""
        operation = self.page.locator(
            f".opblock-{method}", has=self.page.locator(f'[data-path="{path}"]')
        )
        operation.locator(".opblock-summary-control").click()
        if (button := operation.get_by_role("button", name="Try it out")).is_visible():
            button.click()
        for name, text in parameters.items():
            operation.locator(f'tr[data-param-name="{name}"] input').fill(text)
        if body is not None:
            operation.locator(".body-param textarea").fill(json.dumps(body))
        operation.locator(".execute").click()
        answer = operation.locator(".live-responses-table")
        expect(answer).to_be_visible()
        return answer

    def _only_to_the_server(self, route: Route) -> None:
        if route.request.url.startswith((f"{self.server.url}/", "data:", "blob:")):
            route.continue_()
        else:
            self.elsewhere.append(route.request.url)
            route.abort()

    def _note(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(message.text)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("NOT TESTED: the docs page needs Chromium, and there is none on the PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def docs(browser: Browser, server: Server) -> Iterator[DocsPage]:
    """The page in a context of its own: nothing of another test's is stored or cached."""
    with browser.new_context() as context:
        docs = DocsPage(context.new_page(), server)
        docs.open()
        yield docs
    assert docs.elsewhere == []
    assert docs.errors == []


def test_a_property_can_be_saved_and_read_on_the_page(docs: DocsPage, account: Account) -> None:
    docs.authorise("maven-api-key", account.key)
    place = {"account": account.id, "namespace": "myNamespace", "session": "mySessionId"}

    saved = docs.execute("patch", V1, {"myProperty1": "seen in the browser"}, **place)
    expect(saved.locator(".response .response-col_status")).to_contain_text("204")
    read = docs.execute("get", V1, **place)
    expect(read.locator(".response .response-col_status")).to_contain_text("200")
    expect(read.locator(".response .highlight-code")).to_contain_text("seen in the browser")

    saved_here = account.v1("GET", "/myNamespace/mySessionId/properties").json()
    assert saved_here == {"myProperty1": "seen in the browser"}


def test_a_document_can_be_read_with_a_token_on_the_page(docs: DocsPage, account: Account) -> None:
    account.v1("PATCH", "/myNamespace/s1/properties", json={"myProperty1": "seen in v2"})
    docs.authorise("bearer", account.token)
    read = docs.execute("get", V2, account=account.id, namespace="myNamespace", session="s1")
    expect(read.locator(".response .response-col_status")).to_contain_text("200")
    expect(read.locator(".response .highlight-code")).to_contain_text("seen in v2")
