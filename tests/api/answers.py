"""Assertions about responses: the error envelope, empty bodies, and JSON with exact numbers."""

import json
import re
from decimal import Decimal

from requests import Response

# Reason phrases from RFC 9110. That of 413 was renamed twice, and all its names are in use.
PHRASES = {
    400: {"Bad Request"},
    401: {"Unauthorized"},
    403: {"Forbidden"},
    404: {"Not Found"},
    405: {"Method Not Allowed"},
    409: {"Conflict"},
    410: {"Gone"},
    412: {"Precondition Failed"},
    413: {"Content Too Large", "Payload Too Large", "Request Entity Too Large"},
    414: {"URI Too Long", "Request-URI Too Long"},
    415: {"Unsupported Media Type"},
    422: {"Unprocessable Content", "Unprocessable Entity"},
    423: {"Locked"},
    429: {"Too Many Requests"},
}
LEAKS = re.compile(
    r"<!doctype|<html|traceback|psycopg|sqlalchemy|werkzeug|insert into|select ", re.IGNORECASE
)
TIMESTAMP = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z")


def assert_error(response: Response, status: int, *, field: str | None = None) -> None:
    """Asserts that the response is the contract's error envelope, with this status and an error for this field."""
    assert response.status_code == status, (response.status_code, response.text)
    assert response.headers["Content-Type"].partition(";")[0] == "application/json"
    problem = response.json()
    assert problem["code"] == status
    assert problem["status"] in PHRASES[status]
    assert isinstance(problem["message"], str)
    assert problem["message"].strip()
    assert not LEAKS.search(response.text), response.text
    if field is not None:
        assert problem["errors"][field], problem


def assert_empty(response: Response) -> None:
    """Asserts that the response is that of a write: 204 with an empty body."""
    assert response.status_code == 204, (response.status_code, response.text)
    assert response.content == b""


def exact(text: str | bytes) -> object:
    """Parses JSON without rounding numbers; fails if a member is repeated."""
    return json.loads(
        text, parse_int=Decimal, parse_float=Decimal, object_pairs_hook=_without_repetition
    )


def read(response: Response) -> object:
    """Returns the JSON of a successful response, without rounding numbers."""
    assert response.status_code == 200, (response.status_code, response.text)
    assert response.headers["Content-Type"].partition(";")[0] == "application/json"
    return exact(response.content)


def json_equal(one: object, other: object) -> bool:
    """Whether two JSON values are equal. In Python, `==` alone would treat `true` and 1 as equal."""
    match one, other:
        case dict(), dict():
            return one.keys() == other.keys() and all(
                json_equal(value, other[name]) for name, value in one.items()
            )
        case list(), list():
            return len(one) == len(other) and all(map(json_equal, one, other))
        case _:
            return type(one) is type(other) and one == other


def _without_repetition(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    assert len(members) == len(pairs), f"a member is repeated in the answer: {pairs}"
    return members
