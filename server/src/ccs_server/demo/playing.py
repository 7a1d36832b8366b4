"""Fills an account with an hour of made-up conversations, and goes on with them.

What lies in the past is imported with the times at which it was saved and expires. What follows is saved turn by turn:
each turn releases the lease of the one before, takes its own, and saves, as one batch.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import NamedTuple

from msgspec.json import encode

from ccs_server.demo.conversations import CODE_TTL, TOPICS, Conversation, Turn, make_up
from ccs_server.domain.errors import Leased
from ccs_server.domain.names import DEFAULT_SESSION
from ccs_server.store.activity import record
from ccs_server.store.database import Database
from ccs_server.store.document import DocumentKey
from ccs_server.store.importing import Import, import_all
from ccs_server.store.namespace_settings import change_settings
from ccs_server.store.operations.base import Operation
from ccs_server.store.operations.leases import Lease, Release
from ccs_server.store.operations.partial import Increment
from ccs_server.store.operations.run import run_atomic
from ccs_server.store.operations.writes import Set
from ccs_server.store.sessions import set_session_ttl

NAMESPACES = tuple(dict.fromkeys(topic.namespace for topic in TOPICS))

CONVERSATION_TTL = 3600
"""The time to live of a session, in seconds. So what was saved an hour ago begins to expire when the demo begins."""

_PAST_SECONDS = 3600
_SECONDS_BETWEEN = 20
"""The mean time between the beginnings of two conversations."""

_LEASE_SECONDS = 60
_POSTPONED_SECONDS = 10.0
_KEEP_CHANGES_SECONDS = 86_400


class Filled(NamedTuple):
    """What an account was filled with.

    Attributes:
        conversations: how many conversations have begun.
        open: how many of them go on.
    """

    conversations: int
    open: int


class Demo:
    """The conversations of an account.

    Args:
        database: where they are saved.
        account: the account.
        by: who saves them, for the change log.
        random: decides what happens.
    """

    def __init__(self, database: Database, account: str, by: str, random: Random) -> None:
        self._database = database
        self._account = account
        self._by = by
        self._random = random
        # When the next turn of each conversation takes place; the numbers keep conversations from being compared.
        self._due: list[tuple[float, int, Conversation]] = []
        self._numbers = count()
        self._next = 0.0

    def fill(self) -> Filled:
        """Switches on the change log of the namespaces, and saves the last hour.

        Raises:
            ContextError: the account has no room for the namespaces, or it cannot be saved now.
        """
        for namespace in NAMESPACES:
            change_settings(
                self._database,
                self._account,
                namespace,
                changes="values",
                keep_changes=_KEEP_CHANGES_SECONDS,
            )
        past = [make_up(self._random, begins) for begins in self._beginnings(-_PAST_SECONDS, 0)]
        turns = sorted(
            ((turn, each) for each in past for turn in each.turns if turn.at <= 0),
            key=lambda pair: pair[0].at,
        )
        now = datetime.now(UTC)
        # The change log has a change for each property of an import, so one import would hide the earlier values.
        for minute in range(-_PAST_SECONDS, 0, 60):
            taken = [pair for pair in turns if minute < pair[0].at <= minute + 60]
            self._import(now, taken)
            self._count(now + timedelta(seconds=minute), len(taken))
        for conversation in past:
            done = [turn for turn in conversation.turns if turn.at <= 0]
            conversation.turns = conversation.turns[len(done) :]
            if conversation.turns:
                self._run([self._lease(conversation, done[-1].owner)], conversation)
                self._schedule(conversation, conversation.turns[0].at)
        for namespace in NAMESPACES:
            ended = sum(each.namespace == namespace and not each.turns for each in past)
            self._run([self._closed(namespace, ended)])
        return Filled(len(past), len(self._due))

    def advance(self, elapsed: float) -> float:
        """Takes the turns that are due at this time, in seconds since the demo began.

        Returns:
            After how many seconds the next turn is due.

        Raises:
            ContextError: a turn cannot be saved.
        """
        while self._next <= elapsed:
            self._begin()
        while self._due and self._due[0][0] <= elapsed:
            _, _, conversation = heappop(self._due)
            try:
                self._take(conversation, conversation.turns[0])
            except Leased:
                # Someone else has the conversation now, perhaps a person who looks at the demo.
                self._schedule(conversation, elapsed + _POSTPONED_SECONDS)
                continue
            del conversation.turns[0]
            if conversation.turns:
                self._schedule(conversation, max(elapsed, conversation.turns[0].at))
        return min([self._next, *(at for at, _, _ in self._due[:1])]) - elapsed

    def _beginnings(self, first: float, last: float) -> Iterator[float]:
        at = first + self._pause()
        while at < last:
            yield at
            at += self._pause()
        self._next = at

    def _pause(self) -> float:
        return self._random.uniform(0.5, 1.5) * _SECONDS_BETWEEN

    def _begin(self) -> None:
        conversation = make_up(self._random, self._next)
        set_session_ttl(self._database, self._document(conversation), CONVERSATION_TTL)
        self._schedule(conversation, self._next)
        self._next += self._pause()

    def _schedule(self, conversation: Conversation, at: float) -> None:
        heappush(self._due, (at, next(self._numbers), conversation))

    def _import(self, now: datetime, turns: Sequence[tuple[Turn, Conversation]]) -> None:
        """Saves turns as at the time when they took place."""
        given = Import(self._account, keep=False)
        for line, (turn, conversation) in enumerate(turns, 1):
            place = conversation.namespace, conversation.session_id
            given.add_session(*place, CONVERSATION_TTL)
            document = given.find_document(*place)
            if document is None:
                document = given.add_document(*place, line)
            at = now + timedelta(seconds=turn.at)
            expires_at = at + timedelta(seconds=CONVERSATION_TTL)
            for name, value in turn.properties.items():
                given.add_property(document, name, encode(value), expires_at, at)
            if turn.code:
                expires_at = at + timedelta(seconds=CODE_TTL)
                given.add_property(document, "code", encode(turn.code), expires_at, at)
        import_all(self._database, given, self._by)

    def _take(self, conversation: Conversation, turn: Turn) -> None:
        """Takes a turn of a conversation: all of it takes place, or nothing."""
        document = self._document(conversation)
        properties = encode(turn.properties)
        operations: list[Operation] = [
            *self._release(conversation),
            self._lease(conversation, turn.owner),
            Set(document=document, properties=properties, count=len(turn.properties)),
        ]
        if turn.code:
            code = encode({"code": turn.code})
            operations.append(Set(document=document, properties=code, count=1, ttl=CODE_TTL))
        is_last = len(conversation.turns) == 1
        if is_last:
            operations.append(self._closed(conversation.namespace, 1))
        self._run(operations, conversation)
        self._count(datetime.now(UTC), 1)
        if is_last:
            self._run(self._release(conversation))

    def _count(self, at: datetime, turns: int) -> None:
        """Counts turns as if bots took them by requests: each reads the conversation, and then saves."""
        if turns:
            minute = int(at.timestamp()) // 60
            record(self._database, {(self._account, minute): (turns, turns)})

    def _run(self, operations: Sequence[Operation], leased: Conversation | None = None) -> None:
        """Executes operations as one batch, and notes the fence of a lease that is among them."""
        for outcome in run_atomic(self._database, operations, lambda _: None, by=self._by):
            fence = outcome.get("fence") if isinstance(outcome, dict) else None
            if leased and isinstance(fence, int):
                leased.fence = fence

    def _lease(self, conversation: Conversation, owner: str) -> Lease:
        document = self._document(conversation)
        return Lease(document=document, owner=owner, seconds=_LEASE_SECONDS)

    def _release(self, conversation: Conversation) -> list[Operation]:
        """The operation that releases the lease that was taken last, if any was and it is still in force."""
        if conversation.fence is None:
            return []
        return [Release(document=self._document(conversation), fence=conversation.fence)]

    def _closed(self, namespace: str, ended: int) -> Increment:
        """Counts conversations that have ended, in a property of the namespace."""
        document = DocumentKey(self._account, namespace, DEFAULT_SESSION)
        return Increment(document=document, name="closed", by=str(ended), ttl=CONVERSATION_TTL)

    def _document(self, conversation: Conversation) -> DocumentKey:
        return DocumentKey(self._account, conversation.namespace, conversation.session_id)
