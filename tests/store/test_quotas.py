"""Setting, finding and listing quotas."""

import pytest

from ccs_server.domain.errors import NotFound, Unavailable
from ccs_server.domain.quotas import LARGEST, Amounts, Quota
from ccs_server.settings import Settings
from ccs_server.store.credentials import create_credential, create_key, find_credential, find_key
from ccs_server.store.database import Database
from ccs_server.store.quotas import (
    clear_quota,
    find_quota,
    list_fullest_quotas,
    list_quotas,
    set_quota,
)
from tests.support.ports import free_port


def test_limits_that_are_not_given_are_unchanged(own_database: Database) -> None:
    set_quota(own_database, "a", {"properties": 5, "requests": "7/second"})
    set_quota(own_database, "a", {"bytes": LARGEST, "properties": 6})
    found = find_quota(own_database, "a")
    assert found
    assert found.quota == Quota(Amounts(6, LARGEST), Amounts(), "7/second")
    assert found.counted_at is None


def test_a_quota_without_limits_is_removed(own_database: Database) -> None:
    set_quota(own_database, "a", {"properties": 5})
    set_quota(own_database, "a", {"properties": None})
    set_quota(own_database, "b", {"sessions": None})
    assert list_quotas(own_database) == []
    with pytest.raises(NotFound, match="Account 'a' has no quota"):
        clear_quota(own_database, "a")


def test_it_is_found_with_every_credential_of_its_account(own_database: Database) -> None:
    key, credential = create_key(own_database, "a"), create_credential(own_database, "a")
    set_quota(own_database, "a", {"sessions": 3, "requests": "7/second"})
    set_quota(own_database, "b", {"sessions": 4})
    expected = Quota(Amounts(sessions=3), Amounts(), "7/second")
    for found in (
        find_key(own_database, key.key_id),
        find_credential(own_database, credential.username),
    ):
        assert found
        assert found.quota == expected
    clear_quota(own_database, "a")
    found = find_key(own_database, key.key_id)
    assert found
    assert found.quota is None


def test_the_fullest_quotas_come_first(own_database: Database) -> None:
    for account in ("empty", "rate", "full", "half"):
        set_quota(own_database, account, {"properties": 100, "bytes": 1_000_000})
    set_quota(own_database, "rate", {"properties": None, "bytes": None, "requests": "1/second"})
    with own_database.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE quota SET sessions_used = 0, properties_used = CASE account"
            " WHEN 'full' THEN 150 WHEN 'half' THEN 50 ELSE 0 END, bytes_used = 10"
            " WHERE account <> 'rate'"
        )
    fullest, total = list_fullest_quotas(own_database, 2)
    assert [each.account for each in fullest] == ["full", "half"]
    assert total == 4


def test_a_missing_database_is_unavailable() -> None:
    away = Database(f"postgresql://nobody@127.0.0.1:{free_port()}/none", Settings())
    with pytest.raises(Unavailable):
        list_quotas(away)
