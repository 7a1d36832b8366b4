"""Takes the pictures of the console that the pages show, from a running service: `nox -s screenshots`.

It starts a service with a database of its own in a temporary directory, lets `ccs demo` fill it, and looks at the
console with Chromium, light and dark. Then it plays the tutorial and takes that page's pictures. The pictures go to
`docs/images/console/`; each has the same size in every run.
"""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, NamedTuple, TypeAlias, get_args

from PIL import Image
from playwright.sync_api import Browser, Page, expect

from ccs_sdk import ContextClient

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from docs.site import tutorial  # noqa: E402 - from the root
from tests.support.browsers import running_browser  # noqa: E402
from tests.support.ports import free_port  # noqa: E402

FOLDER = ROOT / "docs" / "images" / "console"
Scheme: TypeAlias = Literal["light", "dark"]
WIDTH, PHONE_WIDTH = 1120, 390
_SCALE = 1.5
"""Pixels of a picture for each of the page, so that text is sharp on most screens."""
_COLOURS = 128

Shot = Callable[[Page, ContextClient], None]
"""Brings the console to where a picture is taken."""


class Picture(NamedTuple):
    """A picture of the console that the demo fills: how it gets there, and its size in pixels of the page."""

    show: Shot
    height: int
    width: int = WIDTH


def go_to(page: Page, address: str) -> None:
    """Goes to an address of the console, without a reload, which would sign out."""
    page.evaluate("address => { location.hash = address }", address)


def _session(client: ContextClient, status: str) -> str:
    """A conversation of the airline with a status."""
    return next(iter(client.namespace("airline").find(where={"status": status}))).session_id


def _activity(page: Page, _: ContextClient) -> None:
    go_to(page, "#/")
    expect(page.get_by_role("rowheader", name="bank")).to_be_visible()


def _namespace(page: Page, _: ContextClient) -> None:
    go_to(page, "#/namespaces/airline")
    expect(page.get_by_role("rowheader").first).to_be_visible()


def _conversation(page: Page, client: ContextClient) -> None:
    """Something has changed just now, so it is lit up."""
    session = _session(client, "closed")
    go_to(page, f"#/namespaces/airline/{session}")
    expect(page.get_by_text("Live: changes show as they happen")).to_be_visible()
    known = {"status": "with agent", "agent": "agent-sam"}
    client.namespace("airline").session(session).update(known)
    expect(page.get_by_role("article", name="status", exact=True)).to_contain_text("with agent")
    expect(page.get_by_role("article", name="agent", exact=True)).to_contain_text("agent-sam")


def _history(page: Page, client: ContextClient) -> None:
    go_to(page, f"#/namespaces/airline/{_session(client, 'closed')}/history")
    expect(page.get_by_role("heading", level=2, name="status").first).to_be_visible()


def _conflict(page: Page, client: ContextClient) -> None:
    """A bot saves what the user is about to change."""
    session = client.namespace("airline").session(_session(client, "closed"))
    go_to(page, f"#/namespaces/airline/{session.session_id}")
    page.get_by_role("button", name="Edit status").click()
    session["status"] = "with agent"
    page.get_by_label("Value", exact=True).fill("closed without an agent")
    page.get_by_role("button", name="Save", exact=True).click()
    conflict = page.get_by_role("alert", name="It has changed")
    expect(conflict).to_be_visible()
    conflict.evaluate("element => element.closest('article').scrollIntoView()")


def _jobs(page: Page, client: ContextClient) -> None:
    if not list(client.jobs.list()):
        client.erase(session_id=[_session(client, "closed")], reference="ticket-17").wait()
    go_to(page, "#/jobs")
    expect(page.get_by_role("rowheader", name="ticket-17")).to_be_visible()


PICTURES = {
    "activity": Picture(_activity, 720),
    "namespace": Picture(_namespace, 700),
    "conversation": Picture(_conversation, 800),
    "history": Picture(_history, 700),
    "conflict": Picture(_conflict, 640),
    "jobs": Picture(_jobs, 480),
    "phone": Picture(_conversation, 780, PHONE_WIDTH),
}
"""Each is taken light and dark."""


def _start(page: Page) -> None:
    expect(page.get_by_role("rowheader", name="airline")).to_be_visible()


def _bot(page: Page) -> None:
    go_to(page, "#/namespaces/airline/conv-ana-1")
    expect(page.get_by_text("bot: To which day?")).to_be_visible()


def _agent(page: Page) -> None:
    page.get_by_text("The conversation as a whole").click()
    page.get_by_role("button", name="Who has the lease?").click()
    expect(page.get_by_text("marta has it")).to_be_visible()


def _whole_history(page: Page) -> None:
    go_to(page, "#/namespaces/airline/conv-ana-1/history")
    expect(page.get_by_text("closed").first).to_be_visible()


def _sessions(page: Page) -> None:
    go_to(page, "#/namespaces/airline")
    expect(page.get_by_role("rowheader", name="caller-ana")).to_be_visible()


TUTORIAL: dict[str, tuple[Callable[[Page], None], int]] = {
    "tutorial-start": (_start, 660),
    "tutorial-bot": (_bot, 700),
    "tutorial-agent": (_agent, 900),
    "tutorial-history": (_whole_history, 800),
    "tutorial-sessions": (_sessions, 520),
}
"""How the console comes to each picture of the tutorial, in their order, and the picture's height."""


def names() -> set[str]:
    """The files that this script makes."""
    by_demo = {f"{name}-{scheme}.png" for name in PICTURES for scheme in get_args(Scheme)}
    return by_demo | {f"{name}.png" for name in TUTORIAL}


def pixels(name: str) -> tuple[int, int]:
    """The size of a picture, by its name without the ending: the same in every run."""
    if name in TUTORIAL:
        return int(WIDTH * _SCALE), int(TUTORIAL[name][1] * _SCALE)
    picture = PICTURES[name.rpartition("-")[0]]
    return int(picture.width * _SCALE), int(picture.height * _SCALE)


def sign_in(page: Page, url: str, key: str) -> None:
    """Signs in to the console as the account `demo`."""
    page.goto(f"{url}/console")
    page.get_by_label("Account").fill("demo")
    page.get_by_label("Key or token").fill(key)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1, name="Activity")).to_be_visible()


@contextmanager
def looking(browser: Browser, scheme: Scheme = "light") -> Iterator[Page]:
    """A page for pictures, in a context of its own."""
    context = browser.new_context(
        color_scheme=scheme,
        device_scale_factor=_SCALE,
        locale="en-GB",
        timezone_id="UTC",
        viewport={"width": WIDTH, "height": 800},
    )
    yield context.new_page()
    context.close()


def take(page: Page, name: str, height: int, width: int = WIDTH) -> None:
    """Saves what the page shows, with few colours, since it is text and areas of one colour."""
    page.set_viewport_size({"width": width, "height": height})
    page.mouse.move(0, 0)  # what it points at is shown differently
    with Image.open(io.BytesIO(page.screenshot())) as shown:
        few = shown.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)
    few.save(FOLDER / f"{name}.png", optimize=True)
    print(f"{name}.png", (FOLDER / f"{name}.png").stat().st_size)


@contextmanager
def running(*command: str, env: dict[str, str]) -> Iterator[dict[str, str]]:
    """Runs a command of `ccs` for the length of the block, which begins when it has said, as JSON, that it is ready."""
    with subprocess.Popen(  # noqa: S603 - our own arguments
        [sys.executable, "-m", "ccs_server", *command, "--json"], stdout=subprocess.PIPE, env=env
    ) as process:
        assert process.stdout
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


def _admin_key(env: dict[str, str]) -> str:
    create = ("keys", "create", "demo", "--scope", "admin", "--label", "operator")
    with running(*create, env=env) as made:
        return made["key"]


def _of_the_demo(browser: Browser, env: dict[str, str]) -> None:
    serve = ("serve", "--port", str(free_port()), "--workers", "1")
    with (
        running(*serve, env=env) as service,
        running("demo", env=env),
        ContextClient(service["url"], "demo", api_key=(key := _admin_key(env))) as client,
        looking(browser, "light") as light,
        looking(browser, "dark") as dark,
    ):
        pages = {"light": light, "dark": dark}
        for page in pages.values():
            sign_in(page, service["url"], key)
        for name, picture in PICTURES.items():
            for scheme, page in pages.items():
                page.set_viewport_size({"width": picture.width, "height": picture.height})
                picture.show(page, client)
                take(page, f"{name}-{scheme}", picture.height, picture.width)


def _of_the_tutorial(browser: Browser, folder: Path, env: dict[str, str]) -> None:
    port = free_port()
    with looking(browser) as page:

        def taken(name: str, key: str) -> None:
            if page.url == "about:blank":
                sign_in(page, f"http://127.0.0.1:{port}", key)
            show, height = TUTORIAL[name]
            show(page)
            take(page, name, height)

        tutorial.player_here(folder, env, taken, port).play()


def main() -> None:
    """Takes all pictures."""
    env = {name: text for name, text in os.environ.items() if not name.startswith("CCS_")}
    env |= {"CCS_ACCESS_LOG": "off", "CCS_OPERATIONS_PORT": "0"}
    FOLDER.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="ccs-") as directory, running_browser() as browser:
        _of_the_demo(browser, env | {"CCS_DATA_DIR": directory})
    with TemporaryDirectory(prefix="ccs-") as directory, running_browser() as browser:
        _of_the_tutorial(browser, Path(directory), env)


if __name__ == "__main__":
    main()
