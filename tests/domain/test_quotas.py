"""Which limit an account exceeds."""

import pytest

from ccs_server.domain.quotas import Amounts, Quota


@pytest.mark.parametrize(
    ("limits", "used"),
    [
        (Amounts(), Amounts(5, 5, 5)),
        (Amounts(5, 5, 5), Amounts(5, 5, 5)),
        (Amounts(1, 1, 1), Amounts()),
    ],
)
def test_an_account_at_its_limit_without_a_limit_or_not_counted_is_not_over(
    limits: Amounts, used: Amounts
) -> None:
    assert Quota(limits, used).excess() is None


@pytest.mark.parametrize("name", ["properties", "bytes", "sessions"])
def test_one_more_than_a_limit_is_over_it_and_the_message_names_the_limit(name: str) -> None:
    excess = Quota(Amounts(**{name: 5}), Amounts(6, 6, 6)).excess()
    assert excess == (
        f"The account had 6 {name} when last counted and its quota is 5; "
        "delete what it does not need, or ask the operator for a larger quota."
    )
