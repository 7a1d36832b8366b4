"""`ccs demo`: its output, and how it ends. tests/demo tests what it saves."""

import json
import signal
from collections.abc import Iterator
from secrets import token_hex

import pytest
from click.testing import CliRunner

from ccs_server.cli import main
from tests.support.service import TIMEOUT_SECONDS, environment
from tests.support.template import start


@pytest.fixture
def account() -> str:
    return f"demo-{token_hex(4)}"


@pytest.fixture
def _own_handler() -> Iterator[None]:
    """Restores the handler of SIGTERM that this process has."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("_own_handler")
def test_an_account_is_filled_once(database_url: str, account: str) -> None:
    def printed(*options: str) -> str:
        words = ["demo", account, "--once", *options]
        env = {"CCS_DATABASE_URL": database_url}
        done = CliRunner().invoke(main, words, env=env, catch_exceptions=False)
        assert (done.exit_code, done.stderr) == (0, "")
        return done.stdout

    said = json.loads(printed("--json"))
    assert said.keys() == {"account", "conversations", "open"}
    assert said["account"] == account
    text = printed()
    assert text.startswith(f"Account '{account}' has ")
    assert text.endswith(" of them are open.\n")


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it(database_url: str, account: str, ending: signal.Signals) -> None:
    process = start("demo", account, env=environment(CCS_DATABASE_URL=database_url))
    try:
        assert process.stdout.readline().endswith(" go on, and others begin, until Ctrl-C.\n")
        process.send_signal(ending)
        assert process.wait(TIMEOUT_SECONDS) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
