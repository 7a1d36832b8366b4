"""What is counted as a save or a read, and when the counts reach the database."""

from collections.abc import Iterator
from secrets import token_hex

import pytest
from sqlalchemy import text

from ccs_server.api.activity import Activity, counting
from ccs_server.app import create_app
from ccs_server.http.exchanges import Exchange
from ccs_server.settings import Settings
from ccs_server.store.database import Database
from tests.support.service import environment, new_account, serving

ROUTES = create_app(Settings(database_url="postgresql:///none", access_log=False)).url_map
V1 = "/v1/account/<account>/<namespace>/<session:session>/properties"
V2 = "/v2/context/document/properties"
EXT = "/ext/v1/<account>"


@pytest.fixture
def account() -> str:
    return f"test-{token_hex(6)}"


@pytest.fixture
def activity(database: Database) -> Iterator[Activity]:
    activity = Activity(database)
    yield activity
    activity.end()


def exchange(account: str, method: str, rule: str, status: int = 200) -> Exchange:
    return Exchange("id", method, "/", rule, status, 0.0, 0.001, account=account)


def counted(database: Database, account: str) -> tuple[int, int]:
    """Returns the saves and reads of an account."""
    total = text(
        "SELECT coalesce(sum(saves), 0)::bigint, coalesce(sum(reads), 0)::bigint FROM activity WHERE account = :account"
    )
    with database.begin() as connection:
        saves, reads = connection.execute(total, {"account": account}).one()
        return saves, reads


@pytest.mark.parametrize(
    ("method", "rule", "expected"),
    [
        ("GET", V1, (0, 1)),
        ("HEAD", V1, (0, 1)),
        ("PATCH", V1, (1, 0)),
        ("DELETE", V1, (1, 0)),
        ("POST", V2, (0, 1)),
        ("PATCH", "/v2/context/document/create", (1, 0)),
        ("POST", "/v2/authenticate/login", (0, 0)),
        ("POST", f"{EXT}/namespaces/<namespace>/find", (0, 1)),
        ("GET", f"{EXT}/export", (0, 1)),
        ("POST", f"{EXT}/import", (1, 0)),
        ("GET", f"{EXT}/activity", (0, 0)),
        ("GET", f"{EXT}/keys", (0, 0)),
        ("GET", "/healthz", (0, 0)),
        ("OPTIONS", V1, (0, 0)),
        ("PATCHED", V1, (0, 0)),
    ],
)
def test_requests_for_data_are_counted_by_what_they_do(
    database: Database,
    activity: Activity,
    account: str,
    method: str,
    rule: str,
    expected: tuple[int, int],
) -> None:
    counting(activity, ROUTES)([exchange(account, method, rule)])
    activity.record()
    assert counted(database, account) == expected


def test_requests_that_are_refused_or_of_no_account_are_not_counted(
    database: Database, activity: Activity, account: str
) -> None:
    count = counting(activity, ROUTES)
    count([exchange(account, "GET", V1, 404), exchange(account, "PATCH", V1, 503)])
    count([exchange("", "GET", V1), exchange(account, "GET", V1, 304)])
    activity.record()
    assert counted(database, account) == (0, 1)


def test_all_exchanges_of_a_batch_are_counted(
    database: Database, activity: Activity, account: str
) -> None:
    other = f"{account}-2"
    count = counting(activity, ROUTES)
    for _ in range(2):
        count([exchange(account, "GET", V1)] * 30 + [exchange(other, "PATCH", V1, 204)] * 34)
    activity.record()
    activity.record()
    assert counted(database, account) == (0, 60)
    assert counted(database, other) == (68, 0)


def test_counts_are_lost_while_the_database_is_away(
    account: str, caplog: pytest.LogCaptureFixture
) -> None:
    away = Database("postgresql://127.0.0.1:1/none", Settings())
    activity = Activity(away)
    activity.add(account, saves=1)
    activity.record()
    assert "Saves and reads of 1 accounts were not counted" in caplog.text
    caplog.clear()
    activity.end()
    assert not caplog.text


def test_a_database_that_refuses_counts_does_not_end_the_counting(
    account: str, own_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    refusing = Database(own_url, Settings())
    with refusing.begin() as connection:
        connection.execute(text("ALTER TABLE activity ADD CHECK (saves = 0)"))
    activity = Activity(refusing)
    for _ in range(2):
        activity.add(account, saves=1)
        activity.record()
        assert "Saves and reads of 1 accounts were not counted" in caplog.text
        caplog.clear()
    activity.end()
    refusing.release()


def test_a_service_counts_for_all_versions_and_loses_nothing_when_it_stops(
    database_url: str, database: Database
) -> None:
    with (
        serving("--workers", "2", env=environment(CCS_DATABASE_URL=database_url)) as server,
        new_account(server, database) as account,
    ):
        account.v1("PATCH", "/orders/s1/properties", json={"size": 1}).raise_for_status()
        account.v1("GET", "/orders/s1/properties").raise_for_status()
        account.v2("GET", f"/context/document/{account.id}/orders/s1").raise_for_status()
        place = {"ns": "orders", "session": "s1", "name": "size"}
        increment, read = {"op": "incr", **place}, {"op": "get", **place}
        lease = {"op": "lease", "ns": "orders", "session": "s1", "owner": "bot", "seconds": 1}
        assert account.ops(increment, increment, read, lease).status_code == 200
        refused = {"op": "append", **place, "values": [1]}
        assert account.ops(refused, read, atomic=False).status_code == 200
        assert account.ops(refused).status_code == 409
        assert (
            account.v1("GET", "/orders/s1/properties", headers={"maven-api-key": "x"}).status_code
            == 403
        )
        assert server.stop() == 0
    assert counted(database, account.id) == (3, 4)
