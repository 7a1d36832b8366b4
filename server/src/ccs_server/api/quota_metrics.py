"""Quotas in Prometheus' format, read from the database when they are asked for.

So they are the same on every instance, whichever counts, and a quota that has been cleared is gone from them. Only
accounts with a quota have series, at most eight each, and at most `MOST_ACCOUNTS` of them: those nearest to a limit.
"""

import logging
from collections.abc import Iterator
from threading import Lock, Thread
from time import monotonic

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from ccs_server.domain.errors import Unavailable
from ccs_server.store.database import Database
from ccs_server.store.quotas import AccountQuota, list_fullest_quotas

MOST_ACCOUNTS = 1000
"""Accounts that are shown."""

_PATIENCE_SECONDS = 0.5

_log = logging.getLogger("ccs.quotas")


class QuotaMetrics(Collector):
    """Collects the metrics of all quotas, as they were at most `seconds` ago: frequent scrapes ask the database seldom.

    There are none while the database cannot be asked, and those of before while it does not respond: neither may keep
    the other metrics back.
    """

    def __init__(self, database: Database, seconds: float) -> None:
        self._database = database
        self._seconds = seconds
        self._lock = Lock()
        self._metrics: list[GaugeMetricFamily] = []
        self._read_at = -seconds
        self._reading: Thread | None = None

    def collect(self) -> list[GaugeMetricFamily]:
        """The metrics."""
        with self._lock:
            if self._reading is None and monotonic() - self._read_at >= self._seconds:
                self._reading = Thread(target=self._read, name="quota-metrics", daemon=True)
                self._reading.start()
            reading = self._reading
        if reading is not None:
            reading.join(_PATIENCE_SECONDS)
        return self._metrics

    @staticmethod
    def describe() -> list[GaugeMetricFamily]:
        """No names, so that the database is not asked for them when this is registered."""
        return []

    def _read(self) -> None:
        try:
            self._metrics = list(_metrics(*list_fullest_quotas(self._database, MOST_ACCOUNTS)))
        except Unavailable as error:
            _log.warning("The metrics are without quotas: %s", error)
            self._metrics = []
        finally:
            self._read_at = monotonic()
            self._reading = None


def _metrics(quotas: list[AccountQuota], total: int) -> Iterator[GaugeMetricFamily]:
    yield GaugeMetricFamily(
        "ccs_quota_accounts",
        f"Accounts with a quota; the metrics below show {MOST_ACCOUNTS} at most.",
        total,
    )
    labels = ["account", "resource"]
    limit = GaugeMetricFamily(
        "ccs_quota_limit",
        "What the account may have of properties, bytes and sessions; requests per second.",
        labels=labels,
    )
    used = GaugeMetricFamily(
        "ccs_quota_used", "What it had of them when it was counted last.", labels=labels
    )
    counted = GaugeMetricFamily(
        "ccs_quota_counted_timestamp_seconds", "When that was.", labels=["account"]
    )
    for each in quotas:
        for resource in ("properties", "bytes", "sessions"):
            key = [each.account, resource]
            if (value := getattr(each.quota.limits, resource)) is not None:
                limit.add_metric(key, value)
                if (value := getattr(each.quota.used, resource)) is not None:
                    used.add_metric(key, value)
        if each.quota.requests:
            limit.add_metric([each.account, "requests"], _per_second(each.quota.requests))
        if each.counted_at:
            counted.add_metric([each.account], each.counted_at.timestamp())
    yield from (limit, used, counted)


def _per_second(rate: str) -> float:
    from limits import parse  # noqa: PLC0415 - as in the settings

    parsed = parse(rate)
    return parsed.amount / parsed.get_expiry()
