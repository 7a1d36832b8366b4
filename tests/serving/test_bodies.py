"""Bodies on their way: complete, broken off, too slow, too many. Time is a number that the tests move."""

import gc
import weakref
from asyncio import CancelledError
from collections.abc import Callable
from typing import Any

import pytest

from ccs_server.serving import bodies as limits
from ccs_server.serving.bodies import Bodies, Truncated
from ccs_server.serving.exchange import BodyFuture, Exchange

LARGEST = 1 << 20


class Part:
    """A message of a body, as granian's future for it behaves (test_granian.py)."""

    def __init__(self) -> None:
        self.message: dict[str, Any] | None = None
        self.is_cancelled = False
        self._callback: Callable[[BodyFuture], None] | None = None

    def done(self) -> bool:
        return self.message is not None or self.is_cancelled

    def result(self) -> dict[str, Any]:
        if self.message is None:
            raise CancelledError
        return self.message

    def add_done_callback(self, callback: Callable[[BodyFuture], None]) -> None:
        self._callback = callback

    def cancel(self) -> bool:
        self.is_cancelled = True
        if self._callback:
            self._callback(self)
        return True

    def come(self, message: dict[str, Any]) -> None:
        self.message = message
        if self._callback:
            self._callback(self)


class Client:
    """The HTTP server's end of a request, played by hand."""

    def __init__(self) -> None:
        self.parts: list[Part] = []

    def receive(self) -> Part:
        self.parts.append(Part())
        return self.parts[-1]

    def send(self, message: dict[str, Any]) -> None:
        raise AssertionError(message)

    def says(self, body: bytes, *, more: bool = True) -> None:
        self.parts[-1].come({"type": "http.request", "body": body, "more_body": more})

    def breaks_off(self) -> None:
        self.parts[-1].come({"type": "http.disconnect"})


class Told:
    """What became of each body."""

    def __init__(self) -> None:
        self.completed: list[Exchange] = []
        self.refused: list[Exchange] = []
        self.slow: list[Exchange] = []

    def take_turn(self, exchange: Exchange) -> None:
        self.completed.append(exchange)

    def too_many(self, exchange: Exchange) -> None:
        self.refused.append(exchange)

    def too_slow(self, exchange: Exchange) -> None:
        self.slow.append(exchange)


class Room:
    """Bodies, their clock and what they told."""

    def __init__(self) -> None:
        self.now = 0.0
        self.told = Told()
        self.bodies = Bodies(self.told, longest=20, largest=LARGEST, clock=lambda: self.now)

    def receive(self, client: Client, length: int | None = None, account: str = "a") -> Exchange:
        framing = (
            {"HTTP_TRANSFER_ENCODING": "chunked"}
            if length is None
            else {"CONTENT_LENGTH": str(length)}
        )
        exchange = Exchange(framing, client, account)
        self.bodies.receive(exchange)
        return exchange


@pytest.fixture
def room() -> Room:
    return Room()


def test_a_body_is_complete_with_its_last_byte(room: Room) -> None:
    client = Client()
    exchange = room.receive(client, length=6)
    client.says(b"abc")
    assert not room.told.completed
    client.says(b"def")
    assert room.told.completed == [exchange]
    assert exchange.environ["wsgi.input"].read() == b"abcdef"


def test_a_body_in_chunks_is_complete_with_its_last_chunk(room: Room) -> None:
    client = Client()
    exchange = room.receive(client)
    client.says(b"abc")
    client.says(b"", more=False)
    assert exchange.environ["wsgi.input"].read() == b"abc"


def test_a_body_that_was_received_leaves_nothing_in_memory(room: Room) -> None:
    """Without the garbage collector, which does not know what granian's futures hold."""
    client = Client()
    exchange = room.receive(client, length=3)
    part = client.parts.pop()
    exists = weakref.ref(client)
    gc.disable()
    try:
        part.come({"type": "http.request", "body": b"abc", "more_body": False})
        room.told.completed.clear()
        del client, exchange, part
        assert exists() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("length", [6, None])
def test_a_body_that_breaks_off_cannot_be_read(room: Room, length: int | None) -> None:
    client = Client()
    exchange = room.receive(client, length)
    client.says(b"abc")
    client.breaks_off()
    assert room.told.completed == [exchange]
    assert isinstance(exchange.environ["wsgi.input"], Truncated)
    with pytest.raises(ConnectionError):
        exchange.environ["wsgi.input"].read(3)


def test_no_more_than_the_largest_is_received_of_a_body_of_unknown_length(room: Room) -> None:
    client = Client()
    exchange = room.receive(client)
    client.says(b"x" * LARGEST)
    assert room.told.completed == [exchange]


def test_a_body_of_a_byte_a_second_is_refused_after_the_grace(room: Room) -> None:
    slow, fast = Client(), Client()
    exchange = room.receive(slow, length=900)
    room.receive(fast, length=5000)
    fast.says(b"x" * 4999)
    for _ in range(3):
        room.now += 1
        slow.says(b"x")
        room.bodies.cut_off_slow()
    assert room.told.slow == [exchange]
    assert slow.parts[-1].is_cancelled
    fast.says(b"x")
    assert len(room.told.completed) == 1


def test_a_body_has_a_total_time_however_fast_it_is(room: Room) -> None:
    client = Client()
    exchange = room.receive(client, length=LARGEST)
    for _ in range(20):
        room.now += 1
        client.says(b"x" * limits.LEAST_RATE)
        assert room.bodies.cut_off_slow() == 0
    room.now += 0.1
    assert room.bodies.cut_off_slow() == 1
    assert room.told.slow == [exchange]


def test_what_comes_after_a_refusal_changes_nothing(room: Room) -> None:
    client = Client()
    room.receive(client, length=3)
    room.now = 30
    room.bodies.cut_off_slow()
    client.parts[-1].is_cancelled = False
    client.says(b"abc")
    assert not room.told.completed
    assert room.bodies.cut_off_slow() == 0


def test_an_account_has_a_bounded_number_of_bodies_on_their_way(room: Room) -> None:
    clients = [Client() for _ in range(limits.ACCOUNT_BODIES + 1)]
    for client in clients:
        room.receive(client, length=1)
    assert len(room.told.refused) == 1
    room.receive(Client(), length=1, account="another")
    assert len(room.told.refused) == 1
    clients[0].says(b"x")
    room.receive(Client(), length=1)
    assert len(room.told.refused) == 1


def test_an_account_has_a_bounded_number_of_bytes_on_their_way(room: Room) -> None:
    fitting = limits.ACCOUNT_BYTES // LARGEST
    for _ in range(fitting + 1):
        room.receive(Client(), length=LARGEST)
    assert len(room.told.refused) == 1


def test_all_accounts_together_have_a_bounded_number_of_bytes_on_their_way(room: Room) -> None:
    fitting = limits.TOTAL_BYTES // LARGEST
    for number in range(fitting + 1):
        room.receive(Client(), length=LARGEST, account=f"a{number % 50}")
    assert len(room.told.refused) == 1


def test_a_body_that_is_discarded_is_received_to_its_end_and_kept_nowhere(room: Room) -> None:
    client = Client()
    room.bodies.discard(Exchange({"CONTENT_LENGTH": "6"}, client, "a"))
    client.says(b"abc")
    client.says(b"def")
    client.says(b"", more=False)
    assert len(client.parts) == 3
    assert not room.told.completed


def test_a_body_is_discarded_for_a_bounded_time(room: Room) -> None:
    client = Client()
    room.bodies.discard(Exchange({}, client, "a"))
    room.now = limits.LINGER_SECONDS
    room.bodies.cut_off_slow()
    client.says(b"x")
    assert not client.parts[-1].done()
    room.now += 0.1
    assert room.bodies.cut_off_slow() == 0, "no request is refused: it has its response"
    assert client.parts[-1].is_cancelled
    assert not room.told.slow


def test_a_bounded_number_of_bytes_is_discarded(room: Room) -> None:
    client = Client()
    room.bodies.discard(Exchange({}, client, "a"))
    for _ in range(limits.LINGER_BYTES // LARGEST):
        client.says(b"x" * LARGEST)
    assert len(client.parts) == limits.LINGER_BYTES // LARGEST


def test_a_bounded_number_of_bodies_is_discarded_between_two_looks(room: Room) -> None:
    def is_discarded() -> bool:
        client = Client()
        room.bodies.discard(Exchange({}, client, "a"))
        return bool(client.parts)

    assert [is_discarded() for _ in range(limits.LINGER_COUNT + 2)].count(
        True
    ) == limits.LINGER_COUNT
    room.bodies.cut_off_slow()
    assert is_discarded()
