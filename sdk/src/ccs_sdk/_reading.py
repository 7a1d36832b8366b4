"""From the bytes of an answer to values and models; what does not fit is a BadAnswerError."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ccs_sdk import _json, _wire
from ccs_sdk._json import Value
from ccs_sdk.errors import BadAnswerError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the service answered when it did what it was asked."""

    status: int
    content: bytes
    request_id: str


def read(answer: Answer, convert: Callable[[Value], T], *, decimals: bool) -> T:
    """What `convert` makes of the answer's JSON.

    Raises:
        BadAnswerError: The answer is not JSON, or not what `convert` takes.
    """
    try:
        return convert(_json.decode(answer.content, decimals=decimals))
    except (*_json.UNREADABLE, *_wire.MALFORMED):
        failure = not_the_service(answer)
    raise failure


def not_the_service(answer: Answer) -> BadAnswerError:
    """The error for an answer with a status of success that the contract does not know."""
    return BadAnswerError(
        "The answer is not that of a context service; check base_url.",
        status=answer.status,
        body=answer.content.decode(errors="replace"),
        request_id=answer.request_id,
    )
