"""The cursors of the change log."""

import pytest

from ccs_server.domain.change_log import Position, cursor_of, read_cursor
from ccs_server.domain.cursors import new_cursor
from ccs_server.domain.errors import InvalidInput


@pytest.mark.parametrize("position", [Position(0, 0), Position(1_795_813_980_235, 10**17)])
def test_a_cursor_is_the_position_that_it_was_made_of(position: Position) -> None:
    assert read_cursor("a", cursor_of("a", position)) == position


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "start",
        cursor_of("b", Position(1, 2)),
        new_cursor(("find", "a"), "1.2"),
        *(
            new_cursor(("changes", "a"), text)
            for text in ("", "1", "1.", "1.x", "1.2.3", f"1.{'9' * 19}")
        ),
    ],
)
def test_anything_else_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidInput):
        read_cursor("a", cursor)
