"""How PostgreSQL's errors are mapped to those that clients receive."""

import pytest

from ccs_server.domain.errors import BUSY, InvalidInput, Unavailable
from ccs_server.store.faults import (
    NOT_MIGRATED,
    READ_ONLY,
    TIMED_OUT,
    UNREACHABLE,
    StoreFault,
    fault_from_sqlstate,
)

SAID = 'ERROR: relation "property", value "secret"'


def test_a_node_that_citus_cannot_reach_is_unavailable() -> None:
    lost = fault_from_sqlstate("XX000", "server closed the connection unexpectedly")
    assert isinstance(lost, Unavailable)
    assert isinstance(fault_from_sqlstate("XX000", SAID), StoreFault)


@pytest.mark.parametrize(
    ("sqlstate", "sentence"),
    [
        ("08006", UNREACHABLE),  # connection_failure
        ("57P01", UNREACHABLE),  # admin_shutdown
        ("57P03", UNREACHABLE),  # cannot_connect_now
        ("58030", UNREACHABLE),  # io_error
        ("53300", BUSY),  # too_many_connections
        ("40P01", BUSY),  # deadlock_detected
        ("40001", BUSY),  # serialization_failure
        ("55P03", BUSY),  # lock_not_available
        ("57014", TIMED_OUT),  # query_canceled, which is of class 57 too
        ("25006", READ_ONLY),  # read_only_sql_transaction
        ("42P01", NOT_MIGRATED),  # undefined_table
        ("42703", NOT_MIGRATED),  # undefined_column
    ],
)
def test_a_temporary_error_is_unavailable_with_our_message(sqlstate: str, sentence: str) -> None:
    fault = fault_from_sqlstate(sqlstate, SAID)
    assert isinstance(fault, Unavailable)
    assert fault.message == sentence
    assert fault.retry_after > 0


@pytest.mark.parametrize("sqlstate", ["22P02", "22P05", "22021"])
def test_text_that_postgresql_rejects_is_invalid_input(sqlstate: str) -> None:
    fault = fault_from_sqlstate(sqlstate, SAID)
    assert isinstance(fault, InvalidInput)
    assert fault.field == "body"
    assert "secret" not in fault.message


@pytest.mark.parametrize("sqlstate", ["42601", "23505", "22003", "XX000", ""])
def test_any_other_error_is_a_store_fault(sqlstate: str) -> None:
    fault = fault_from_sqlstate(sqlstate, SAID)
    assert isinstance(fault, StoreFault)
    assert fault.sqlstate == sqlstate
