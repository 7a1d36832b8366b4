"""The check of the audit finds every violation."""

import pytest

from tests.trust.audited import Event, violations

CREATED, REVOKED = Event("a", "key.created", "k"), Event("a", "key.revoked", "k")


def test_an_audit_with_each_event_once_has_no_violations() -> None:
    assert violations([CREATED, REVOKED], [REVOKED, CREATED], [CREATED]) == []


@pytest.mark.parametrize(
    ("recorded", "happened", "acknowledged", "wrong"),
    [
        ([CREATED], [CREATED, REVOKED], [CREATED], "not recorded"),
        ([CREATED, REVOKED], [CREATED], [CREATED], "recorded, but did not happen"),
        ([CREATED, CREATED], [CREATED], [CREATED], "recorded 2 times"),
        ([], [], [CREATED], "acknowledged, but not recorded"),
    ],
)
def test_missing_invented_and_repeated_events_are_violations(
    recorded: list[Event], happened: list[Event], acknowledged: list[Event], wrong: str
) -> None:
    (violation,) = violations(recorded, happened, acknowledged)
    assert violation.startswith(f"{wrong}: Event(account='a'")
