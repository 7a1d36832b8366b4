"""Debian's Chromium, which can only connect to this machine, and pages that tell of their errors."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    expect,
    sync_playwright,
)

DISABLED = (
    # The popups of the address bar are pages themselves, and cost as much processor time as a page of a test.
    *("WebUIOmniboxPopup", "WebUIOmniboxAimPopup"),
    # What Playwright disables: of several lists, Chromium takes the last.
    *("AimEnabled", "AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose"),
    *("HttpsFirstBalancedModeAutoEnable", "HttpsUpgrades", "LensOverlay", "MediaRouter"),
    *("NetworkTimeServiceQuerying", "OptimizationHints", "PaintHolding", "PreconnectToSearch"),
    "ThirdPartyStoragePartitioning",
)

# The shell is the same Chromium without its windows, which take a fifth of the processor time.
_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser")
CHROMIUM = next(filter(None, map(shutil.which, _NAMES)), None)
ARGUMENTS = [
    "--no-sandbox",  # its sandbox needs rights that a container does not give
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-sync",
    "--no-first-run",
    f"--disable-features={','.join(DISABLED)}",
    "--js-flags=--no-opt",  # no page of a test lives long enough for optimised code to pay
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
expect.set_options(timeout=20_000)  # what a busy machine needs; an idle one waits no longer for it


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Runs Chromium for the length of the block, or skips the test where there is none."""
    if CHROMIUM is None:
        pytest.skip("NOT TESTED: pages need Chromium, and there is none on the PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@dataclass
class Visitor:
    """A browser's user in a context of their own: nothing of another test is stored or cached.

    At the end of the block, the test fails if a page had an error or asked for something of another host.
    """

    browser: Browser
    server_url: str
    options: dict[str, Any] = field(default_factory=dict)
    expected: tuple[str, ...] = ()
    """What errors may contain: browsers log each response that is no success."""
    elsewhere: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    context: BrowserContext = field(init=False)
    page: Page = field(init=False)

    def __enter__(self) -> Self:
        self.context = self.browser.new_context(**self.options)
        self.page = self.context.new_page()
        self.page.on("request", self._note_request)
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.context.close()
        if kind is None:
            self.check_errors()

    def check_errors(self) -> None:
        """Checks that nothing went wrong so far, and forgets what did."""
        found = self.elsewhere + self.errors
        self.elsewhere.clear()
        self.errors.clear()
        assert found == [], found

    def _note_request(self, request: Request) -> None:
        # The browser finds no other host; this is to know that nothing asked for one.
        if not request.url.startswith((f"{self.server_url}/", "data:", "blob:")):
            self.elsewhere.append(request.url)

    def _note(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not any(text in message.text for text in self.expected):
            self.errors.append(message.text)
