"""Plays two bots and a human at one conversation, and prints what each of them sees.

It shows how they stay out of each other's way: a lease, a fence, a conditional write and a batch. It takes
its settings from CCS_URL, CCS_ACCOUNT and CCS_API_KEY, and leaves nothing behind.
"""

import time
from typing import Any

from ccs_sdk import (
    ContextClient,
    LeasedError,
    LeaseGrant,
    LeaseLostError,
    PreconditionFailedError,
    SessionHandle,
)

NAMESPACE = "two-bots-and-a-human"
CONVERSATION = "conv-81"


def say(who: str, what: str) -> None:
    """Prints what somebody sees or does."""
    print(f"{who:>6}: {what}")


def both_bots_get_the_message(call: SessionHandle) -> None:
    """A queue delivers the caller's message twice, to two bots. One of them answers."""
    with call.lease(30, owner="bot-1") as turn:
        say("bot-1", "I have the conversation.")
        try:
            with call.lease(30, owner="bot-2"):
                say("bot-2", "I have the conversation.")
        except LeasedError as error:
            say("bot-2", f"{error.lease.owner if error.lease else 'Someone'} has it. I leave it.")
        turn.append("log", "caller: I want to rebook.", "bot-1: To which day?", keep=50)
        turn.increment("turns")
        turn["form"] = {"intent": "rebook"}
        say("bot-1", f"I answered turn {turn['turns']}.")


def a_bot_takes_a_turn_and_freezes(client: ContextClient) -> LeaseGrant:
    """One request begins the turn. Then the bot's machine stops, and nothing renews the lease."""
    with client.batch() as batch:
        place = batch.session(NAMESPACE, CONVERSATION)
        lease = place.lease(1, owner="bot-2")
        known = place.all()
    say("bot-2", f"I have the conversation, with {len(known.value['log'])} lines. Now I freeze.")
    return lease.value


def the_human_waits_and_takes_over(call: SessionHandle) -> None:
    """The human tries until the lease has run out."""
    waited = False
    while True:
        try:
            with call.lease(30, owner="human") as turn:
                say("human", "It is free. I take over." if waited else "I take over.")
                turn.append("log", "human: Friday is possible.", keep=50)
                return
        except LeasedError as error:
            if not waited:
                say("human", f"{error.lease.owner if error.lease else 'Someone'} has it. I wait.")
            waited = True
            time.sleep(error.retry_after or 1)


def the_frozen_bot_awakes(call: SessionHandle, lease: LeaseGrant) -> None:
    """The bot does not know that it was stopped. Its fence is an old one."""
    try:
        call.append("log", "bot-2: Friday is fully booked.", fence=lease.fence)
    except LeaseLostError:
        say("bot-2", "I was too slow. Nothing of mine was saved.")


def the_human_corrects_the_form(call: SessionHandle) -> None:
    """The human edits what is on the screen, and a bot is faster."""
    shown = call.read("form")
    call.merge("form", {"day": "Friday"})
    say("bot-1", "I noted the day.")
    form: dict[str, Any] = {**shown.value, "seat": "12A"}
    try:
        call.set("form", form, if_match=shown.etag)
    except PreconditionFailedError as error:
        current = error.current.value if error.current else {}
        say("human", f"Somebody noted the day meanwhile: {current['day']}. I keep it.")
        call.modify("form", lambda newer: {**newer, "seat": "12A"})
    say("human", f"The form is {dict(sorted(call['form'].items()))}.")


def the_conversation_ends(client: ContextClient, call: SessionHandle) -> None:
    """All changes at the end take place together."""
    with client.batch() as batch:
        place = batch.session(NAMESPACE, CONVERSATION)
        length = place.append("log", "human: Done. Goodbye.", keep=50)
        place.set("status", "closed", ttl=3_600)
        closed = batch.namespace(NAMESPACE).increment("closed")
    say("human", f"Closed, with {length.value} lines. It is number {closed.value} today.")
    for line in call["log"]:
        print(" " * 8 + line)


def main() -> None:
    """Plays the conversation."""
    with ContextClient() as client:
        namespace = client.namespace(NAMESPACE)
        namespace.drop()  # of an earlier run
        call = namespace.session(CONVERSATION)
        try:
            both_bots_get_the_message(call)
            lease = a_bot_takes_a_turn_and_freezes(client)
            the_human_waits_and_takes_over(call)
            the_frozen_bot_awakes(call, lease)
            the_human_corrects_the_form(call)
            the_conversation_ends(client, call)
        finally:
            namespace.drop()


if __name__ == "__main__":
    main()
