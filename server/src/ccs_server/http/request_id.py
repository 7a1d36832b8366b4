"""The id of a request, by which its response, its line in the log and a client's question are matched."""

import os
import re
from itertools import count
from secrets import token_hex
from wsgiref.types import WSGIEnvironment

REQUEST_ID = "X-Request-ID"
_KNOWN = "ccs.request_id"

# Workers are forked from a process that has drawn this already, so their ids differ by the process.
_instance = token_hex(6)
_numbers = count(1)

_is_request_id = re.compile(r"[\x21-\x7e]{1,128}").fullmatch


def request_id_of(environ: WSGIEnvironment) -> str:
    """The request's id: the client's own if it sent a printable one, else one that is made the first time."""
    known: str | None = environ.get(_KNOWN)
    if known is None:
        known = environ.get("HTTP_X_REQUEST_ID")
        if known is None or not _is_request_id(known):
            known = f"{_instance}-{os.getpid():x}-{next(_numbers):x}"
        environ[_KNOWN] = known
    return known
