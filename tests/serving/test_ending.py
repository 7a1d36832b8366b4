"""The time that the parts of an end share."""

from ccs_server.serving.ending import Ending


def test_all_of_it_is_left_until_the_end_is_asked_for() -> None:
    ending = Ending(60.0)
    assert not ending.asked.is_set()
    assert ending.remaining() == 60.0


def test_it_runs_from_the_first_time_that_it_is_asked_for() -> None:
    ending = Ending(60.0)
    ending.ask()
    assert ending.asked.is_set()
    left = ending.remaining()
    assert left < 60.0
    ending.ask()
    assert ending.remaining() <= left


def test_it_is_never_less_than_nothing() -> None:
    ending = Ending(0.0)
    ending.ask()
    assert ending.remaining() == 0.0
