"""Admission's decisions: whose request runs, whose waits, whose is refused."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from ccs_server.serving.admission import LISTINGS, STANDING_SECONDS, Admission, Occupancy

SLOTS = 4
SHARE = 3


@dataclass(eq=False)
class Request:
    account: str
    is_listing: bool = False


def admission(queue_length: int = 2, queue_time: float = 0.1) -> Admission[Request]:
    return Admission(slots=SLOTS, share=SHARE, queue_length=queue_length, queue_time=queue_time)


def flood(
    admitted: Admission[Request], account: str, count: int, now: float = 0.0
) -> list[Request]:
    """So many requests of the account; returns those that run."""
    requests = [Request(account) for _ in range(count)]
    return [request for request in requests if admitted.arrive(request, now)]


def test_an_account_leaves_a_slot_to_others() -> None:
    admitted = admission()
    assert len(flood(admitted, "flooding", 10)) == SHARE
    assert admitted.arrive(Request("other"), 0)


def test_it_tells_how_full_it_is_and_how_long_requests_have_waited() -> None:
    admitted = admission()
    running = flood(admitted, "a", 5, now=1.0)
    assert admitted.look() == (Occupancy(SHARE, 5 - SHARE), [])
    admitted.leave(running[0], 1.25)
    assert admitted.look() == (Occupancy(SHARE, 1), [0.25])
    assert admitted.look() == (Occupancy(SHARE, 1), [])


def test_accounts_that_wait_take_turns() -> None:
    admitted = admission()
    running = flood(admitted, "a", SHARE) + flood(admitted, "b", 1)
    flood(admitted, "a", 5)
    flood(admitted, "b", 5)
    flood(admitted, "c", 1)
    following = []
    for _ in range(4):
        request, _ = admitted.leave(running.pop(0), 0)
        assert request
        following.append(request.account)
        running.append(request)
    assert following == ["a", "b", "c", "a"]


def test_requests_of_an_account_run_in_the_order_in_which_they_came() -> None:
    admitted = admission()
    running = flood(admitted, "a", SHARE)
    waiting = [Request("a") for _ in range(4)]
    for request in waiting:
        assert not admitted.arrive(request, 0)
    for expected in waiting:
        following, _ = admitted.leave(running.pop(0), 0)
        assert following is expected
        running.append(following)


def test_an_account_runs_one_listing_at_once_and_other_requests_beside_it() -> None:
    admitted = admission()
    listing, second = Request("a", is_listing=True), Request("a", is_listing=True)
    assert LISTINGS == 1
    assert admitted.arrive(listing, 0)
    assert not admitted.arrive(second, 0)
    assert admitted.arrive(Request("a"), 0)
    assert admitted.arrive(Request("b", is_listing=True), 0)
    assert admitted.leave(listing, 0) == (second, [])


def test_a_standing_queue_is_refused() -> None:
    admitted = admission(queue_length=2)
    running = flood(admitted, "a", SHARE)
    flood(admitted, "a", 10)
    # It has been slow for a moment only.
    following, refused = admitted.leave(running[0], 0.5)
    assert following
    assert not refused
    # And goes on: of ten, one has run, and two may wait for however long.
    following, refused = admitted.leave(following, 0.5 + STANDING_SECONDS + 0.01)
    assert following
    assert len(refused) == 10 - 1 - 1 - 1


def test_a_flood_is_refused_only_to_the_account_that_sends_it() -> None:
    admitted = admission(queue_length=2)
    running = flood(admitted, "flooding", SHARE) + flood(admitted, "calm", 1)
    flood(admitted, "flooding", 10)
    flood(admitted, "calm", 1)
    refused: list[Request] = []
    for moment in (0.5, 1.0, 1.5):
        following, gone = admitted.leave(running.pop(0), moment)
        assert following
        running.append(following)
        refused += gone
    assert {request.account for request in refused} == {"flooding"}


def test_a_queue_that_moves_fast_is_no_overload_however_long() -> None:
    admitted = admission(queue_length=2, queue_time=0.1)
    running = flood(admitted, "a", SHARE)
    for step in range(100):
        now = step / 100
        flood(admitted, "a", 1, now)
        following, refused = admitted.leave(running.pop(0), now + 0.05)
        assert following
        assert not refused
        running.append(following)


def test_a_few_that_wait_long_are_not_refused() -> None:
    """A slow database with a few clients is no overload."""
    admitted = admission(queue_length=16)
    running = flood(admitted, "a", SHARE)
    flood(admitted, "a", 10)
    for moment in range(1, 10):
        following, refused = admitted.leave(running.pop(0), float(moment))
        assert following
        assert not refused
        running.append(following)


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.booleans(), st.integers(0, 5), st.booleans()),
        max_size=80,
    )
)
def test_whatever_comes_each_request_runs_once_or_is_refused_and_the_limits_hold(
    steps: list[tuple[str, bool, int, bool]],
) -> None:
    admitted = admission(queue_length=1, queue_time=0.01)
    arrived: list[Request] = []
    running: list[Request] = []
    ended: list[Request] = []
    now = 0.0

    def leave() -> None:
        request = running.pop(0)
        ended.append(request)
        following, refused = admitted.leave(request, now)
        ended.extend(refused)
        if following:
            running.append(following)

    for account, is_listing, wait, may_leave in steps:
        now += wait / 10
        request = Request(account, is_listing)
        arrived.append(request)
        if admitted.arrive(request, now):
            running.append(request)
        if may_leave and running:
            leave()
        assert len(running) <= SLOTS
        for each in "abc":
            of_account = [one for one in running if one.account == each]
            assert len(of_account) <= SHARE
            assert sum(one.is_listing for one in of_account) <= LISTINGS
    while running:
        leave()
    assert {*map(id, ended)} == {*map(id, arrived)}
    assert len(ended) == len(arrived)
    # Nothing is kept of accounts that have nothing to run.
    assert not admitted._accounts
    assert not admitted._turns
