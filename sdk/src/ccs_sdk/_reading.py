"""Decodes the bytes of a response into values and models."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ccs_sdk import _json, _wire
from ccs_sdk._json import Value
from ccs_sdk.errors import BadAnswerError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Response:
    """A successful response of the service."""

    status: int
    content: bytes
    request_id: str


def read(response: Response, convert: Callable[[Value], T], *, decimals: bool) -> T:
    """Decodes the response's JSON and returns the result of `convert`.

    Raises:
        BadAnswerError: The response is not JSON, or `convert` does not accept it.
    """
    try:
        return convert(_json.decode(response.content, decimals=decimals))
    except (*_json.UNREADABLE, *_wire.MALFORMED):
        failure = not_from_the_service(response)
    raise failure


def not_from_the_service(response: Response) -> BadAnswerError:
    """Returns the error for a successful response that does not conform to the contract."""
    return BadAnswerError(
        "The response did not come from a context service; check base_url.",
        status=response.status,
        body=response.content.decode(errors="replace"),
        request_id=response.request_id,
    )
