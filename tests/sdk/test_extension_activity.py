"""The activity of an account, against the real server."""

from datetime import timedelta

import pytest

from ccs_sdk import ContextClient, InvalidArgumentError
from ccs_sdk.models import Count, Expiries, MinuteCounts, NamespaceCounts
from tests.support.service import Account

pytestmark = pytest.mark.usefixtures("both")


def test_activity_has_counts_minutes_and_expiries(admins: Account) -> None:
    with ContextClient(admins.server_url, admins.id, api_key=admins.key) as client:
        client.register_namespace("airline", ttl=timedelta(minutes=7))
        client.namespace("airline").session("conv-1").update({"intent": "rebook", "step": 1})
        found = client.activity()
        two, one, none = (Count(number, is_estimate=False) for number in (2, 1, 0))
        assert (found.properties, found.sessions) == (two, one)
        assert found.namespaces == [NamespaceCounts("airline", timedelta(minutes=7), two, one)]
        assert found.next is None
        assert found.expiring[:3] == [
            Expiries(found.time + timedelta(minutes=5 * step), properties)
            for step, properties in enumerate((none, two, none))
        ]
        assert len(found.minutes) == 60
        assert isinstance(found.minutes[0], MinuteCounts)
        reports = client.keys.create(scope="read", namespaces=["none"])
        with pytest.raises(InvalidArgumentError):
            client.activity(after=1)  # type: ignore[arg-type]
    with ContextClient(admins.server_url, admins.id, api_key=reports.key) as client:
        found = client.activity()
        assert (found.properties, found.sessions) == (None, None)
        assert (found.namespaces, found.minutes) == ([], [])
