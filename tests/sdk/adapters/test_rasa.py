"""The recipe for Rasa's tracker store. Rasa does not install on the Python of these tests, so it is run by another."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from ccs_sdk import ContextClient
from tests.sdk.test_docs import ROOT, settings
from tests.support.service import Account, environment

PAGE = ROOT / "docs" / "sdk" / "keep-rasa-conversations.md"
PYTHON = os.environ.get("CCS_RASA_PYTHON")

USE = '''
import asyncio
import os

from rasa.core.tracker_store import TrackerStore
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import ActionExecuted, SessionStarted, SlotSet, UserUttered
from rasa.utils.endpoints import EndpointConfig

DOMAIN = Domain.from_yaml("""
version: "3.1"
slots:
  seat:
    type: text
    mappings:
    - type: custom
""")
CALLER = "+49 30/1234"


def store():
    made = TrackerStore.create(
        EndpointConfig(
            url=os.environ["CCS_URL"],
            type="ccs_tracker_store.ContextTrackerStore",
            account=os.environ["CCS_ACCOUNT"],
            api_key=os.environ["CCS_API_KEY"],
            ttl=3600,
        ),
        DOMAIN,
    )
    assert type(made).__name__ == "ContextTrackerStore"
    return made


async def main():
    first, second = store(), store()
    assert await first.retrieve(CALLER) is None
    tracker = await first.get_or_create_tracker(CALLER)
    tracker.update(UserUttered("a window seat"))
    tracker.update(SlotSet("seat", "12A"))
    await first.save(tracker)
    await first.save(tracker)

    elsewhere = await second.retrieve(CALLER)
    assert list(elsewhere.events) == list(tracker.events)
    assert elsewhere.get_slot("seat") == "12A"

    elsewhere.update(ActionExecuted("action_session_start"))
    elsewhere.update(SessionStarted())
    elsewhere.update(UserUttered("hello again"))
    await second.save(elsewhere)
    last = await first.retrieve(CALLER)
    assert [event.type_name for event in last.events] == ["session_started", "user"]
    last.update(UserUttered("one more"))
    await first.save(last)
    full = await second.retrieve_full_tracker(CALLER)
    assert list(full.events) == [*elsewhere.events, last.events[-1]]
    assert await second.exists(CALLER)
    assert list(await second.keys()) == [CALLER]


asyncio.run(main())
'''


def _blocks() -> list[str]:
    """Returns the two parts of the module."""
    first, *_ = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    (second,) = re.findall(r"^```py\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    return [first, second]


def test_the_recipe_is_python() -> None:
    compile("\n".join(_blocks()), PAGE, "exec")


@pytest.mark.skipif(not PYTHON, reason="NOT TESTED: CCS_RASA_PYTHON names no Python with Rasa")
def test_rasas_trackers_are_kept(account: Account, client: ContextClient, tmp_path: Path) -> None:
    (tmp_path / "ccs_tracker_store.py").write_text("\n\n".join(_blocks()))
    (tmp_path / "use.py").write_text(USE)
    assert PYTHON
    ran = subprocess.run(
        [PYTHON, "use.py"],
        check=False, capture_output=True, text=True, cwd=tmp_path, timeout=120,
        env=environment(**settings(account)),
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    (events,) = [session.properties["events"] for session in client.iter_session_properties("rasa")]
    assert [event["event"] for event in events] == [
        "action", "user", "slot", "action", "session_started", "user", "user",
    ]  # fmt: skip
