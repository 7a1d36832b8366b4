"""The metrics of quotas: their number is bounded, and they take nothing with them when the database is away."""

import logging
from collections import Counter

import pytest
from sqlalchemy import text

from ccs_server.api import quota_metrics
from ccs_server.api.quota_metrics import MOST_ACCOUNTS, QuotaMetrics
from ccs_server.settings import Settings
from ccs_server.store import schema
from ccs_server.store.database import Database
from ccs_server.store.quotas import set_quota
from tests.support.ports import free_port


def shown(metrics: QuotaMetrics) -> Counter[str]:
    """How many series there are of each name."""
    return Counter(sample.name for family in metrics.collect() for sample in family.samples)


def test_however_many_quotas_there_are_the_series_are_bounded(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A thousand are read on a machine that has other things to do too.
    monkeypatch.setattr(quota_metrics, "_PATIENCE_SECONDS", 30)
    schema.migrate(empty_database_url)
    database = Database(empty_database_url, Settings())
    with database.begin() as connection:
        insert = text(
            "INSERT INTO quota SELECT 'a' || n, 5, 5, 5, '5/second', 1, 1, 1, now()"
            " FROM generate_series(1, :count) n"
        )
        connection.execute(insert, {"count": MOST_ACCOUNTS + 5})
    assert shown(QuotaMetrics(database, 2.0)) == {
        "ccs_quota_accounts": 1,
        "ccs_quota_limit": 4 * MOST_ACCOUNTS,
        "ccs_quota_used": 3 * MOST_ACCOUNTS,
        "ccs_quota_counted_timestamp_seconds": MOST_ACCOUNTS,
    }


def test_the_database_is_asked_again_only_after_a_while(empty_database_url: str) -> None:
    schema.migrate(empty_database_url)
    database = Database(empty_database_url, Settings())
    seldom, always = QuotaMetrics(database, 3600.0), QuotaMetrics(database, 0.0)
    for metrics in (seldom, always):
        assert shown(metrics) == {"ccs_quota_accounts": 1}
    set_quota(database, "a", {"properties": 1})
    assert shown(seldom) == {"ccs_quota_accounts": 1}
    assert shown(always) == {"ccs_quota_accounts": 1, "ccs_quota_limit": 1}


def test_while_the_database_is_away_there_are_none_and_the_log_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    away = Database(f"postgresql://nobody@127.0.0.1:{free_port()}/none", Settings())
    with caplog.at_level(logging.WARNING, "ccs.quotas"):
        assert QuotaMetrics(away, 2.0).collect() == []
    assert "The database cannot be reached" in caplog.text
