"""Conversations that are made up."""

from itertools import pairwise
from random import Random

import pytest

from ccs_server.demo.conversations import TOPICS, Conversation, make_up


def conversations() -> list[Conversation]:
    random = Random(17)
    return [make_up(random, begins=-100.0) for _ in range(200)]


def test_every_topic_comes_up_alone_and_with_an_agent() -> None:
    seen = {
        (each.namespace, each.turns[0].properties["intent"], "agent" in each.turns[-1].owner)
        for each in conversations()
    }
    assert seen == {(t.namespace, t.intent, agent) for t in TOPICS for agent in (False, True)}


def test_a_conversation_is_opened_and_closed_by_turns_that_follow_each_other() -> None:
    for each in conversations():
        first, *_, last = each.turns
        assert first.at == -100
        assert (first.properties["status"], last.properties["status"]) == ("open", "closed")
        assert all(before.at < after.at for before, after in pairwise(each.turns))
        numbers = [turn.properties["turns"] for turn in each.turns]
        assert numbers == list(range(1, len(each.turns) + 1))


def test_each_turn_adds_to_the_log() -> None:
    for each in conversations():
        for before, after in pairwise(turn.properties["log"] for turn in each.turns):
            assert isinstance(before, list)
            assert isinstance(after, list)
            assert after[: len(before)] == before
            assert len(after) > len(before)


@pytest.mark.parametrize("namespace", ["airline", "bank"])
def test_only_callers_of_the_bank_get_a_code(namespace: str) -> None:
    codes = {
        turn.code is not None
        for each in conversations()
        if each.namespace == namespace
        for turn in each.turns[:1]
    }
    assert codes == {namespace == "bank"}
