"""The sessions in which adapters keep entries of any key, and the batches that reach them."""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Final, TypeVar
from urllib.parse import quote

T = TypeVar("T")

LONGEST_ID: Final = 256
"""The most characters of a session id."""
OPERATIONS: Final = 100
"""The most operations of a batch."""


def session_id(kind: str, key: str) -> str:
    """Returns the session of a key: a readable one, unless it would be too long."""
    readable = f"{kind}:" + quote(key, safe=" ,;:=@+!*'()[]")
    return readable if len(readable) <= LONGEST_ID else f"{kind}-sha256:{digest(key)}"


def digest(key: str) -> str:
    """Returns the SHA-256 of a key, in hexadecimal digits."""
    return sha256(key.encode()).hexdigest()


def parts(keys: Sequence[T]) -> Iterator[Sequence[T]]:
    """Divides keys into those of one batch each."""
    for begin in range(0, len(keys), OPERATIONS):
        yield keys[begin : begin + OPERATIONS]
