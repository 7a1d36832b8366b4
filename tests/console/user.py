"""A user of the console, who finds things by what they are called."""

from dataclasses import dataclass, field
from typing import Any, Literal

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Locator, expect

from tests.support.browsers import Visitor
from tests.support.service import Account

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SCHEMES: list[tuple[Literal["light", "dark"], list[str]]] = [
    ("light", RULES),
    ("dark", ["color-contrast"]),
]


@dataclass
class User(Visitor):
    """Opens the console, signs in, and goes to places."""

    # What fades or pulses takes Chromium sixty frames a second.
    options: dict[str, Any] = field(default_factory=lambda: {"reduced_motion": "reduce"})
    # Browsers log each response that is no success. What becomes of it is what the tests look at.
    expected: tuple[str, ...] = ("the server responded with a status of",)

    def open(self, address: str = "") -> None:
        """Opens the console at an address, signed out."""
        if not self.page.url.startswith(self.server_url):
            self.page.goto(f"{self.server_url}/console{address}")
            return
        sign_out = self.page.get_by_role("button", name="Sign out")
        if sign_out.is_visible():
            sign_out.click()
        self.page.evaluate("address => { location.hash = address }", address)

    def sign_in(
        self, account: Account, credential: str | None = None, address: str = "#/namespaces"
    ) -> None:
        """Signs in with the account's key, or with another credential, at an address of the console."""
        self.open(address)
        self.page.get_by_label("Account").fill(account.id)
        self.page.get_by_label("Key or token").fill(credential or account.key)
        self.page.get_by_role("button", name="Sign in").click()

    def heading(self, name: str) -> None:
        """Waits for the view with this heading."""
        expect(self.page.get_by_role("heading", level=1, name=name, exact=True)).to_be_visible()

    def row(self, name: str) -> Locator:
        """The row of a table that is headed by a name."""
        header = self.page.get_by_role("rowheader", name=name, exact=True)
        return self.page.get_by_role("row").filter(has=header)

    def property(self, name: str) -> Locator:
        """What the view of a conversation shows of a property."""
        return self.page.get_by_role("article", name=name, exact=True)

    def tab_to(self, target: Locator) -> None:
        """Presses the tabulator until the focus is there."""
        for _ in range(30):
            if target.evaluate("element => element === document.activeElement"):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"The keyboard does not reach {target}.")

    def check_accessibility(self) -> None:
        """Checks the page as it is with axe, and its colours in both schemes."""
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE_SCRIPT)
        for scheme, rules in SCHEMES:
            self.page.emulate_media(color_scheme=scheme)
            # The colours in the middle of an animation are not those of the page.
            self.page.evaluate("document.getAnimations().forEach(animation => animation.cancel())")
            found: list[dict[str, Any]] = self.page.evaluate(
                "options => axe.run(options).then(results => results.violations)",
                {"runOnly": rules, "resultTypes": ["violations"]},
            )
            nodes = [
                (rule["id"], node["html"], node["failureSummary"])
                for rule in found
                for node in rule["nodes"]
            ]
            assert nodes == [], nodes
        self.page.emulate_media(color_scheme="light")

    def check_width(self, width: int = 390) -> None:
        """Checks that nothing must be scrolled to the side on a phone."""
        size = self.page.viewport_size
        self.page.set_viewport_size({"width": width, "height": 800})
        assert self.page.evaluate("document.documentElement.scrollWidth") <= width
        assert size
        self.page.set_viewport_size(size)
