"""The check of the audit notices what is wrong with it."""

import pytest

from tests.trust.audited import Event, violations

MADE, REVOKED = Event("a", "key.created", "k"), Event("a", "key.revoked", "k")


def test_an_audit_that_tells_each_event_once_is_right() -> None:
    assert violations([MADE, REVOKED], [REVOKED, MADE], [MADE]) == []


@pytest.mark.parametrize(
    ("told", "happened", "acknowledged", "wrong"),
    [
        ([MADE], [MADE, REVOKED], [MADE], "not told"),
        ([MADE, REVOKED], [MADE], [MADE], "told, but did not happen"),
        ([MADE, MADE], [MADE], [MADE], "told 2 times"),
        ([], [], [MADE], "acknowledged, but not told"),
    ],
)
def test_one_that_does_not_is_wrong(
    told: list[Event], happened: list[Event], acknowledged: list[Event], wrong: str
) -> None:
    (violation,) = violations(told, happened, acknowledged)
    assert violation.startswith(f"{wrong}: Event(account='a'")
