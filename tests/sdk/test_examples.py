"""The programs in docs/examples run against the real server, and print what they should."""

import subprocess
import sys

from ccs_sdk import ContextClient
from tests.sdk.test_docs import ROOT, settings
from tests.support.service import Account, environment

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
