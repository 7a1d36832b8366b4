"""The change log: what it may have of a namespace, and the cursors of its positions, which are opaque to clients."""

import re
from typing import Literal, NamedTuple

from ccs_server.domain.cursors import new_cursor, position_of
from ccs_server.domain.errors import InvalidInput

LoggedChanges = Literal["off", "names", "values"]
"""What the log has of a namespace: nothing, what was changed, or the new values too."""

_read = re.compile(r"([0-9]{1,18})\.([0-9]{1,18})").fullmatch


class Position(NamedTuple):
    """A place in the log: everything up to this number was read.

    Attributes:
        epoch: which history of the log it is of.
        number: the position; that of the first event is 1.
    """

    epoch: int
    number: int


def cursor_of(account: str, position: Position) -> str:
    """Returns the cursor of a position. It is good for any reader of the account's log, whatever the reader wants."""
    return new_cursor(("changes", account), f"{position.epoch}.{position.number}")


def read_cursor(account: str, cursor: str, field: str = "after") -> Position:
    """Returns the position that a cursor contains.

    Raises:
        InvalidInput: it is not a cursor of the account's log; `field` names where it was given.
    """
    found = _read(position_of(cursor, ("changes", account), field))
    if found is None:
        raise InvalidInput(f"{field} must be the id of a change, or the next of a response.", field)
    return Position(int(found[1]), int(found[2]))
