"""docs/operate/erase.py finds and deletes what is stored about a person, and nothing else."""

import shlex
import subprocess
import sys

from benchmarks.pages import DOCS, blocks
from tests.sdk.test_docs import ROOT, settings
from tests.support.service import TIMEOUT_SECONDS, Account, environment

NUMBER = "+49301234567"


def run(command: str, account: Account) -> str:
    """Runs a command of the page with this Python."""
    program, *arguments = shlex.split(command)
    assert program == "python"
    done = subprocess.run(
        [sys.executable, *arguments],
        check=False, capture_output=True, text=True, cwd=ROOT,
        env=environment(**settings(account)), timeout=TIMEOUT_SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def save(account: Account, place: str, name: str, value: object) -> None:
    response = account.v1("PATCH", f"/{place}/properties", json={name: value})
    assert response.status_code == 204, response.text


def test_a_person_is_found_by_session_name_and_value_and_erased(account: Account) -> None:
    (commands,) = blocks(DOCS / "operate" / "erase.md", "# Erase a person", {})
    look, erase = commands.splitlines()
    save(account, f"calls/{NUMBER.replace('+', '%2B')}", "step", 1)
    save(account, "calls/s2", "caller", {"phones": ["x", f"tel:{NUMBER}"]})
    save(account, "calls/s3", "mail", {"jo@example.org": True})
    save(account, "calls", f"last {NUMBER}", "yesterday")
    assert (
        account.v1(
            "POST",
            "/namespace/calls/session",
            params={"ttlSecond": 60},
            json={"sessionId": f"x{NUMBER}"},
        ).status_code
        == 204
    )
    save(account, "calls/s4", "caller", "+49301234")
    save(account, "calls", "greeting", "hello")
    kept = {"calls": {"greeting": "hello"}, "calls/s4": {"caller": "+49301234"}}
    assert run(look, account).endswith("found: 5 in total\n")
    assert run(look, account).endswith("found: 5 in total\n")
    assert run(erase, account).endswith("deleted: 5 in total\n")
    assert run(look, account) == "found: 0 in total\n"
    for place, properties in kept.items():
        assert account.v1("GET", f"/{place}/properties").json() == properties
    assert account.v1("GET", "/namespace/calls/session").json() == []
