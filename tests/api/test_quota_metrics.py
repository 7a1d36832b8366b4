"""The metrics of quotas: their number is bounded, and other metrics do not fail with them without the database."""

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
    """Returns the number of series of each name."""
    return Counter(sample.name for family in metrics.collect() for sample in family.samples)


def test_the_number_of_series_is_bounded_for_any_number_of_quotas(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A thousand quotas are read on a machine that may be busy.
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


def test_the_result_of_the_database_is_cached(empty_database_url: str) -> None:
    schema.migrate(empty_database_url)
    database = Database(empty_database_url, Settings())
    seldom, always = QuotaMetrics(database, 3600.0), QuotaMetrics(database, 0.0)
    for metrics in (seldom, always):
        assert shown(metrics) == {"ccs_quota_accounts": 1}
    set_quota(database, "a", {"properties": 1})
    assert shown(seldom) == {"ccs_quota_accounts": 1}
    assert shown(always) == {"ccs_quota_accounts": 1, "ccs_quota_limit": 1}


def test_without_the_database_there_are_no_series_and_an_error_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    away = Database(f"postgresql://nobody@127.0.0.1:{free_port()}/none", Settings())
    with caplog.at_level(logging.WARNING, "ccs.quotas"):
        assert QuotaMetrics(away, 2.0).collect() == []
    assert "The database cannot be reached" in caplog.text
