"""docs/operate/erase.md finds and deletes what is stored about a person, and nothing else."""

from collections.abc import Iterator

import pytest

from benchmarks.pages import DOCS, blocks
from ccs_server.store.database import Database
from tests.sdk.test_docs import settings
from tests.support.service import Account, Server, new_account

NUMBER = "+49301234567"


@pytest.fixture
def account(server: Server, database: Database) -> Iterator[Account]:
    """An account whose key has the scope admin."""
    with new_account(server, database, "admin") as account:
        yield account


def save(account: Account, place: str, name: str, value: object) -> None:
    response = account.v1("PATCH", f"/{place}/properties", json={name: value})
    assert response.status_code == 204, response.text


def test_a_person_is_found_by_session_name_and_value_and_erased(
    account: Account, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, setting in settings(account).items():
        monkeypatch.setenv(name, setting)
    count, erase = blocks(DOCS / "operate" / "erase.md", "# Erase a person", {}, language="python")
    session = f"calls/{NUMBER.replace('+', '%2B')}"
    save(account, session, "step", 1)
    save(account, "calls/s2", "caller", {"phones": ["x", f"tel:{NUMBER}"]})
    save(account, "calls/s3", "mail", {"jo@example.org": True})
    save(account, "calls", f"last {NUMBER}", "yesterday")
    ttl = account.v1(
        "POST",
        "/namespace/calls/session",
        params={"ttlSecond": 60},
        json={"sessionId": f"x{NUMBER}"},
    )
    assert ttl.status_code == 204
    save(account, "calls/s4", "caller", "+49301234")
    save(account, "calls", "greeting", "hello")
    kept = {"calls": {"greeting": "hello"}, "calls/s4": {"caller": "+49301234"}}
    variables: dict[str, object] = {}
    exec(count, variables)  # noqa: S102 - runs the example
    assert "sessions=4, properties=4" in capsys.readouterr().out
    assert account.v1("GET", f"/{session}/properties").json() == {"step": 1}
    exec(erase, variables)  # noqa: S102 - runs the example
    assert "done JobProgress" in (printed := capsys.readouterr().out)
    assert "sessions=4, properties=4" in printed
    exec(count, variables)  # noqa: S102 - runs the example
    assert "sessions=0, properties=0" in capsys.readouterr().out
    for place, properties in kept.items():
        assert account.v1("GET", f"/{place}/properties").json() == properties
    assert account.v1("GET", "/namespace/calls/session").json() == []
