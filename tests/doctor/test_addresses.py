"""Ports that are taken, and addresses that are not this machine's."""

import socket
from collections.abc import Iterator

import pytest

from ccs_server.doctor.addresses import check_addresses
from ccs_server.settings import Port, Settings
from tests.support.ports import free_port
from tests.support.service import Server


@pytest.fixture
def taken() -> Iterator[Port]:
    """A port on which another program listens, and never responds."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield Port(listener.getsockname()[1])


def settings(port: int, *, operations_port: int | None = None) -> Settings:
    return Settings(
        port=Port(port), operations_port=None if operations_port is None else Port(operations_port)
    )


def test_a_free_port_is_fine_and_free_afterwards() -> None:
    port = free_port()
    for _ in range(2):
        assert check_addresses(settings(port, operations_port=free_port())) == []


def test_a_port_of_another_program_is_found(taken: Port) -> None:
    (found,) = check_addresses(settings(taken))
    assert found.what == f"Port {taken} of 127.0.0.1 is in use; choose another with CCS_PORT."
    assert f":{taken}" in found.remedy
    (found,) = check_addresses(settings(0, operations_port=taken))
    assert "choose another with CCS_OPERATIONS_PORT" in found.what


def test_a_port_that_a_running_service_has_is_fine(server: Server) -> None:
    operations = int(server.operations.rpartition(":")[2])
    assert check_addresses(settings(server.port, operations_port=operations)) == []


def test_an_address_of_another_machine_is_found() -> None:
    (found,) = check_addresses(Settings(host="192.0.2.1", port=Port(0)))
    assert "192.0.2.1 is not an address of this machine" in found.what
