"""Reads from a standby: only for clients that ask for them, and only while the standby is not far behind."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from ccs_server.app import create_app
from ccs_server.settings import SettingError, Settings
from ccs_server.store import schema
from ccs_server.store.connection import Statement
from ccs_server.store.database import Database
from ccs_server.store.standby import StandbyDatabase
from tests.support.service import Account, Server, environment, new_account, serving
from tests.support.waiting import wait_until
from tests.trust.postgres import Cluster

LAG = 1.0
EVENTUAL = {"Ccs-Consistency": "eventual"}
STANDBY, PRIMARY = "standby", "primary"
ONE = Statement.of("test_consistency_one", "SELECT 1")


@dataclass(frozen=True)
class Pair:
    """A primary with a standby, and a service that uses both."""

    primary: Cluster
    standby: Cluster
    server: Server
    account: Account

    def read(self, path: str, **headers: str) -> requests.Response:
        return self.account.v1("GET", path, headers=headers)

    def save(self, value: object) -> None:
        response = self.account.v1("PUT", "/orders/s1/properties/a", json=value)
        assert response.status_code == 204, response.text

    def source(self) -> str | None:
        response = self.read("/orders/s1/properties/a", **EVENTUAL)
        assert response.status_code == 200, response.text
        return response.headers.get("Ccs-Source")

    def await_source(self, source: str) -> None:
        wait_until(lambda: self.source() == source)


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory(prefix="ccs-standby-"))
        primary = Cluster(Path(name) / "primary").create()
        stack.enter_context(primary.removed_afterwards())
        primary.start()
        standby = Cluster(Path(name) / "standby").copy(primary, "standby")
        stack.enter_context(standby.removed_afterwards())
        standby.start()
        schema.migrate(primary.url)
        env = environment(
            CCS_DATABASE_URL=primary.url,
            CCS_STANDBY_URL=standby.url,
            CCS_STANDBY_LAG=str(LAG),
            CCS_STATEMENT_TIMEOUT="1",
            CCS_CREDENTIAL_CACHE="60",
        )
        server = stack.enter_context(serving("--workers", "1", env=env))
        database = Database(primary.url, Settings())
        account = stack.enter_context(new_account(server, database))
        database.release()
        yield Pair(primary, standby, server, account)


@pytest.fixture
def following(pair: Pair) -> Iterator[Pair]:
    """The pair with a property that the standby has, and that it uses."""
    pair.save(0)
    position = pair.primary.query("SELECT pg_current_wal_lsn()::text")
    replayed = f"SELECT pg_last_wal_replay_lsn() >= '{position}'"
    wait_until(lambda: pair.standby.query(replayed) is True)
    pair.await_source(STANDBY)
    yield pair
    pair.standby.execute("SELECT pg_wal_replay_resume()")


def test_a_client_that_does_not_ask_reads_from_the_primary(following: Pair) -> None:
    following.standby.execute("SELECT pg_wal_replay_pause()")
    for value in range(1, 20):
        following.save(value)
        response = following.read("/orders/s1/properties/a")
        assert response.json() == value
        assert "Ccs-Source" not in response.headers


def test_a_client_that_asks_may_read_older_values_from_the_standby(following: Pair) -> None:
    following.standby.execute("SELECT pg_wal_replay_pause()")
    following.save("new")
    response = following.read("/orders/s1/properties/a", **EVENTUAL)
    assert (response.headers["Ccs-Source"], response.json()) == (STANDBY, 0)


def test_a_standby_that_falls_behind_is_not_used_until_it_has_caught_up(following: Pair) -> None:
    following.standby.execute("SELECT pg_wal_replay_pause()")
    following.save("new")
    following.await_source(PRIMARY)
    assert following.read("/orders/s1/properties/a", **EVENTUAL).json() == "new"
    following.standby.execute("SELECT pg_wal_replay_resume()")
    following.await_source(STANDBY)
    assert following.read("/orders/s1/properties/a", **EVENTUAL).json() == "new"


def test_a_standby_of_an_idle_primary_is_not_behind(following: Pair) -> None:
    """The last transaction that it has replayed is old then."""
    position = following.primary.query("SELECT pg_current_wal_insert_lsn()::text")
    sources = set()
    age = "SELECT extract(epoch FROM now() - pg_last_xact_replay_timestamp())::float8"
    wait_until(
        lambda: sources.add(following.source()) or following.standby.query(age) > 2 * LAG  # type: ignore[operator,func-returns-value]
    )
    assert sources == {STANDBY}, position


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/orders/s1/properties",
        "/orders/s1/properties?include=a",
        "/orders/s1/properties?meta=true",
        "/orders/s1/properties/a?meta=true",
        "/orders/properties",
        "/orders/session-ids",
        "/orders/session-properties",
        "/orders/session-ids?page=200&perPage=100",
        "/orders/session-properties?page=200&perPage=100",
        "/namespace/orders/session",
        "/namespace/orders/session?page=0",
    ],
)
def test_every_read_of_v1_may_use_the_standby(following: Pair, path: str) -> None:
    eventual, plain = following.read(path, **EVENTUAL), following.read(path)
    assert eventual.headers["Ccs-Source"] == STANDBY
    assert (eventual.status_code, eventual.content) == (200, plain.content)
    assert eventual.headers.get("ETag") == plain.headers.get("ETag")


def test_reads_of_v2_and_find_may_use_the_standby(following: Pair) -> None:
    account = following.account
    place = {"accountId": account.id, "nameSpace": "orders", "sessionId": "s1"}
    document = f"/context/document/{account.id}/orders/s1"
    calls: list[tuple[Any, str, str, dict[str, Any]]] = [
        (account.v2, "GET", document, {}),
        (
            account.v2,
            "POST",
            "/context/document/properties",
            {"json": place | {"filter": ["orders.a"]}},
        ),
        (
            account.ext,
            "POST",
            "/namespaces/orders/find",
            {"json": {"where": {"a": 0}, "fields": True}},
        ),
    ]
    for call, method, path, options in calls:
        eventual = call(method, path, headers=EVENTUAL, **options)
        assert eventual.headers["Ccs-Source"] == STANDBY
        assert eventual.json() == call(method, path, **options).json()


def test_what_is_not_there_is_404_from_the_standby_too(following: Pair) -> None:
    response = following.read("/orders/s1/properties/absent", **EVENTUAL)
    assert (response.status_code, response.headers["Ccs-Source"]) == (404, STANDBY)


def test_another_consistency_is_refused(following: Pair) -> None:
    response = following.read("/orders/s1/properties/a", **{"Ccs-Consistency": "strong"})
    assert response.status_code == 400
    assert "eventual" in response.json()["message"]


def test_the_setting_is_checked_at_start() -> None:
    with pytest.raises(SettingError, match="CCS_STANDBY_URL must be like"):
        create_app(Settings(database_url="postgresql:///ccs", standby_url="mysql:///ccs"))


def test_saves_ignore_the_header(following: Pair) -> None:
    response = following.account.v1("PUT", "/orders/s1/properties/a", json=1, headers=EVENTUAL)
    assert (response.status_code, response.headers.get("Ccs-Source")) == (204, None)


def test_without_a_standby_the_primary_responds(account: Account) -> None:
    assert account.v1("PUT", "/orders/properties/a", json=1).status_code == 204
    response = account.v1("GET", "/orders/properties/a", headers=EVENTUAL)
    assert (response.json(), response.headers["Ccs-Source"]) == (1, PRIMARY)


def test_the_primary_responds_while_the_standby_is_dead_or_hangs(following: Pair) -> None:
    following.standby.pause()
    try:
        following.await_source(PRIMARY)
        assert [following.source() for _ in range(20)] == [PRIMARY] * 20
    finally:
        following.standby.resume()
    following.await_source(STANDBY)
    following.standby.stop()
    try:
        assert [following.source() for _ in range(20)] == [PRIMARY] * 20
    finally:
        following.standby.start()
    following.await_source(STANDBY)


def test_a_server_that_is_no_standby_any_more_is_left(
    database: Database, database_url: str
) -> None:
    """After a failover, a connection that is kept leads to the new primary, and a new one to another standby."""
    promoted = StandbyDatabase(database_url, Settings(standby_lag=0.5), database)
    try:
        assert promoted.execute(ONE).get_value(0, 0) == b"1"
        assert not promoted.answered
        wait_until(lambda: promoted.usage().opened >= 3)
        assert promoted.usage().idle <= 1
    finally:
        promoted.release()


def test_while_the_primary_is_away_the_standby_responds_for_as_long_as_it_may_be_behind(
    following: Pair,
) -> None:
    following.primary.pause()
    try:
        assert following.source() == STANDBY
        read = "/orders/s1/properties/a"
        wait_until(lambda: following.read(read, **EVENTUAL).status_code == 503)
    finally:
        following.primary.resume()
    wait_until(lambda: following.read(read, **EVENTUAL).headers.get("Ccs-Source") == STANDBY)
