"""The programs in docs/examples run against the real server, and print what they should."""

import json
import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias

from ccs_sdk import ContextClient
from tests.sdk.test_docs import ROOT, settings
from tests.support.service import Account, environment
from tests.support.waiting import wait_until

Properties: TypeAlias = dict[tuple[str, str], Any]

TIMEOUT_SECONDS = 60

TWO_BOTS_AND_A_HUMAN = """\
 bot-1: I have the conversation.
 bot-2: bot-1 has it. I leave it.
 bot-1: I answered turn 1.
 bot-2: I have the conversation, with 2 lines. Now I freeze.
 human: bot-2 has it. I wait.
 human: It is free. I take over.
 bot-2: I was too slow. Nothing of mine was saved.
 bot-1: I noted the day.
 human: Somebody noted the day meanwhile: Friday. I keep it.
 human: The form is {'day': 'Friday', 'intent': 'rebook', 'seat': '12A'}.
 human: Closed, with 4 lines. It is number 1 today.
        caller: I want to rebook.
        bot-1: To which day?
        human: Friday is possible.
        human: Done. Goodbye.
"""


LIVE_DESKTOP = """\
 desktop | caller: I want to rebook.
 desktop | bot: To which day?
 desktop | caller: Friday.
 service | killed
 service | started again
 desktop | bot: 9:40 or 14:10?
 desktop | caller: 14:10.
 desktop | bot: Done. Goodbye.
 desktop | 6 lines, and 0 shown twice.
"""


def test_two_bots_and_a_human_stay_out_of_each_others_way(
    account: Account, client: ContextClient
) -> None:
    ran = subprocess.run(
        [sys.executable, "docs/examples/two_bots_and_a_human.py"],
        check=False, capture_output=True, text=True, cwd=ROOT,
        env=environment(**settings(account)), timeout=TIMEOUT_SECONDS,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == TWO_BOTS_AND_A_HUMAN
    assert client.list_namespaces() == []


def test_a_desktop_follows_a_conversation_through_a_kill_of_the_service(own_url: str) -> None:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    ran = subprocess.run(
        [sys.executable, "docs/examples/live_desktop.py"],
        check=False, capture_output=True, text=True, cwd=ROOT,
        env=environment(CCS_DATABASE_URL=own_url, PATH=path), timeout=TIMEOUT_SECONDS,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == LIVE_DESKTOP


@contextmanager
def mirroring(admins: Account, file: Path) -> Generator[None]:
    """Runs the mirror for the length of the block, at whose end it is killed."""
    command = [sys.executable, "docs/examples/mirror.py", str(file), "airline"]
    with subprocess.Popen(command, cwd=ROOT, env=environment(**settings(admins))) as process:
        try:
            yield
            assert process.poll() is None
        finally:
            process.kill()


def test_a_mirror_in_another_process_ends_equal_though_it_is_killed(
    admins: Account, tmp_path: Path
) -> None:
    file = tmp_path / "airline.db"

    def mirrored() -> Properties:
        with closing(sqlite3.connect(file)) as db, suppress(sqlite3.OperationalError):
            rows = db.execute("SELECT session, name, value FROM property").fetchall()
            return {(session, name): json.loads(value) for session, name, value in rows}
        return {("", ""): "no table yet"}

    with ContextClient(admins.server_url, admins.id, api_key=admins.key) as client:
        airline = client.namespace("airline")
        airline.configure(changes="values")

        def stored() -> Properties:
            return {
                (session.session_id, name): value
                for session in airline.iter_session_properties()
                for name, value in session.properties.items()
            }

        def is_equal() -> bool:
            return mirrored() == stored()

        def write(count: int) -> None:
            for _ in range(count):
                place = airline.session(f"s{choose.randrange(3)}")
                name, what = f"n{choose.randrange(5)}", choose.randrange(8)
                if what == 0:
                    place.clear()
                elif what == 1:
                    place.delete(name)
                else:
                    place.set(name, {"n": choose.random(), "ü": [None, True]})

        choose = random.Random(1)
        write(20)
        with mirroring(admins, file):
            wait_until(is_equal)
            write(60)
        write(60)
        with mirroring(admins, file):
            write(30)
            wait_until(is_equal)
            client.delete_namespace("airline")
            wait_until(lambda: mirrored() == {})
