"""CCS_RATE_LIMIT, which limits the rate of requests of an account."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import limits
import pytest
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from ccs_server.api.rates import RateLimiter
from ccs_server.domain.errors import TooManyRequests
from ccs_server.settings import Rate, SettingError, Settings
from tests.api.answers import assert_error
from tests.support.service import Account, Server, environment, serving

RATE = limits.parse("3/hour")


@pytest.fixture(scope="module")
def limited(database_url: str) -> Iterator[Server]:
    env = environment(CCS_DATABASE_URL=database_url, CCS_RATE_LIMIT="3/hour")
    with serving("--workers", "1", env=env) as server:
        yield server


def test_v1_and_v2_count_together_and_accounts_apart(
    limited: Server, account: Account, other_account: Account
) -> None:
    here, other = (
        replace(account, server_url=limited.url),
        replace(other_account, server_url=limited.url),
    )
    for _ in range(2):
        assert here.v1("GET", "").status_code == 200
    assert here.v2("GET", f"/context/document/{account.id}/absent").status_code == 404
    for refused in (
        here.v1("GET", ""),
        here.v2("GET", f"/context/document/{account.id}/absent"),
        here.v1("PATCH", "/ns/properties", json={"a": 1}),
    ):
        assert_error(refused, 429)
        assert 1 <= int(refused.headers["Retry-After"]) <= 3600
    assert other.v1("GET", "").status_code == 200
    assert account.v1("GET", "/ns/properties").json() == {}


def test_requests_with_a_wrong_key_do_not_use_up_the_rate_of_an_account(
    limited: Server, account: Account, other_account: Account
) -> None:
    here = replace(account, server_url=limited.url)
    for _ in range(5):
        assert (
            here.call("GET", f"/v1/account/{account.id}", {"maven-api-key": "x"}).status_code == 403
        )
        theirs = {"maven-api-key": other_account.key}
        assert here.call("GET", f"/v1/account/{account.id}", theirs).status_code == 403
    assert here.v1("GET", "").status_code == 200


class _Failing(MemoryStorage):
    """A storage that cannot be reached."""

    asked = 0

    def acquire_sliding_window_entry(self, *_: Any, **__: Any) -> bool:
        self.asked += 1
        raise ConnectionError


def test_requests_are_allowed_while_the_storage_fails(
    caplog: pytest.LogCaptureFixture,
) -> None:
    storage = _Failing()
    limiter = RateLimiter(RATE, SlidingWindowCounterRateLimiter(storage))
    for _ in range(10):
        limiter.count("a", RATE)
    assert storage.asked == 1
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_window_slides() -> None:
    limiter = RateLimiter(RATE, SlidingWindowCounterRateLimiter(MemoryStorage()))
    for _ in range(3):
        limiter.count("a", RATE)
    with pytest.raises(TooManyRequests, match="3 per 1 hour") as refused:
        limiter.count("a", RATE)
    assert 1 <= refused.value.retry_after <= 3600
    limiter.count("b", RATE)


def test_it_is_off_by_default_and_requires_an_existing_storage() -> None:
    assert RateLimiter.of(Settings()).rate_of(None) is None
    with pytest.raises(SettingError, match="CCS_RATE_LIMIT_STORAGE"):
        RateLimiter.of(Settings(rate_limit=Rate("3/hour"), rate_limit_storage="nothing://host"))


def test_the_rate_of_an_account_overrides_the_common_rate() -> None:
    assert RateLimiter.of(Settings()).rate_of("3/hour") == RATE
    limiter = RateLimiter.of(Settings(rate_limit=Rate("5/minute")))
    assert limiter.rate_of("3/hour") == RATE
    assert limiter.rate_of(None) == limits.parse("5/minute")
