"""The pytest plugin for tests of users: it runs the real service, with an account for each test."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

from ccs_sdk import ConfigurationError, ContextClient, DocumentClient, PermissionDeniedError
from ccs_sdk.testing import running_service

USERS_TESTS = """
    from ccs_sdk import DocumentClient

    pytest_plugins = ["ccs_sdk.testing"]


    def test_a_client_stores_and_reads(ccs_client):
        assert ccs_client.list_namespaces() == []
        ccs_client.set_property("airline", "intent", "rebook")
        assert ccs_client.get_property("airline", "intent") == "rebook"
        assert ccs_client.keys.create(scope="read").key


    def test_another_test_has_another_account(ccs_client, ccs_account, monkeypatch):
        assert ccs_client.list_namespaces() == []
        for name, value in ccs_account.environment.items():
            monkeypatch.setenv(name, value)
        with DocumentClient() as documents:
            documents.save("airline", {"a": 1})
        assert ccs_client.get_properties("airline") == {"a": 1}
"""


def _run(tests: Path, directory: Path, *, before: str = "pass") -> subprocess.CompletedProcess[str]:
    tests.write_text(textwrap.dedent(USERS_TESTS))
    code = f"import sys; {before}; import pytest; sys.exit(pytest.main())"
    return subprocess.run(
        [sys.executable, "-c", code],
        check=False, capture_output=True, text=True, cwd=tests.parent, timeout=300,
        env=os.environ
        | {
            "CCS_TESTING_DIR": str(directory),
            "PYTEST_ADDOPTS": "-p no:cacheprovider",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # the plugins of our own tests take a second to load
        },
    )  # fmt: skip


def test_the_fixtures_run_the_real_service(testing_directory: Path, tmp_path: Path) -> None:
    ran = _run(tmp_path / "test_mine.py", testing_directory)
    assert "2 passed" in ran.stdout, ran.stdout + ran.stderr


def test_the_service_starts_again_with_its_data_and_new_accounts(testing_directory: Path) -> None:
    with running_service(testing_directory) as service:
        first, second = service.new_account(), service.new_account()
        assert first.id != second.id
        with (
            ContextClient(first.url, first.id, api_key=second.api_key) as client,
            pytest.raises(PermissionDeniedError),
        ):
            client.list_namespaces()
        with DocumentClient(
            first.url, first.id, username=first.username, password=first.password
        ) as documents:
            documents.login()
        assert first.api_key not in repr(first)
        assert first.password not in repr(first)


def test_the_service_ends_with_the_process_that_uses_it(testing_directory: Path) -> None:
    using = "from ccs_sdk.testing import running_service as r\nwith r() as s: print(s.url, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", using],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
        env=os.environ | {"CCS_TESTING_DIR": str(testing_directory)},
    ) as user:  # fmt: skip
        assert user.stdout
        assert user.stdout.readline()
        (service,) = psutil.Process(user.pid).children()
        user.kill()
    service.wait(30)


def test_a_service_that_does_not_start_is_an_error(tmp_path: Path) -> None:
    too_long = tmp_path / ("x" * 100)
    failed = pytest.raises(ConfigurationError, match=r"ccs serve failed; see testing\.log")
    with failed, running_service(too_long):
        pass
    assert "too long for a Unix socket" in (too_long / "testing.log").read_text()


def test_without_the_server_the_error_says_what_to_install(
    testing_directory: Path, tmp_path: Path
) -> None:
    hidden = (
        "import importlib.metadata as m; real = m.Distribution.from_name;"
        " m.Distribution.from_name = classmethod(lambda cls, name: real(name if name != 'ccs-server' else 'none'))"
    )
    ran = _run(tmp_path / "test_mine.py", testing_directory, before=hidden)
    assert "install ccs-server in this environment (pip install ccs-server)" in ran.stdout
    assert "2 errors" in ran.stdout
