"""The account that `ccs demo` fills: what it has then, and how it goes on."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random
from secrets import token_hex
from typing import Any

import pytest

from ccs_server.demo.playing import NAMESPACES, Demo
from ccs_server.domain.errors import Leased
from ccs_server.store.database import Database
from ccs_server.store.document import DocumentKey
from ccs_server.store.exporting import Export, export_page
from ccs_server.store.namespace_settings import read_settings
from ccs_server.store.operations.leases import Lease
from ccs_server.store.operations.run import run
from tests.support.change_log import logged_events

Lines = dict[tuple[str, str], dict[str, dict[str, Any]]]


@pytest.fixture
def account() -> str:
    return f"demo-{token_hex(4)}"


@pytest.fixture
def demo(database: Database, account: str) -> Demo:
    return Demo(database, account, "operator:tests", Random(17))


def exported(database: Database, account: str) -> Lines:
    """The lines of properties by document and name."""
    documents: Lines = {}
    after = None
    while True:
        page = export_page(database, Export(account), after=after, limit=10_000)
        for line in map(json.loads, page.lines.splitlines()):
            if "name" in line:
                documents.setdefault((line["ns"], line["session"]), {})[line["name"]] = line
        if page.last is None:
            return documents
        after = page.last


def statuses(database: Database, account: str) -> Counter[str]:
    lines = exported(database, account).values()
    return Counter(each["status"]["value"] for each in lines if "status" in each)


def is_leased(database: Database, account: str, place: tuple[str, str]) -> bool:
    document = DocumentKey(account, *place)
    try:
        run(database, Lease(document=document, owner="test", seconds=60))
    except Leased:
        return True
    return False


def test_an_account_is_filled_with_an_hour_of_conversations(
    database: Database, demo: Demo, account: str
) -> None:
    filled = demo.fill()
    assert 120 < filled.conversations < 260
    assert 0 < filled.open < 15
    lines = exported(database, account)
    sessions = {place: found for place, found in lines.items() if place[1] != "__default__"}
    assert {namespace for namespace, _ in sessions} == set(NAMESPACES)
    assert len(sessions) == filled.conversations
    assert statuses(database, account)["closed"] == filled.conversations - filled.open
    ended = sum(lines[namespace, "__default__"]["closed"]["value"] for namespace in NAMESPACES)
    assert ended == filled.conversations - filled.open


def test_what_it_saves_was_saved_within_the_hour_and_expires_an_hour_later(
    database: Database, demo: Demo, account: str
) -> None:
    demo.fill()
    now = datetime.now(UTC)
    ages = []
    for (_, session_id), found in exported(database, account).items():
        for name, line in found.items():
            saved = datetime.fromisoformat(line["updatedAt"])
            lives = datetime.fromisoformat(line["expiresAt"]) - saved
            expected = timedelta(minutes=5) if name == "code" else timedelta(hours=1)
            assert abs(lives - expected) < timedelta(seconds=1)
            if session_id != "__default__":
                ages.append((now - saved).total_seconds())
    assert max(ages) > 3000
    assert min(ages) < 120


def test_the_change_log_has_the_values_that_a_property_had(
    database: Database, demo: Demo, account: str
) -> None:
    demo.fill()
    for namespace in NAMESPACES:
        settings = read_settings(database, account, namespace)
        assert settings
        assert settings.changes == "values"
    events = logged_events(database, account)
    seen: dict[str, list[str]] = {}
    for event in events:
        if event["name"] == "status":
            seen.setdefault(event["session"], []).append(event["value"])
    assert ["open", "waiting", "with agent", "closed"] in seen.values()
    assert {event["by"] for event in events} == {"operator:tests"}


def test_conversations_go_on_and_others_begin(database: Database, demo: Demo, account: str) -> None:
    filled = demo.fill()
    before = exported(database, account)
    unfinished = {
        place
        for place, found in before.items()
        if "status" in found and found["status"]["value"] != "closed"
    }
    assert len(unfinished) == filled.open
    assert all(is_leased(database, account, place) for place in unfinished)
    elapsed = 0.0
    while elapsed < 600:
        pause = demo.advance(elapsed)
        assert 0 < pause < 60
        elapsed += pause
    after = exported(database, account)
    assert {after[place]["status"]["value"] for place in unfinished} == {"closed"}
    begun = after.keys() - before.keys()
    assert 20 <= len(begun) <= 45
    for place in begun:
        closed = after[place]["status"]["value"] == "closed"
        assert is_leased(database, account, place) != closed


def test_a_conversation_that_someone_else_has_waits_and_the_others_go_on(
    database: Database, demo: Demo, account: str
) -> None:
    demo.fill()
    demo.advance(60)
    closed = statuses(database, account)["closed"]
    mine = next(
        place for place, found in exported(database, account).items()
        if "status" in found and found["status"]["value"] != "closed"
    )  # fmt: skip
    _take_over(database, account, mine)
    demo.advance(900)
    left = exported(database, account)
    assert left[mine]["status"]["value"] != "closed"
    assert statuses(database, account)["closed"] > closed


def _take_over(database: Database, account: str, place: tuple[str, str]) -> None:
    """Ends the lease of a session as if its time was over, and takes it."""
    with database.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE lease SET expires_at = now() WHERE account = %s AND session_id = %s",
            (account, place[1]),
        )
    run(database, Lease(document=DocumentKey(account, *place), owner="a person", seconds=600))
