"""Quotas in Prometheus' format, read from the database when they are asked for.

So they are the same on every instance, whichever counts, and a quota that has been cleared is gone from them. Only
accounts with a quota have series, at most eight each, and at most `MOST_ACCOUNTS` of them: those nearest to a limit.
"""

import logging
from collections.abc import Iterator
from threading import Lock
from time import monotonic

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from ccs_server.domain.errors import Unavailable
from ccs_server.store.database import Database
from ccs_server.store.quotas import AccountQuota, list_fullest_quotas

MOST_ACCOUNTS = 1000
"""Accounts that are shown."""

_log = logging.getLogger("ccs.quotas")


class QuotaMetrics:
    """The metrics of all quotas, as they were at most `seconds` ago: whoever asks often asks the database seldom."""

    def __init__(self, database: Database, seconds: float) -> None:
        self._database = database
        self._seconds = seconds
        self._lock = Lock()
        self._text = b""
        self._read_at = -seconds

    def text(self) -> bytes:
        """The metrics; none while the database cannot be asked, which must not take the others with it."""
        with self._lock:
            if monotonic() - self._read_at >= self._seconds:
                self._text = self._read()
                self._read_at = monotonic()
            return self._text

    def _read(self) -> bytes:
        try:
            quotas, total = list_fullest_quotas(self._database, MOST_ACCOUNTS)
        except Unavailable as error:
            _log.warning("The metrics are without quotas: %s", error)
            return b""
        registry = CollectorRegistry()
        registry.register(_Quotas(quotas, total))
        return generate_latest(registry)


class _Quotas(Collector):
    def __init__(self, quotas: list[AccountQuota], total: int) -> None:
        self._quotas = quotas
        self._total = total

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield GaugeMetricFamily(
            "ccs_quota_accounts",
            f"Accounts with a quota; the metrics below show {MOST_ACCOUNTS} at most.",
            self._total,
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
        for each in self._quotas:
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
