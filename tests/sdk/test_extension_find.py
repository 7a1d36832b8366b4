"""Finding and counting sessions, against the real server."""

from itertools import islice

import pytest

from ccs_sdk import BadRequestError, ContextClient, Hit
from tests.sdk.faults import FaultProxy
from tests.support.service import Account
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("both")


def _save(client: ContextClient, sessions: int) -> None:
    for number in range(sessions):
        client.namespace("airline").session(f"conv-{number:03}").update(
            {"status": "open" if number % 2 else "closed", "score": number}
        )


def test_sessions_are_found_by_their_properties(client: ContextClient) -> None:
    _save(client, 6)
    airline = client.namespace("airline")
    hits = list(airline.find(where={"status": "open", "score": {"$gte": 3}}, fields=["status"]))
    assert [hit.session_id for hit in hits] == ["conv-003", "conv-005"]
    assert [hit.properties for hit in hits] == [{"status": "open"}] * 2
    assert all(isinstance(hit, Hit) and hit.updated_at is not None for hit in hits)
    assert next(airline.find(fields=True)).properties == {"status": "closed", "score": 0}
    assert next(airline.find()).properties == {}
    assert [hit.session_id for hit in airline.find(prefix="conv-00", where={"score": 4})] == [
        "conv-004"
    ]
    assert list(client.namespace("nowhere").find()) == []


def test_pages_are_requested_as_needed(
    client: ContextClient, proxy: FaultProxy, account: Account
) -> None:
    _save(client, 7)
    with ContextClient(proxy.url, account.id, api_key=account.key) as proxied:
        airline = proxied.namespace("airline")
        hits = airline.find(page_size=2)
        assert proxy.seen == []
        assert [hit.session_id for hit in islice(hits, 3)] == ["conv-000", "conv-001", "conv-002"]
        assert len(proxy.seen) == 2
        assert len(list(hits)) == 4
        assert [hit.session_id for hit in airline.find(limit=3, page_size=2)] == [
            *["conv-000", "conv-001", "conv-002"],
        ]


def test_sessions_are_counted(client: ContextClient) -> None:
    _save(client, 5)
    airline = client.namespace("airline")
    assert airline.count() == 5
    assert airline.count(where={"status": "closed"}) == 3
    assert airline.count(prefix="other") == 0


def test_the_service_refuses_operators_that_it_does_not_know(client: ContextClient) -> None:
    hits = client.namespace("airline").find(where={"score": {"$between": [1, 2]}})
    with pytest.raises(BadRequestError):
        next(hits)


def test_sessions_are_found_by_an_index_and_sorted_by_update(admins: Account) -> None:
    with ContextClient(admins.server_url, admins.id, api_key=admins.key) as client:
        airline = client.namespace("airline")
        for session in ("s1", "s2", "s3"):
            airline.session(session).update({"status": "open"})
        changed = airline.configure(index=["status"], sort_by_update=True)
        assert (changed.index, changed.sort_by_update) == (("status",), True)
        wait_until(lambda: airline.get_settings().index_is_ready)
        airline.session("s1").touch(ttl=99)
        airline.session("s2").update({"n": 1})
        hits = airline.find(where={"status": "open"}, sort="-updatedAt", page_size=1)
        assert [hit.session_id for hit in hits] == ["s2", "s3", "s1"]
        assert airline.count(where={"status": "open"}) == 3
        off = airline.configure(index=[], sort_by_update=False)
        assert (off.index, off.sort_by_update, off.index_is_ready) == ((), False, True)
        with pytest.raises(BadRequestError):
            list(airline.find(sort="-updatedAt"))
