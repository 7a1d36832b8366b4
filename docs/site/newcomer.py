"""Times docs/tutorial.md for someone who has nothing yet: from an empty folder to a conversation watched in a browser.

`python docs/site/newcomer.py` plays the whole page, installation included, without pip's cache. It prints how many
seconds each section takes, and how many had passed when the console showed each picture. What it leaves out is reading.
"""

import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from docs.site import tutorial  # noqa: E402 - from the root
from docs.site.screenshots import TUTORIAL, looking, sign_in  # noqa: E402
from tests.support.browsers import running_browser  # noqa: E402
from tests.support.ports import free_port  # noqa: E402

LIMIT_SECONDS = 300


def main() -> None:
    """Plays the page.

    Raises:
        SystemExit: it took longer than five minutes until the console showed what an agent had said to a caller.
    """
    env = {name: text for name, text in os.environ.items() if not name.startswith("CCS_")}
    env |= {"CCS_SOURCE": str(ROOT), "CCS_ACCESS_LOG": "off", "CCS_OPERATIONS_PORT": "0"}
    env |= {"PIP_NO_CACHE_DIR": "1"}
    port = free_port()
    replacements = {"ccs serve": f"ccs serve --port {port}", "127.0.0.1:8000": f"127.0.0.1:{port}"}
    seen: dict[str, float] = {}
    with (
        TemporaryDirectory(prefix="ccs-") as folder,
        running_browser() as browser,
        looking(browser) as page,
    ):
        began = section_began = time.monotonic()
        section = "Before"

        def next_section(heading: str) -> None:
            nonlocal section, section_began
            now = time.monotonic()
            print(f"{now - section_began:6.1f} s  {section}", flush=True)
            section, section_began = heading, now

        def watched(picture: str, key: str) -> None:
            if page.url == "about:blank":
                sign_in(page, f"http://127.0.0.1:{port}", key)
            TUTORIAL[picture][0](page)
            seen[picture] = time.monotonic() - began
            print(f"          after {seen[picture]:.1f} s the console shows {picture}", flush=True)

        tutorial.Player(Path(folder), env, watched, replacements, on_heading=next_section).play()
    if seen["tutorial-agent"] > LIMIT_SECONDS:
        raise SystemExit(f"That is more than {LIMIT_SECONDS} s.")


if __name__ == "__main__":
    main()
