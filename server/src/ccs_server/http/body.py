"""Reading JSON bodies without turning their values into Python objects.

A body is checked to be JSON, of the right type, and not nested too deep. Values stay the bytes that the client sent,
so numbers keep every digit. Only a body that may repeat a member or hold U+0000 is rewritten.
"""

import json
import re
from collections.abc import Callable
from io import BytesIO
from itertools import accumulate
from typing import Any, NoReturn, TypeVar
from wsgiref.types import WSGIEnvironment

from flask import Request, request
from msgspec import DecodeError, Raw, ValidationError
from msgspec.json import Decoder, encode
from msgspec.json import format as compact
from werkzeug.exceptions import RequestEntityTooLarge

from ccs_server.domain.errors import BUSY, InvalidInput, Unavailable, UnsupportedMediaType
from ccs_server.domain.limits import MAX_BODY_BYTES, MAX_NESTING

T = TypeVar("T")

JSON = "application/json"
NDJSON = "application/x-ndjson"

MALFORMED = "The body must be valid JSON in UTF-8."
_TOO_DEEP = f"A value may be nested at most {MAX_NESTING} levels deep."
_CUT_OFF = "The body is not all there; send it whole."
_NUL = "The body holds U+0000, which cannot be stored; leave it out."

UNREAD = "ccs.body_unread"
"""A key of the WSGI environment of a request whose body the server has not received, and will not: the request is
refused without it, and the connection closed."""

# Where msgspec says which member of the body is not as it must be.
_MEMBER = re.compile(r"`\$\.(\w+)|missing required field `(\w+)`")

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
_ALL_BUT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NUL_ESCAPE = rb"\u0000"
_ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


_proxy: Any = request

current_request: Callable[[], Request] = _proxy._get_current_object  # noqa: SLF001 - documented by Flask for such uses
"""The current request itself. Each attribute of Flask's proxy takes seven times as long."""


def is_of_type(environ: WSGIEnvironment, media_type: str) -> bool:
    """Whether a request's Content-Type is the media type, with whatever parameters."""
    content_type: str = environ.get("CONTENT_TYPE", "")
    return (
        content_type == media_type or content_type.partition(";")[0].strip().lower() == media_type
    )


def has_body(environ: WSGIEnvironment) -> bool:
    """Whether a request announces a body."""
    return (
        environ.get("CONTENT_LENGTH", "0") not in {"", "0"} or "HTTP_TRANSFER_ENCODING" in environ
    )


def is_readable(environ: WSGIEnvironment) -> bool:
    """Whether `read_body` would read a body of the announced type and length, or refuse it without."""
    try:
        length = _announced_length(environ)
    except InvalidInput:
        return False
    is_of_known_type = is_of_type(environ, JSON) or is_of_type(environ, NDJSON)
    return is_of_known_type and (length is None or length <= MAX_BODY_BYTES)


def read_body(media_type: str = JSON) -> bytes:
    """The request's body, whole. It can be read once.

    Raises:
        UnsupportedMediaType: its Content-Type is not `media_type`.
        InvalidInput: it is incomplete.
        RequestEntityTooLarge: it is over MAX_BODY_BYTES.
        Unavailable: the server has not received it.
    """
    environ = current_request().environ
    if not is_of_type(environ, media_type) and has_body(environ):
        raise UnsupportedMediaType(f"Send the body with the header Content-Type: {media_type}.")
    length = _announced_length(environ)
    if length is not None and length > MAX_BODY_BYTES:
        raise RequestEntityTooLarge
    if UNREAD in environ:
        # The credential could not be checked when the server asked, and now it could: the database has come back.
        raise Unavailable(BUSY)
    try:
        body = _read_chunks(environ) if length is None else environ["wsgi.input"].read(length)
    except OSError:
        raise InvalidInput(_CUT_OFF, "body") from None
    environ["wsgi.input"] = BytesIO()
    # Some servers return what has arrived when the client disconnects: of `1234` that may be `12`, which is JSON too.
    if length is not None and len(body) != length:
        raise InvalidInput(_CUT_OFF, "body")
    return bytes(body)


def discard_body(environ: WSGIEnvironment) -> bool:
    """Reads what is left of the body of a request that is refused. Returns whether the connection can be used again.

    Servers close a connection with an unread body on it, some without telling the client, whose next request would be
    lost. A body over MAX_BODY_BYTES is not worth reading.
    """
    if UNREAD in environ or not has_body(environ):
        return True
    try:
        length = _announced_length(environ)
        if length is None:
            _read_chunks(environ)
        elif length > MAX_BODY_BYTES:
            return False
        else:
            environ["wsgi.input"].read(length)
    except (OSError, InvalidInput, RequestEntityTooLarge):
        return False
    return True


def _announced_length(environ: WSGIEnvironment) -> int | None:
    """The length of a body in bytes; None where it comes in chunks."""
    if "HTTP_TRANSFER_ENCODING" in environ:
        return None
    length = environ.get("CONTENT_LENGTH") or "0"
    if not length.isdecimal():
        raise InvalidInput("Content-Length must be a number of bytes.", "body")
    return int(length)


def _read_chunks(environ: WSGIEnvironment) -> bytes:
    # Without this, the end of the body cannot be told from that of the connection.
    if not environ.get("wsgi.input_terminated"):
        raise InvalidInput("Send the body with Content-Length; it cannot come in chunks.", "body")
    body = bytearray()
    while chunk := environ["wsgi.input"].read(MAX_BODY_BYTES + 1 - len(body)):
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise RequestEntityTooLarge
    return bytes(body)


def read_json(decoder: Decoder[T], wrapping: int) -> T:
    """The request's body as `decoder` returns it, values left as JSON.

    Args:
        decoder: says of what type the body must be.
        wrapping: how many levels of objects stand around the values.

    Raises:
        InvalidInput: the body is not of that type, or holds a value that cannot be stored.
    """
    return decode_json(decoder, storable(read_body(), wrapping))


def decode_json(decoder: Decoder[T], body: bytes) -> T:
    """A JSON text as `decoder` returns it.

    Raises:
        InvalidInput: it is not JSON, or not of the decoder's type.
    """
    try:
        return decoder.decode(body)
    except ValidationError as error:
        member = _MEMBER.search(str(error))
        field = (member[1] or member[2]) if member else "body"
        raise InvalidInput(f"The body is not as it must be: {error}.", field) from None
    except (DecodeError, UnicodeDecodeError):
        raise InvalidInput(MALFORMED, "body") from None
    except RecursionError:
        raise InvalidInput(_TOO_DEEP, "body") from None


def storable(body: bytes, wrapping: int) -> bytes:
    """A JSON text as it can be stored: compact, and each member of an object once.

    Args:
        body: the JSON text; if it is none, `decode_json` may find that out.
        wrapping: how many levels of objects stand around the values.

    Raises:
        InvalidInput: it is nested too deep, not UTF-8, or holds what cannot be stored.
    """
    if not body.isascii():
        _decoded(body)
    objects = body.count(b"{")
    if objects + body.count(b"[") > MAX_NESTING and _depth(body) > MAX_NESTING + wrapping:
        raise InvalidInput(_TOO_DEEP, "body")
    if objects > wrapping or _NUL_ESCAPE in body:
        return _rewritten(body)
    try:
        # White space between tokens is part of no value: it is neither stored nor counted.
        return compact(body, indent=-1)
    except DecodeError:
        raise InvalidInput(MALFORMED, "body") from None
    except RecursionError:
        raise InvalidInput(_TOO_DEEP, "body") from None


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
