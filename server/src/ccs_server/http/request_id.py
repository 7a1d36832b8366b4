"""The id of a request, by which its response, its line in the log and a client's question are matched."""

import os
import re
from itertools import count
from secrets import token_hex
from wsgiref.types import WSGIEnvironment

REQUEST_ID = "X-Request-ID"
_KNOWN = "ccs.request_id"

_instance = token_hex(6)
_numbers = count(1)
_prefix = ""


def _set_prefix() -> None:
    # Workers are forked from a process that has drawn `_instance` already, so their ids differ by the process.
    global _prefix  # noqa: PLW0603 - it is the process's
    _prefix = f"{_instance}-{os.getpid():x}-"


_set_prefix()
os.register_at_fork(after_in_child=_set_prefix)

_is_request_id = re.compile(r"[\x21-\x7e]{1,128}").fullmatch


def request_id_of(environ: WSGIEnvironment) -> str:
    """The request's id: the client's own if it sent a printable one, else one that is made the first time."""
    known: str | None = environ.get(_KNOWN)
    if known is None:
        known = environ.get("HTTP_X_REQUEST_ID")
        if known is None or not _is_request_id(known):
            known = f"{_prefix}{next(_numbers):x}"
        environ[_KNOWN] = known
    return known
