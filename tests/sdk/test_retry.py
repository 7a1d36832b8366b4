"""Tables of which failures are retried, and how long the SDK waits."""

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from ccs_sdk import (
    AuthenticationError,
    BadAnswerError,
    BadRequestError,
    CCSError,
    ConfigurationError,
    ConflictError,
    ConnectionFailedError,
    KeyReusedError,
    LeasedError,
    NotFoundError,
    PreconditionFailedError,
    RetryPolicy,
    ServerError,
    ServiceUnavailableError,
    TimedOutError,
    TooManyRequestsError,
)
from ccs_sdk._retry import delay_before_retry, is_retryable, parse_retry_after

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("error", "passing"),
    [
        (ConnectionFailedError(""), True),
        (TimedOutError(""), True),
        (TooManyRequestsError(""), True),
        (ServerError("", status=502), True),
        (ServiceUnavailableError(""), True),
        (ServerError("", status=504), True),
        (ServerError("", status=500), False),
        (ConflictError("", retry_after=1), True),
        (ConflictError(""), False),
        (PreconditionFailedError(""), False),
        (KeyReusedError(""), False),
        (LeasedError("", retry_after=1), False),
        (BadRequestError(""), False),
        (AuthenticationError(""), False),
        (NotFoundError(""), False),
        (BadAnswerError(""), False),
    ],
)
def test_passing_failures_are_retryable(error: CCSError, passing: bool) -> None:
    assert is_retryable(error) is passing


@pytest.mark.parametrize(
    ("attempt", "chance", "delay"),
    [
        (1, 0.0, 0.0),
        (1, 1.0, 0.1),
        (2, 1.0, 0.2),
        (3, 0.5, 0.2),
        (6, 1.0, 3.2),
        (7, 1.0, 5.0),
        (5_000, 1.0, 5.0),
    ],
)
def test_backoff_doubles_up_to_a_limit_with_full_jitter(
    attempt: int, chance: float, delay: float
) -> None:
    assert delay_before_retry(RetryPolicy(), attempt, None, lambda: chance) == pytest.approx(delay)


@pytest.mark.parametrize(("retry_after", "delay"), [(0.0, 0.0), (3.0, 3.0), (3_600.0, 20.0)])
def test_retry_after_replaces_the_delay_up_to_a_limit(retry_after: float, delay: float) -> None:
    assert delay_before_retry(RetryPolicy(), 1, retry_after) == delay


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("Sat, 21 Nov 2026 12:00:30 GMT", 30.0),
        ("Sat, 21 Nov 2026 12:00:30 -0000", 30.0),
        ("Sat, 21 Nov 2026 11:59:00 GMT", 0.0),
        ("-5", None),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(header: str | None, seconds: float | None) -> None:
    assert parse_retry_after(header, NOON) == seconds


@pytest.mark.parametrize(
    "wrong",
    [
        {"attempts": 0},
        {"attempts": "3"},
        {"attempts": 1.5},
        {"attempts": True},
        {"total_time": "30"},
        {"base_delay": None},
        {"total_time": -1.0},
        {"base_delay": -0.1},
        {"max_delay": math.nan},
        {"max_retry_after": -1.0},
    ],
)
def test_an_invalid_policy_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        RetryPolicy(**wrong)
