"""The libpq connection that executes statements."""

from ccs_server.store.connection import Statement
from ccs_server.store.database import Database

LENGTH = Statement.of("test_length", "SELECT char_length($1::text)")
BYTES = 900_000


def test_a_statement_larger_than_the_socket_buffer_gets_its_result_at_once(
    database: Database,
) -> None:
    """It is sent in pieces, and the result may arrive while the last piece is being sent."""
    text = b"x" * BYTES
    lengths = {database.execute(LENGTH, text).get_value(0, 0) for _ in range(150)}
    assert lengths == {b"%d" % BYTES}
