"""Reading JSON bodies without turning their values into Python objects.

What must be looked at is: that it is JSON, the names, the nesting. Values stay the bytes that the client sent, so
numbers keep every digit. Only a body that may repeat a member or hold U+0000 is rewritten.
"""

import json
import re
from io import BytesIO
from itertools import accumulate
from typing import Any, NoReturn, TypeVar
from wsgiref.types import WSGIEnvironment

from flask import Request, Response, request
from msgspec import DecodeError, Raw, ValidationError
from msgspec.json import Decoder, encode
from msgspec.json import format as compact
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from ccs_server.api.accounts import Account
from ccs_server.domain.errors import InvalidInput, Unavailable, UnsupportedMediaType
from ccs_server.domain.names import check_properties
from ccs_server.store.faults import BUSY

T = TypeVar("T")

MAX_BODY_BYTES = 1 << 20
MAX_NESTING = 100

JSON = "application/json"

MALFORMED = "The body must be valid JSON in UTF-8."
_TOO_DEEP = f"A value may be nested at most {MAX_NESTING} levels deep."
_CUT_OFF = "The body is not all there; send it whole."
_NUL = "The body holds U+0000, which cannot be stored; leave it out."

UNREAD = "ccs.body_unread"
"""Stands in the WSGI environment of a request whose body the server has not received, and will not: the request is
refused without it, and the connection closed."""

_object_decoder = Decoder(dict[str, Raw])
_value_decoder = Decoder(Raw)

# Where msgspec says which member of the body is not as it must be.
_MEMBER = re.compile(r"`\$\.(\w+)|missing required field `(\w+)`")

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
_ALL_BUT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NUL_ESCAPE = rb"\u0000"
_ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


class BodyRequest(Request):
    """A request whose body is read in one go where its length is known, and held to its limit where it is not.

    Attributes:
        account: the account that the request is made for, once its credential has been checked.
    """

    account: Account

    def read_all(self) -> bytes:
        """The whole body, or as much as came of it; to be called once.

        Raises:
            RequestEntityTooLarge: it is over MAX_BODY_BYTES.
        """
        length = self.environ.get("CONTENT_LENGTH", "")
        if (
            length.isdecimal()
            and int(length) <= MAX_BODY_BYTES
            and "HTTP_TRANSFER_ENCODING" not in self.environ
        ):
            # Werkzeug would look for its own limits first, and wrap the stream.
            try:
                body: bytes = self.environ["wsgi.input"].read(int(length))
            except ConnectionError:
                raise ClientDisconnected from None
            self.stream = BytesIO()
            return body
        body = self.get_data(cache=False)
        # Werkzeug cuts a body that comes in chunks off at its limit.
        if (
            self.content_length is None
            and len(body) == MAX_BODY_BYTES
            and self.environ["wsgi.input"].read(1)
        ):
            raise RequestEntityTooLarge
        return body


def current_request() -> BodyRequest:
    """The request at hand: what Flask's proxy stands for, which takes seven times as long for each attribute."""
    proxy: Any = request
    found: BodyRequest = proxy._get_current_object()  # noqa: SLF001 - documented by Flask for such uses
    return found


def leave_no_body(request: Request, response: Response) -> None:
    """Reads what is left of the body of a request that is refused; tells the client to close where that is too much.

    The HTTP server closes a connection that has an unread body on it, and a client that was not told would send its
    next request there.
    """
    if UNREAD in request.environ:
        return
    try:
        while request.stream.read(1 << 16):
            pass
    except (ClientDisconnected, RequestEntityTooLarge):
        response.headers["Connection"] = "close"


def is_json(environ: WSGIEnvironment) -> bool:
    """Whether a request's Content-Type is application/json, with whatever parameters."""
    content_type: str = environ.get("CONTENT_TYPE", "")
    return content_type == JSON or content_type.partition(";")[0].strip().lower() == JSON


def has_body(environ: WSGIEnvironment) -> bool:
    """Whether a request announces a body."""
    return (
        environ.get("CONTENT_LENGTH", "0") not in {"", "0"} or "HTTP_TRANSFER_ENCODING" in environ
    )


def read_json() -> bytes:
    """The request's body.

    Raises:
        UnsupportedMediaType: its Content-Type is not application/json.
        InvalidInput: it ended before its time.
        RequestEntityTooLarge: it is over MAX_BODY_BYTES.
        Unavailable: the server has not received it.
    """
    request = current_request()
    environ = request.environ
    if has_body(environ) and not is_json(environ):
        raise UnsupportedMediaType("Send the body with the header Content-Type: application/json.")
    if UNREAD in environ and (request.content_length or 0) <= MAX_BODY_BYTES:
        # The credential could not be checked when the server asked, and now it could: the database has come back.
        raise Unavailable(BUSY)
    try:
        body = request.read_all()
    except ClientDisconnected:
        raise InvalidInput(_CUT_OFF, "body") from None
    # Some servers hand over what has come when the client went away: of `1234` that may be `12`, which is JSON too.
    if environ.get("CONTENT_LENGTH", "") != str(len(body)) and request.content_length not in {
        None,
        len(body),
    }:
        raise InvalidInput(_CUT_OFF, "body")
    return body


def read_properties() -> tuple[bytes, int]:
    """The request's body as a JSON object of properties, ready to be stored, and how many they are.

    Raises:
        InvalidInput: it is not a JSON object, a name breaks the rules, or a value cannot be stored.
    """
    members = read_typed(_object_decoder, wrapping=1)
    check_properties(members)
    return encode(members), len(members)


def read_property(name: str) -> bytes:
    """The request's body as the value of the property `name`: a JSON object of one member.

    Raises:
        InvalidInput: it is not JSON, or cannot be stored.
    """
    return encode({name: read_typed(_value_decoder, wrapping=0)})


def read_typed(decoder: Decoder[T], wrapping: int) -> T:
    """The request's body as `decoder` gives it, values left as JSON.

    Args:
        decoder: says of what type the body must be.
        wrapping: how many levels of objects stand around the values.

    Raises:
        InvalidInput: the body is not of that type, or holds a value that cannot be stored.
    """
    body = read_json()
    try:
        return decoder.decode(_storable(body, wrapping))
    except ValidationError as error:
        member = _MEMBER.search(str(error))
        field = (member[1] or member[2]) if member else "body"
        raise InvalidInput(f"The body is not as it must be: {error}.", field) from None
    except (DecodeError, UnicodeDecodeError):
        raise InvalidInput(MALFORMED, "body") from None
    except RecursionError:
        raise InvalidInput(_TOO_DEEP, "body") from None


def _storable(body: bytes, wrapping: int) -> bytes:
    if not body.isascii():
        _decoded(body)
    objects = body.count(b"{")
    if objects + body.count(b"[") > MAX_NESTING and _depth(body) > MAX_NESTING + wrapping:
        raise InvalidInput(_TOO_DEEP, "body")
    if objects > wrapping or _NUL_ESCAPE in body:
        return _rewritten(body)
    # White space between tokens is nobody's value: it is neither stored nor counted.
    return compact(body, indent=-1)


def _depth(body: bytes) -> int:
    brackets = _STRING.sub(b"", body).translate(None, _ALL_BUT_BRACKETS)
    return max(accumulate(map(_STEP.__getitem__, brackets)), default=0)


def _rewritten(body: bytes) -> bytes:
    """The same JSON with each member once, the last one given; numbers as they were written."""
    try:
        value = json.loads(
            _decoded(body), parse_int=Raw, parse_float=Raw, parse_constant=_refuse_constant
        )
        text = encode(value)
    except (ValueError, RecursionError):
        raise InvalidInput(MALFORMED, "body") from None
    # The expression looks at every byte, which takes as long as all the rest.
    if _NUL_ESCAPE in text and _ESCAPED_NUL.search(text):
        raise InvalidInput(_NUL, "body")
    return text


def _decoded(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise InvalidInput(MALFORMED, "body") from None


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(constant)
