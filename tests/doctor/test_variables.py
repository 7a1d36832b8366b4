"""Variables that nothing reads, and values that cannot be used."""

from base64 import b64encode
from pathlib import Path

import pytest

from ccs_server.doctor.finding import Severity
from ccs_server.doctor.variables import check_names, check_values


def test_variables_of_the_server_and_of_the_sdk_are_known() -> None:
    known = {
        "CCS_PORT": "1",
        "CCS_DATABASE_URL": "",
        "CCS_API_KEY": "x",
        "CCS_URL": "http://a",
        "PATH": "/bin",
    }
    assert check_names(known) == []


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("CCS_DATABSE_URL", "Did you mean CCS_DATABASE_URL?"),
        ("CCS_PROT", "Did you mean CCS_PORT?"),
        ("CCS_COFFEE_MACHINE", "Unset it"),
    ],
)
def test_a_misspelt_name_is_found_and_the_right_one_is_suggested(name: str, hint: str) -> None:
    (found,) = check_names({name: "1", "CCS_HOST": "::1"})
    assert found.what == f"{name} is not a setting."
    assert found.remedy.startswith(hint)
    assert found.severity is Severity.WARNING


def test_the_variables_of_a_kubernetes_service_are_recognised() -> None:
    links = {
        "CCS_PORT": "tcp://10.0.0.1:80",
        "CCS_PORT_80_TCP": "tcp://10.0.0.1:80",
        "CCS_PORT_80_TCP_ADDR": "10.0.0.1",
        "CCS_SERVICE_HOST": "10.0.0.1",
    }
    (found,) = check_names(links)
    assert found.what == "Kubernetes has set CCS_PORT, CCS_PORT_80_TCP."
    assert "enableServiceLinks: false" in found.remedy


def test_a_value_that_cannot_be_used_is_found() -> None:
    settings, (found,) = check_values({"CCS_PURGE_INTERVAL": "soon"})
    assert settings is None
    assert found.what == "CCS_PURGE_INTERVAL must be a number from 0.001, not 'soon'."


def test_a_secret_key_that_others_may_read_is_found(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(b64encode(bytes(32)).decode())
    for mode, expected in ((0o600, 0), (0o400, 0), (0o640, 1), (0o604, 1)):
        file.chmod(mode)
        settings, found = check_values({"CCS_SECRET_KEY_FILE": str(file)})
        assert settings is not None
        assert len(found) == expected, oct(mode)
        assert all(f"chmod 600 {file}" in each.remedy for each in found)
