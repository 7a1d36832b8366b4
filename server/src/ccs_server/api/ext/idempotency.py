"""Requests that take place once, however often they are sent: the header Idempotency-Key."""

import re
from collections.abc import Callable
from functools import wraps
from hashlib import sha256
from typing import ParamSpec

from flask import Response

from ccs_server.api.accounts import current_account, current_request
from ccs_server.domain.errors import InvalidInput
from ccs_server.http.responses import json_response
from ccs_server.store.operations.idempotency import Replay, Request

P = ParamSpec("P")

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
_ENVIRON = "HTTP_IDEMPOTENCY_KEY"

_is_key = re.compile(r"[\x20-\x7e]{1,255}").fullmatch

PARAMETER = {
    "name": HEADER,
    "in": "header",
    "schema": {
        "type": "string",
        "minLength": 1,
        "maxLength": 255,
        "pattern": r"^[\u0020-\u007e]+$",
        "examples": ["8e03978e-40d5-43dd-bc93-6894a57f9324"],
    },
    "description": "A new key for each request, the same for each try of it: for 24 hours, a repetition "
    "has the response of the first try, and no other effect.",
}


def once(body: bytes) -> Request | None:
    """The current request as one that takes place once; None if it has no idempotency key.

    Args:
        body: its body, which a repetition must repeat to the byte.

    Raises:
        InvalidInput: the key is not 1 to 255 printable ASCII characters.
    """
    request = current_request()
    key = request.environ.get(_ENVIRON)
    if key is None:
        return None
    if len(key) > 1 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not _is_key(key):
        raise InvalidInput(
            f"{HEADER} must be 1 to 255 printable ASCII characters, in quotes or not.", HEADER
        )
    account = current_account()
    content = request.environ["PATH_INFO"].encode("latin-1") + b"\n" + body
    return Request(
        account.id, account.actor, sha256(key.encode()).digest(), sha256(content).digest()
    )


def replaying(view: Callable[P, Response]) -> Callable[P, Response]:
    """Lets a view respond with the stored answer of a request that is repeated."""

    @wraps(view)
    def respond(*args: P.args, **kwargs: P.kwargs) -> Response:
        try:
            return view(*args, **kwargs)
        except Replay as repeated:
            response = json_response(repeated.answer.body, repeated.answer.status)
            response.headers[REPLAYED] = "true"
            return response

    return respond
