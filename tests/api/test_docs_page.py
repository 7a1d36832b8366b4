"""The documentation page in a real browser that can only connect to the server."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.support.browsers import Visitor, running_browser
from tests.support.service import Account, Server

pytestmark = pytest.mark.browser

V1 = "/v1/account/{account}/{namespace}/{session}/properties"
V2 = "/v2/context/document/{account}/{namespace}/{session}"


@dataclass
class DocsPage:
    """The open page."""

    page: Page
    server: Server

    def open(self) -> None:
        self.page.goto(f"{self.server.url}/docs")
        expect(self.page.locator(".opblock").first).to_be_visible()

    def authorise(self, scheme: str, *secrets: str) -> None:
        """Fills in the dialog of the Authorize button, with these credentials only."""
        self.page.locator(".scheme-container .authorize").click()
        for button in self.page.get_by_role("button", name="Remove authorization").all():
            button.click()
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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def visitor(browser: Browser, server: Server) -> Iterator[Visitor]:
    """The visitor of all tests, who has opened the page: it takes longest to load."""
    with Visitor(browser, server.url) as visitor:
        DocsPage(visitor.page, server).open()
        yield visitor


@pytest.fixture
def docs(visitor: Visitor, server: Server) -> Iterator[DocsPage]:
    yield DocsPage(visitor.page, server)
    visitor.check_errors()


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
